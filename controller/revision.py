"""What became of one change of a limit or a weight, for the feed, the log and the API."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from controller.grip import Grip
from models.container import CpuLimit

Result = Literal[
    "applied", "restored", "dry-run", "refused", "rolled-back", "gone", "not-recorded", "foreign"
]


@dataclass(frozen=True, slots=True)
class Revision:
    """One change of a limit or a weight, or the attempt at one.

    `rung` is what was changed: "quota", then the cores are given, None for no limit; "idle" or "weight", then
    the weights are, in the kernel's scale, 0 for cpu.idle.

    `foreign`: somebody else's change, only seen by us. `rolled-back`: refused, and what had been changed of
    the group before the refusal is back.
    """

    container: str
    group: str
    victim: str
    old_cores: float | None
    new_cores: float | None
    base_cores: float | None
    reason: str
    result: Result
    detail: str = ""
    rung: str = "quota"
    old_weight: int | None = None
    new_weight: int | None = None
    base_weight: int | None = None


def revision(
    grip: Grip,
    old: CpuLimit,
    new: CpuLimit,
    reason: str,
    result: Result,
    *,
    victim: str = "",
    detail: str = "",
) -> Revision:
    """The revision of a group, in cores."""
    return Revision(
        container=grip.container.id,
        group=grip.container.cgroup,
        victim=victim,
        old_cores=_finite(old.cores),
        new_cores=_finite(new.cores),
        base_cores=_finite(grip.base.cores),
        reason=reason,
        result=result,
        detail=detail,
    )


def _finite(cores: float) -> float | None:
    return None if math.isinf(cores) else round(cores, 4)
