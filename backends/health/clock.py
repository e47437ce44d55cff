"""Steps of the wall clock."""

from __future__ import annotations

from collections.abc import Iterator

from backends.health.hold import HOLD_SECONDS


class Clock:
    """Steps of the wall clock against the monotonic one: someone set it, or the machine was suspended.

    Compared from one look to the next, so that a clock that is slewed gently never counts.
    """

    def __init__(self, step_seconds: float) -> None:
        self._step_seconds = step_seconds
        self._offset_seconds: float | None = None
        self._step: tuple[float, float] | None = None  # when, by how much

    def faults(self, now_seconds: float, wall_seconds: float) -> Iterator[str]:
        offset = wall_seconds - now_seconds
        moved = offset - (offset if self._offset_seconds is None else self._offset_seconds)
        self._offset_seconds = offset
        if abs(moved) > self._step_seconds:
            self._step = (now_seconds, moved)
        if self._step is not None and now_seconds - self._step[0] <= HOLD_SECONDS:
            yield f"clock-stepped: {self._step[1]:+.1f} s"
