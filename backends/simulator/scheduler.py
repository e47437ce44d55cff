"""One slice of time: who wants CPU, who gets it, what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from backends.simulator.group import Group
from backends.simulator.sharing import water_fill
from backends.simulator.workload import ALONE, TINY_SECONDS, Crowd


class Behaviour(NamedTuple):
    """What a scheduler with a queue for each CPU does beside sharing by weight, in figures.

    `wakeup_wait_seconds`: how long a waking thread waits for a CPU when all are taken. `stacked_ratio`: how
    many of a group's threads wait behind each other beside CPUs that others use (see `Crowd`).
    `sleeper_bonus_ratio`: how much more than its weight a group counts when its threads sleep and wake all
    the time. On each CPU the kernel gives a group the part of its weight that is the larger of its present
    and its average part of the group's load (kernel/sched/fair.c, calc_group_shares): of threads that come
    and go, the parts add up to more than the whole.
    """

    wakeup_wait_seconds: float = 0.0
    stacked_ratio: float = 0.0
    sleeper_bonus_ratio: float = 0.0


class Pool:
    """The containers that run on the same CPUs, and the groups above them."""

    def __init__(self, cpus: int, leaves: Iterable[Group], behaviour: Behaviour) -> None:
        self.cpus = cpus
        self._behaviour = behaviour
        self.leaves = list(leaves)
        self._members: dict[Group | None, list[Group]] = {None: []}
        for leaf in self.leaves:
            self._enter(leaf)
        # Parents before children, for a pass down; the other way round for a pass up.
        self._inner = sorted(
            (group for group in self._members if group is not None), key=lambda group: len(group.lineage())
        )

    def _enter(self, group: Group) -> None:
        siblings = self._members.setdefault(group.parent, [])
        if group not in siblings:
            siblings.append(group)
        if group.parent is not None:
            self._enter(group.parent)

    def run_slice(self, start_seconds: float, end_seconds: float) -> float:
        """Share the CPUs from `start_seconds` to `end_seconds`. Returns the CPU seconds used."""
        capacity = (end_seconds - start_seconds) * self.cpus
        self._plan(start_seconds, end_seconds)
        self._cap(capacity)
        self._grant(capacity)
        return self._run()

    def _plan(self, start: float, end: float) -> None:
        capacity = (end - start) * self.cpus
        total = sum(leaf.used for leaf in self.leaves)
        for leaf in self.leaves:
            if leaf.workload is None:
                leaf.demand = 0.0
                continue
            crowd = ALONE
            if leaf.workload.sleeps:
                wait = 0.0
                if leaf.workload.may_wake(end):
                    wait = self._behaviour.wakeup_wait_seconds * self._crowding(leaf, capacity)
                # How much of the CPU time that it leaves is used by others.
                free = max(capacity - leaf.used, TINY_SECONDS)
                taken = min(1.0, (total - leaf.used) / free)
                crowd = Crowd(wait, self._behaviour.stacked_ratio * taken)
            leaf.demand = leaf.workload.plan(start, end, self.cpus, crowd)

    def _crowding(self, leaf: Group, capacity: float) -> float:
        """How likely it is that a waking thread of `leaf` finds every CPU taken, by someone else, judged by
        the last slice: as if one CPU fills after the other. Someone else of less weight, where the two paths
        part, gives way in proportion.
        """
        total = sum(other.used for other in self.leaves)
        taken = total * self.cpus / capacity - (self.cpus - 1)
        if taken <= 0.0:
            return 0.0
        others = sum(
            other.used * _yielding(leaf, other) for other in self.leaves if other is not leaf and other.used
        )
        return min(1.0, taken) * others / total

    def _cap(self, capacity: float) -> None:
        for leaf in self.leaves:
            leaf.want = min(leaf.demand, max(0.0, leaf.bandwidth.runtime_seconds))
            leaf.sleeper_want = leaf.want if leaf.workload is not None and leaf.workload.sleeps else 0.0
        for group in reversed(self._inner):
            members = self._members[group]
            group.demand = min(capacity, sum(member.want for member in members))
            group.want = min(group.demand, max(0.0, group.bandwidth.runtime_seconds))
            group.sleeper_want = min(group.want, sum(member.sleeper_want for member in members))

    def _grant(self, capacity: float) -> None:
        self._share(capacity, self._members[None])
        for group in self._inner:
            self._share(group.granted, self._members[group])

    def _share(self, capacity: float, members: list[Group]) -> None:
        hungry = []
        for member in members:
            member.granted = 0.0
            if member.want > 0.0:
                hungry.append(member)
        bonus = self._behaviour.sleeper_bonus_ratio
        weights = [m.weight * (1.0 + bonus * m.sleeper_want / m.want) for m in hungry]
        grants = water_fill(capacity, [m.want for m in hungry], weights)
        for member, grant in zip(hungry, grants, strict=True):
            member.granted = grant

    def _run(self) -> float:
        for leaf in self.leaves:
            if leaf.workload is None:
                leaf.used = 0.0
                continue
            leaf.used, waited = leaf.workload.run(leaf.granted)
            leaf.wait_seconds += waited
            leaf.usage_seconds += leaf.used
            leaf.bandwidth.charge(leaf.used, leaf.demand)
        for group in reversed(self._inner):
            group.used = sum(member.used for member in self._members[group])
            group.usage_seconds += group.used
            group.bandwidth.charge(group.used, group.demand)
        return sum(group.used for group in self._members[None])


def _yielding(group: Group, other: Group) -> float:
    """1 when `other` keeps its CPU against a waking `group`, towards 0 the smaller its weight beside it."""
    for mine, theirs in zip(reversed(group.lineage()), reversed(other.lineage()), strict=False):
        if mine is not theirs:
            return min(1.0, theirs.weight / mine.weight)
    return 1.0
