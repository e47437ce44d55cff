"""All that is looked at to tell whether the node is well."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backends.health.clock import Clock
from backends.health.disks import Disks
from backends.health.io_errors import IoErrors
from backends.health.network import Network


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """What counts as a fault.

    `disk_paths`: the file systems to look at; empty: every one on a disk of this node (psutil).
    `disk_free_min_ratio`: share of blocks and of inodes that must be free for unprivileged users, 0..1.
    `network`: look at links and default routes. `clock_step_seconds`: larger steps of the wall clock are
    faults. `failed_collections`: so many in a row are one. `interval_seconds`: disks and network are looked
    at no more often than that.
    """

    disk_paths: tuple[str, ...] = ()
    disk_free_min_ratio: float = 0.01
    network: bool = True
    clock_step_seconds: float = 5.0
    failed_collections: int = 3
    interval_seconds: float = 1.0


class NodeHealth:
    """Looks for faults. Build it when the agent starts: what it sees then is what can be lost.

    `proc` and `sys` are the host's; `statvfs` as os.statvfs.
    """

    def __init__(
        self,
        settings: HealthSettings,
        proc: str = "/proc",
        sys: str = "/sys",
        statvfs: Callable[[str], os.statvfs_result] = os.statvfs,
    ) -> None:
        self._settings = settings
        self._disks = Disks(settings.disk_paths, settings.disk_free_min_ratio, statvfs)
        self._errors = IoErrors(Path(sys))
        self._network = Network(Path(proc), Path(sys)) if settings.network else None
        self._clock = Clock(settings.clock_step_seconds)
        self._failed_in_a_row = 0
        self._looked_at_seconds = -float("inf")
        self._slow_faults: tuple[str, ...] = ()

    def check(self, now_seconds: float, wall_seconds: float, collection_failed: bool) -> tuple[str, ...]:
        """What is wrong with the node now; empty when it is well. Call it once per tick; never raises.

        `now_seconds` is monotonic time, `wall_seconds` the time of day, `collection_failed` whether this
        tick's readings of the node failed.
        """
        if now_seconds - self._looked_at_seconds >= self._settings.interval_seconds:
            self._looked_at_seconds = now_seconds
            self._slow_faults = tuple(self._look(now_seconds))
        self._failed_in_a_row = self._failed_in_a_row + 1 if collection_failed else 0
        faults = [*self._slow_faults, *self._clock.faults(now_seconds, wall_seconds)]
        if self._failed_in_a_row >= self._settings.failed_collections:
            faults.append("collection-failing")
        return tuple(faults)

    def _look(self, now_seconds: float) -> Iterator[str]:
        yield from self._disks.faults()
        yield from self._errors.faults(now_seconds)
        if self._network is not None:
            yield from self._network.faults()
