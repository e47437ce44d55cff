"""Ctrl-C, SIGTERM and SIGHUP as exceptions that never come in the middle of a clean-up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While entered, SIGINT raises KeyboardInterrupt, SIGTERM and SIGHUP raise SystemExit(128 + number).

    Inside `held()` they wait for its end. Only the first one raises: by the second Ctrl-C the clean-up is
    under way, and breaking it off would leave behind what it is there to remove. Outside the main thread
    signals never arrive, so nothing is installed there.
    """

    def __init__(self) -> None:
        self._holds = 0
        self._raised = False
        self._pending: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._arrived) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """A signal that arrives inside is raised on leaving, unless an exception leaves already."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
        if self._holds == 0 and self._pending is not None:
            self._raise(self._pending)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self._holds:
            self._pending = number
        else:
            self._raise(number)

    def _raise(self, number: int) -> None:
        if self._raised:
            return
        self._raised = True
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)
