"""The simulated cgroup tree."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field

from backends.base import Gone, Refused
from backends.simulator.bandwidth import Bandwidth, hierarchy_ratio
from backends.simulator.workload import Workload
from models.container import MIN_QUOTA_US, CpuLimit

DEFAULT_WEIGHT = 1024
IDLE_WEIGHT = 3  # kernel/sched/sched.h, WEIGHT_IDLEPRIO
_MIN_PERIOD_US, _MAX_PERIOD_US = 1_000, 1_000_000
_MIN_WEIGHT, _MAX_WEIGHT = 2, 1 << 18


@dataclass(slots=True, eq=False)
class Group:
    """One cgroup. Times are cumulative seconds; `demand` to `used` are CPU seconds of the current slice.

    Only a container has `container_id`, `allowed_cpus` and `workload`, and only there waiting is counted.
    """

    path: str
    inode: int
    parent: Group | None
    bandwidth: Bandwidth
    weight: float = DEFAULT_WEIGHT
    idle: bool = False
    container_id: str | None = None
    allowed_cpus: frozenset[int] = frozenset()
    workload: Workload | None = None
    children: list[Group] = field(default_factory=list)

    usage_seconds: float = 0.0
    wait_seconds: float = 0.0

    demand: float = 0.0  # with all the CPUs for itself
    want: float = 0.0  # what its runtime leaves of the demand
    sleeper_want: float = 0.0  # how much of that is of threads that sleep and wake all the time
    granted: float = 0.0
    used: float = 0.0

    def lineage(self) -> tuple[Group, ...]:
        """Itself and the groups above it, nearest first, the root left out."""
        return (self, *(self.parent.lineage() if self.parent else ()))

    def subtree(self) -> Iterator[Group]:
        """Itself and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.subtree()

    def binding(self) -> Group:
        """The group on its path whose limit is the effective one; itself when there is none at all."""
        return min(self.lineage(), key=lambda group: group.bandwidth.limit.cores)


class GroupTree:
    """All groups by path, with what the kernel's cgroup v1 refuses. `generation` changes with the tree."""

    def __init__(self, slice_seconds: float) -> None:
        self.generation = 0
        self._slice_seconds = slice_seconds
        self._groups: dict[str, Group] = {}
        self._next_inode = 1

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def find(self, path: str) -> Group:
        """The group of this path. Raises Gone."""
        try:
            return self._groups[path]
        except KeyError:
            raise Gone(path) from None

    def add(self, path: str, weight: float, limit: CpuLimit) -> Group:
        """Make a group. Raises ValueError when it is there already, has no parent or would be below a
        container; Refused for the limit or the weight.
        """
        above = path.rpartition("/")[0]
        parent = self._groups.get(above)
        if path in self._groups or not path.startswith("/"):
            raise ValueError(f"{path} exists or is no path")
        if above and parent is None:
            raise ValueError(f"{path} has no parent")
        if parent is not None and parent.container_id is not None:
            raise ValueError(f"{above} is a container")
        inode = self._next_inode
        group = Group(path, inode, parent, Bandwidth(CpuLimit(), self._slice_seconds, inode))
        self.write_weight(group, weight)
        self.write_limit(group, limit)
        self._next_inode += 1
        self._groups[path] = group
        if parent is not None:
            parent.children.append(group)
        self.generation += 1
        return group

    def remove(self, path: str) -> list[Group]:
        """Take a group away with all below it, and return them. Raises Gone."""
        group = self.find(path)
        if group.parent is not None:
            group.parent.children.remove(group)
        removed = list(group.subtree())
        for each in removed:
            del self._groups[each.path]
        self.generation += 1
        return removed

    def write_limit(self, group: Group, limit: CpuLimit) -> None:
        """Write quota and period. Raises Refused with EINVAL as cgroup v1 does (tg_set_cfs_bandwidth,
        tg_cfs_schedulable_down): out of range, above a parent's limit, or below a child's.
        """
        ratio = hierarchy_ratio(limit)
        above = min((hierarchy_ratio(g.bandwidth.limit) for g in group.lineage()[1:]), default=ratio)
        below = (g.bandwidth.limit for g in group.subtree() if g is not group)
        if (
            (limit.quota_us is not None and (limit.quota_us < MIN_QUOTA_US or ratio > above))
            or not _MIN_PERIOD_US <= limit.period_us <= _MAX_PERIOD_US
            or any(child.quota_us is not None and hierarchy_ratio(child) > ratio for child in below)
        ):
            value = -1 if limit.quota_us is None else limit.quota_us
            raise Refused(group.path, "cpu.cfs_quota_us", errno.EINVAL, str(value))
        group.bandwidth.write(limit)

    def write_weight(self, group: Group, weight: float) -> None:
        """Write cpu.shares. The kernel clamps it, and refuses it with EINVAL while cpu.idle is set."""
        if group.idle or weight <= 0:
            raise Refused(group.path, "cpu.shares", errno.EINVAL, str(weight))
        group.weight = min(max(weight, _MIN_WEIGHT), _MAX_WEIGHT)

    def write_idle(self, group: Group, idle: bool) -> None:
        """Write cpu.idle. The weight before is lost with it (kernel/sched/fair.c, sched_group_set_idle)."""
        if idle != group.idle:
            group.idle, group.weight = idle, IDLE_WEIGHT if idle else DEFAULT_WEIGHT
