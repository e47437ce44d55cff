"""What is known of one group's limit, and what a value found in it means: ours, the base, or somebody else's.

A group is *held* from when the first write is recorded until its base is back, so that whatever happens in
between, a crash or a refusal, the journal has an entry of it. Pure: it is told what was found, and when.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from controller.dispute import Dispute
from controller.journal import Hold
from models.container import Container, CpuLimit

Key = tuple[str, int]


def key_of(container: Container) -> Key:
    """What a group's limit is known by: its path and inode, as in the journal."""
    return (container.cgroup, container.inode)


def base_of(container: Container, found: CpuLimit) -> CpuLimit:
    """What to go back to: the spec where there is one (the file may hold a cut whose journal was lost), else
    the value found."""
    return found if container.spec_cores is None else found.with_cores(container.spec_cores)


@dataclass(slots=True, eq=False)
class Grip:
    """One group. `base` is what to go back to, `now` what it held when it was last seen or written.

    `ours` are the quotas that we meant to write since it is held; a burst in the way of one of them is
    lowered to it, so a burst is ours too if it is one of them. `taken_cores` is what the limit withholds, NaN
    when an earlier process wrote it.
    `rehearsed` is the limit that a dry run would have set.
    """

    container: Container
    base: CpuLimit
    now: CpuLimit
    held: bool = False
    base_burst_us: int | None = None
    ours: set[int | None] = field(default_factory=set)
    taken_cores: float = 0.0
    tried_at_seconds: float = -math.inf
    refusals: int = 0
    dispute: Dispute = field(default_factory=lambda: Dispute("its limit"))
    told: str = ""
    gone: bool = False
    rehearsed: CpuLimit | None = None

    @classmethod
    def of(cls, hold: Hold) -> Grip:
        """The grip of an earlier process, from its journal."""
        container = Container(hold.container, hold.group, hold.inode)
        return cls(
            container, hold.base, hold.base, True, hold.base_burst_us, set(hold.ours), taken_cores=math.nan
        )

    @property
    def key(self) -> Key:
        """See `key_of`."""
        return key_of(self.container)

    @property
    def at_base(self) -> bool:
        """Whether its quota is the base's. Its burst may still be lower."""
        return self.now.quota_us == self.base.quota_us

    @property
    def written(self) -> CpuLimit | None:
        """Our limit that is in force; None when it has its base."""
        return self.now if self.held and not self.at_base else None

    def meet(self, container: Container) -> None:
        """Take over what discovery says of it now. A changed spec moves the base."""
        if self.held and container.spec_cores not in (None, self.container.spec_cores):
            self.base = base_of(container, self.base)
        self.container = container

    def see(self, found: CpuLimit, now_seconds: float) -> str:
        """Take in what the group holds now. What somebody else did to a value of ours; empty: nothing."""
        before, self.now = self.now, found
        if not self.held:
            self.base = base_of(self.container, found)
            return ""
        if found.period_us != self.base.period_us:
            # The period is never ours. What goes with it is still only known from the base.
            self.base = replace(self.base, period_us=found.period_us)
        if found.quota_us == self.base.quota_us:
            return "" if before.quota_us == found.quota_us else self._return(now_seconds)
        return "" if found.quota_us in self.ours else self._move(found, now_seconds)

    def hold(self, quota_us: int | None) -> None:
        """It is recorded that this quota will be written."""
        self.held = True
        self.ours.add(quota_us)

    def applied(self, limit: CpuLimit) -> None:
        """It was read back: what was meant before can't be in the quota any more; in the burst it can."""
        burst_us = self.base_burst_us or 0
        self.ours = {quota for quota in self.ours if quota is not None and quota < burst_us}
        self.ours.add(limit.quota_us)

    def release(self) -> None:
        """Its base is back, or it is gone."""
        self.held, self.taken_cores = False, 0.0
        self.ours.clear()

    def _return(self, now_seconds: float) -> str:
        self.taken_cores = 0.0
        return self.dispute.returned(now_seconds)

    def _move(self, found: CpuLimit, now_seconds: float) -> str:
        self.taken_cores, self.base = 0.0, found
        return self.dispute.moved(now_seconds)
