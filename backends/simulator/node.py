"""A node that exists only in memory, with a clock of its own."""

from __future__ import annotations

import errno
import math
from collections.abc import Sequence
from typing import NamedTuple

from backends.base import Gone, Refused
from backends.simulator.group import DEFAULT_WEIGHT, Group, GroupTree
from backends.simulator.scheduler import Behaviour, Pool
from backends.simulator.workload import TINY_SECONDS, Workload
from models.container import Container, CpuLimit, CpuWeight, NodeSample, Sample

_NO_LIMIT = CpuLimit()
_MEMORY_TOTAL_BYTES = 8.0 * 2**30
_LOAD_EVERY_SECONDS = 5.0  # include/linux/sched/loadavg.h, LOAD_FREQ


class LimitWrite(NamedTuple):
    """One accepted write of the engine (not of a foreign writer)."""

    at_seconds: float
    group: str
    limit: CpuLimit


class GroupState(NamedTuple):
    """What a group's own files say. Seconds and periods are cumulative; `limit` is its own, not its
    ancestors'; `wait_seconds` is NaN for an inner group.
    """

    usage_seconds: float
    periods: int
    throttled_periods: int
    throttled_seconds: float
    wait_seconds: float
    limit: CpuLimit
    weight: float
    idle: bool


class SimulatedNode:
    """A `Node` of `cpus` CPUs on which simulated containers queue for CPU.

    Time stands still until `advance`, and then goes in slices of `slice_seconds`; limits and weights act from
    the next slice on. Within a slice CPU is shared by hierarchical weighted max-min fairness, each group
    within its own and its ancestors' quota. A thread that wakes up waits up to `wakeup_wait_seconds` for a
    CPU, in proportion to how likely all are taken by others (the scheduler's granularity): so an online
    container waits a little beside busy ones even when it gets all the CPU that it asks for. `stacked_ratio`
    and `sleeper_bonus_ratio` (0: off) are other ways of a real scheduler, see `Behaviour`.

    Groups are paths ("/web", "/slice/web"); a container is a leaf. It refuses what cgroup v1 refuses. Memory
    and run delay are not simulated (NaN). Single-threaded, and the same calls give the same results.
    """

    name = "simulated"

    def __init__(
        self,
        cpus: int = 2,
        *,
        start_seconds: float = 0.0,
        slice_seconds: float = 0.005,
        wakeup_wait_seconds: float = 0.002,
        stacked_ratio: float = 0.0,
        sleeper_bonus_ratio: float = 0.0,
    ) -> None:
        self.cpus = cpus
        self.writes: list[LimitWrite] = []
        self._start_seconds = start_seconds
        self._slice_seconds = slice_seconds
        self._behaviour = Behaviour(wakeup_wait_seconds, stacked_ratio, sleeper_bonus_ratio)
        self._slice = 0
        self._tree = GroupTree(slice_seconds)
        self._containers: dict[str, Group] = {}
        self._watched: tuple[Container, ...] = ()
        self._pools: list[Pool] = []
        self._pools_generation = -1
        self._busy_seconds = 0.0
        self._load_1m = 0.0

    # ---- the world: what a test or a scenario does

    @property
    def clock_seconds(self) -> float:
        """The node's time."""
        return self._time(self._slice)

    @property
    def generation(self) -> int:
        """Changes whenever a group comes or goes."""
        return self._tree.generation

    def add_group(self, group: str, *, weight: float = DEFAULT_WEIGHT, limit: CpuLimit = _NO_LIMIT) -> int:
        """Make an inner group (a pod, a slice), weight in cpu.shares. Returns its inode.

        Raises ValueError when it exists, has no parent or is below a container; Refused as the writes would.
        """
        return self._tree.add(group, weight, limit).inode

    def add_container(
        self,
        container_id: str,
        group: str,
        workload: Workload | None = None,
        *,
        weight: float = DEFAULT_WEIGHT,
        limit: CpuLimit = _NO_LIMIT,
        allowed_cpus: frozenset[int] | None = None,
    ) -> int:
        """Make a leaf group with this workload in it. Returns its inode.

        `allowed_cpus` (None: all) must equal or not meet those of every other container: sharing between
        cpusets that overlap in part is not simulated. Raises ValueError for such a cpuset, a known id or an
        impossible path; Refused as the writes would.
        """
        cpus = frozenset(range(self.cpus)) if allowed_cpus is None else allowed_cpus
        if container_id in self._containers:
            raise ValueError(f"container {container_id} exists")
        if not cpus or not cpus <= frozenset(range(self.cpus)):
            raise ValueError(f"no such CPUs: {sorted(cpus)}")
        for other in self._containers.values():
            if other.allowed_cpus != cpus and other.allowed_cpus & cpus:
                raise ValueError(f"the CPUs of {group} overlap those of {other.path} in part")
        leaf = self._tree.add(group, weight, limit)
        leaf.container_id, leaf.allowed_cpus, leaf.workload = container_id, cpus, workload
        self._containers[container_id] = leaf
        return leaf.inode

    def vanish(self, group: str) -> None:
        """Take a group away, with everything in and below it, as when its processes die. Raises Gone."""
        for removed in self._tree.remove(group):
            if removed.container_id is not None:
                del self._containers[removed.container_id]

    def set_workload(self, container_id: str, workload: Workload | None) -> None:
        """Run another workload in a container from now on; None: nothing. Raises Gone."""
        self._container(container_id).workload = workload

    def set_weight(self, group: str, weight: float) -> None:
        """Write cpu.shares (1024 is usual, 2 the least). Raises Gone; Refused while cpu.idle is set."""
        self._tree.write_weight(self._tree.find(group), weight)

    def set_idle(self, group: str, idle: bool) -> None:
        """Write cpu.idle: the least weight among its siblings. Raises Gone."""
        self._tree.write_idle(self._tree.find(group), idle)

    def write_from_outside(self, group: str, limit: CpuLimit) -> None:
        """Somebody else writes a limit: as `set_limit`, but not in `writes`. Raises Gone and Refused."""
        self._tree.write_limit(self._tree.find(group), limit)

    def advance(self, to_seconds: float) -> None:
        """Let time pass. Raises ValueError when that is in the past or no whole number of slices away."""
        target = round((to_seconds - self._start_seconds) / self._slice_seconds)
        if abs(self._time(target) - to_seconds) > TINY_SECONDS or target < self._slice:
            raise ValueError(f"can't advance from {self.clock_seconds} to {to_seconds} s")
        self._find_pools()
        limited = [group.bandwidth for group in self._tree if group.bandwidth.limit.quota_us is not None]
        load_every = max(1, round(_LOAD_EVERY_SECONDS / self._slice_seconds))
        for index in range(self._slice, target):
            for bandwidth in limited:
                bandwidth.tick(index)
            start, end = self._time(index), self._time(index + 1)
            for pool in self._pools:
                self._busy_seconds += pool.run_slice(start, end)
            if (index + 1) % load_every == 0:
                self._sample_load()
        self._slice = target

    def finished(self, container_id: str) -> list[tuple[float, float]]:
        """(finish time, latency) in seconds of the requests finished since the last call, oldest first.

        Latency counts from the intended arrival. Raises Gone.
        """
        workload = self._container(container_id).workload
        return [] if workload is None else workload.take_finished()

    @property
    def busy_seconds(self) -> float:
        """CPU time used so far by all CPUs together."""
        return self._busy_seconds

    def has_group(self, group: str) -> bool:
        """Whether there is such a group."""
        return any(each.path == group for each in self._tree)

    def look(self, group: str) -> GroupState:
        """What a group's files say now. Raises Gone."""
        found = self._tree.find(group)
        bandwidth = found.bandwidth
        return GroupState(
            found.usage_seconds,
            bandwidth.periods,
            bandwidth.throttled_periods,
            bandwidth.throttled_seconds,
            found.wait_seconds if found.container_id is not None else math.nan,
            bandwidth.limit,
            found.weight,
            found.idle,
        )

    def running(self) -> list[tuple[str, str, int]]:
        """Id, group and inode of every container that is there."""
        return [(name, group.path, group.inode) for name, group in self._containers.items()]

    # ---- the Node protocol: what the engine sees

    def watch(self, containers: Sequence[Container]) -> None:
        """See `Node.watch`."""
        self._watched = tuple(containers)

    def collect(self, now_seconds: float) -> Sample:
        """See `Node.collect`. Raises ValueError when `now_seconds` is not the node's time."""
        if abs(now_seconds - self.clock_seconds) > TINY_SECONDS:
            raise ValueError(f"it is {self.clock_seconds} s on this node, not {now_seconds} s")
        node = NodeSample(self.cpus, self._busy_seconds, self._load_1m, 0.0, _MEMORY_TOTAL_BYTES)
        sample = Sample.empty(now_seconds, tuple(container.id for container in self._watched), node)
        gone = set()
        for row, container in enumerate(self._watched):
            try:
                group = self._tree.find(container.cgroup)
            except Gone:
                gone.add(container.id)
                continue
            if group.inode != container.inode:
                gone.add(container.id)
                continue
            binding = group.binding().bandwidth
            sample.usage_seconds[row] = group.usage_seconds
            sample.periods[row] = binding.periods
            sample.throttled_periods[row] = binding.throttled_periods
            sample.throttled_seconds[row] = binding.throttled_seconds
            sample.wait_seconds[row] = group.wait_seconds if group.container_id is not None else math.nan
            sample.limit_cores[row] = binding.limit.cores
        sample.gone = frozenset(gone)
        return sample

    def allowed_cpus(self, group: str) -> frozenset[int]:
        """See `Node.allowed_cpus`. All CPUs for an inner group or one that has gone."""
        try:
            own = self._tree.find(group).allowed_cpus
        except Gone:
            own = frozenset()
        return own or frozenset(range(self.cpus))

    def inode(self, group: str) -> int:
        """See `Node.inode`. Never used again for a later group of the same path."""
        return self._tree.find(group).inode

    def limit(self, group: str) -> CpuLimit:
        """See `Node.limit`."""
        return self._tree.find(group).bandwidth.limit

    def set_limit(self, group: str, limit: CpuLimit) -> None:
        """See `Node.set_limit`."""
        self._tree.write_limit(self._tree.find(group), limit)
        self.writes.append(LimitWrite(self.clock_seconds, group, limit))

    def burst_us(self, group: str) -> int | None:
        """None: the simulated kernel has no burst."""
        return None

    def set_burst_us(self, group: str, burst_us: int) -> None:
        """Refused, as there is no burst."""
        raise Refused(group, "cpu.cfs_burst_us", errno.ENOENT, str(burst_us))

    def weight(self, group: str) -> CpuWeight:
        """See `Node.weight`."""
        found = self._tree.find(group)
        return CpuWeight(round(found.weight), found.idle)

    def reweigh(self, group: str, weight: CpuWeight) -> None:
        """See `Node.reweigh`."""
        self.set_idle(group, weight.idle)
        if not weight.idle:
            self.set_weight(group, weight.weight)

    def weight_of(self, shares: int) -> int:
        """See `Node.weight_of`: the scale is v1's."""
        return shares

    def ancestors(self, group: str) -> tuple[str, ...]:
        """See `Node.ancestors`. Raises Gone."""
        return tuple(above.path for above in self._tree.find(group).lineage()[1:])

    def close(self) -> None:
        """Nothing is open."""

    def _time(self, index: int) -> float:
        return self._start_seconds + index * self._slice_seconds

    def _container(self, container_id: str) -> Group:
        try:
            return self._containers[container_id]
        except KeyError:
            raise Gone(container_id) from None

    def _find_pools(self) -> None:
        if self._pools_generation == self._tree.generation:
            return
        by_cpus: dict[frozenset[int], list[Group]] = {}
        for group in self._containers.values():
            by_cpus.setdefault(group.allowed_cpus, []).append(group)
        self._pools = [Pool(len(cpus), leaves, self._behaviour) for cpus, leaves in by_cpus.items()]
        self._pools_generation = self._tree.generation

    def _sample_load(self) -> None:
        """The load average as the kernel takes it: what is runnable at one moment in 5 s, decayed."""
        workloads = (group.workload for group in self._containers.values())
        runnable = sum(workload.runnable_threads() for workload in workloads if workload is not None)
        decay = math.exp(-_LOAD_EVERY_SECONDS / 60.0)
        self._load_1m = self._load_1m * decay + runnable * (1.0 - decay)
