"""What an act can be run with: a controller, or none. The engine is one that its own side adds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from controller.demo.scene import Scene
from models.container import Slo


class Controller(Protocol):
    """Something that may act on the groups while an act runs.

    `start` is called when the service answers and the offline work runs, before the load begins; it returns
    when the controller is at work. `stop` gives everything back before it returns; it is called once after
    `start` was called, even when that failed, and Ctrl-C waits for it. `states` is asked for after `stop`:
    the online container's states as (CLOCK_MONOTONIC seconds, state), ascending; empty if it knows none.
    """

    name: str

    def start(
        self, scene: Scene, online_group: str, offline_group: str, service_url: str, slo: Slo
    ) -> None: ...

    def stop(self) -> None: ...

    def states(self) -> Sequence[tuple[float, str]]: ...


class NoControl:
    """Nobody acts: what happens by itself."""

    name = "no control"

    def start(self, scene: Scene, online_group: str, offline_group: str, service_url: str, slo: Slo) -> None:
        pass

    def stop(self) -> None:
        pass

    def states(self) -> Sequence[tuple[float, str]]:
        return ()


class WeightsOnly:
    """`cpu.idle` on the offline group and no limit: the best a single static setting does among siblings.

    `start` raises OSError where the kernel has no cpu.idle (before Linux 5.15).
    """

    name = "cpu.idle"

    def __init__(self) -> None:
        self._file: Path | None = None

    def start(self, scene: Scene, online_group: str, offline_group: str, service_url: str, slo: Slo) -> None:
        file = scene.cpu_file(offline_group, "cpu.idle")
        _write(file, "1")
        self._file = file

    def stop(self) -> None:
        if self._file is not None:
            _write(self._file, "0")
            self._file = None

    def states(self) -> Sequence[tuple[float, str]]:
        return ()


def _write(file: Path, value: str) -> None:
    # Not write_text: it would try to create a file that the kernel does not offer, and say EACCES.
    with open(file, "r+") as opened:
        opened.write(value)
