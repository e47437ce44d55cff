"""What is known of one group's weight, and what a value found in it means: ours, the base, or another's.

As `controller.grip` for limits, and simpler: there is one value that is ours, and nothing between it and the
base but what the kernel leaves when cpu.idle is taken away. Pure: it is told what was found, and when.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from controller.dispute import Dispute
from controller.journal import WeightHold
from models.container import CpuWeight


@dataclass(slots=True, eq=False)
class WeightGrip:
    """One group. `base` is what to go back to, `now` what it had when it was last seen or written.

    `ours` is what we meant to write; None while nothing is recorded. `default` is the weight that a group has
    after cpu.idle was taken from it. `unfit` says why this rung is of no use there, until
    `unfit_until_seconds`. `rehearsed`: a dry run would have set it.
    """

    group: str
    inode: int
    container: str
    base: CpuWeight
    now: CpuWeight
    default: CpuWeight
    ours: CpuWeight | None = None
    tried_at_seconds: float = -math.inf
    refusals: int = 0
    told: str = ""
    unfit: str = ""
    unfit_until_seconds: float = -math.inf
    rehearsed: bool = False
    dispute: Dispute = field(default_factory=lambda: Dispute("its weight"))

    @classmethod
    def of(cls, hold: WeightHold, default: CpuWeight) -> WeightGrip:
        """The grip of an earlier process, from its journal."""
        return cls(hold.group, hold.inode, hold.container, hold.base, hold.base, default, hold.ours)

    @property
    def held(self) -> bool:
        """From when the first write is recorded until the base is back."""
        return self.ours is not None

    @property
    def at_base(self) -> bool:
        """Whether it has its base."""
        return _same(self.now, self.base)

    @property
    def in_force(self) -> bool:
        """Whether it has what we meant to write."""
        return self.ours is not None and _same(self.now, self.ours)

    def see(self, found: CpuWeight, now_seconds: float) -> str:
        """Take in what the group has now. What somebody else did to a value of ours; empty: nothing."""
        was_ours, self.now = self.in_force, found
        if self.ours is None:
            self.base = found
            return ""
        if self.in_force:
            return ""
        if self.at_base or (self.ours.idle and _same(found, self.default)):
            # Or half back: cpu.idle is gone, and the weight with it. It stays held until that is back too.
            return self.dispute.returned(now_seconds) if was_ours else ""
        self.base = found
        return self.dispute.moved(now_seconds)


def _same(one: CpuWeight, other: CpuWeight) -> bool:
    """While cpu.idle is set, whatever else the files show is the kernel's."""
    return one.idle == other.idle and (one.idle or one.weight == other.weight)
