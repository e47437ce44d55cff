"""The protocols between the engine and the node.

A backend reads and writes; it decides nothing and reads no clock that it was not given. An expected failure
is one of the two exceptions below, so that the loop can tell a container that has gone from a kernel that
said no.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Protocol

from models.container import Container, CpuLimit, CpuWeight, Sample, Slo


class Gone(Exception):
    """The cgroup has vanished, or its path now belongs to another one."""


class Refused(Exception):
    """The kernel did not take a write, or a file could not be read. `errno` says why."""

    def __init__(self, group: str, file: str, number: int, value: str = "") -> None:
        self.group, self.file, self.errno, self.value = group, file, number, value
        name = errno.errorcode.get(number, str(number))
        what = f"writing {value!r} to" if value else "reading"
        super().__init__(f"{what} {file} of {group}: {name}")


def v2_weight(shares: int) -> int:
    """So many v1 shares as a v2 weight, as the kernel relates them: 1024 is 100 (kernel/sched/core.c,
    sched_weight_from_cgroup)."""
    return min(max(1, round(shares * 100 / 1024)), 10_000)


class Node(Protocol):
    """A node whose containers can be sampled and limited: cgroup v1, v2, hybrid, or simulated.

    A *group* is the path of a cgroup below the controllers' mount points, as in `Container.cgroup`.
    """

    name: str  # "cgroup-v1", "cgroup-v2" or "simulated", as reports call it
    cpus: int

    def watch(self, containers: Sequence[Container]) -> None:
        """Sample these containers from now on, in this order. Keeps what is open for those known already."""

    def collect(self, now_seconds: float) -> Sample:
        """Read every watched container once. Never raises for one container: its row is NaN instead.

        Raises OSError only when nothing at all can be read (the tree is not mounted any more).
        """

    def allowed_cpus(self, group: str) -> frozenset[int]:
        """The CPUs the group's cpuset lets it run on; all of them where there is no cpuset to read."""

    def inode(self, group: str) -> int:
        """The directory's inode in the CPU controller's hierarchy. Raises Gone."""

    def limit(self, group: str) -> CpuLimit:
        """The group's own limit (not its ancestors'). Raises Gone or Refused."""

    def set_limit(self, group: str, limit: CpuLimit) -> None:
        """Write the group's own quota; lowers a burst first that would be above it. Raises Gone or Refused.

        Every write refills the group's runtime (kernel/sched/core.c, tg_set_cfs_bandwidth), so the caller
        writes on change only.
        """

    def burst_us(self, group: str) -> int | None:
        """What may be carried over between periods, in us; None where there is no such thing."""

    def set_burst_us(self, group: str, burst_us: int) -> None:
        """Write the burst; it may not exceed the quota. Raises Gone or Refused."""

    def weight(self, group: str) -> CpuWeight:
        """The group's weight and cpu.idle (False before Linux 5.15, which has none). Raises Gone, Refused."""

    def reweigh(self, group: str, weight: CpuWeight) -> None:
        """Give the group this weight, or cpu.idle. Raises Gone or Refused: ENOENT before Linux 5.15.

        While cpu.idle is set the kernel refuses to write the weight, and taking it away leaves the default
        weight (kernel/sched/fair.c, sched_group_set_idle): cpu.idle goes first. Refills no runtime.
        """

    def weight_of(self, shares: int) -> int:
        """So many v1 shares (1024: the default) in the scale of `weight`."""

    def ancestors(self, group: str) -> tuple[str, ...]:
        """The groups above it that can carry a limit, nearest first, the root left out."""

    def close(self) -> None:
        """Close every file."""


class Discovery(Protocol):
    """Which containers are there? Called at least once a second; must be cheap when nothing has changed."""

    def containers(self) -> Sequence[Container]:
        """All containers of this source, each with its policy. Skips what it cannot read."""


class LatencySource(Protocol):
    """Where an online container's latency comes from. Filled in by a push or by a scraper beside the loop."""

    def quantile_seconds(self, container_id: str, slo: Slo, now_seconds: float) -> float:
        """The SLO's percentile of the last window's requests; NaN when stale or with too few samples."""
