"""The hard bounds of every limit: floor, base, ceiling, and the largest part of the node that may be taken.

They hold whatever a rule, a plug-in or the control model asks for, and so trust no number that they get: one
that is no number changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from models.container import MIN_QUOTA_US, CpuLimit

_ROUNDING_US = 1e-6  # 0.3 cores of 100 ms are 30000.000000000004 us


def lowered(base: CpuLimit, floor_cores: float, cpus: int, cores: float) -> CpuLimit:
    """A cut to `cores`, never below the floor; the base where that would hold nobody back."""
    wanted = max(cores, floor_cores)
    if math.isnan(wanted) or wanted >= min(base.cores, cpus):
        return base
    quota_us = max(MIN_QUOTA_US, math.ceil(wanted * base.period_us - _ROUNDING_US))
    limit = replace(base, quota_us=quota_us)
    return limit if limit.cores < base.cores else base


def raised(base: CpuLimit, ceilings: Iterable[float], cores: float) -> CpuLimit:
    """A raise to `cores`, never above any of the ceilings; the base where that is no raise."""
    wanted = min(cores, *ceilings)
    return at_most(base, wanted) if base.cores < wanted < math.inf else base


def at_most(base: CpuLimit, cores: float) -> CpuLimit:
    """The largest limit not above `cores`, at the period of `base`."""
    return replace(base, quota_us=max(MIN_QUOTA_US, math.floor(cores * base.period_us + _ROUNDING_US)))


class Budget:
    """What may be taken from all held containers together.

    What is taken already counts first, and what a raise frees only when it has been written: so the sum is
    within the budget at every moment, not only after the round.
    """

    def __init__(self, cores: float, taken_cores: float) -> None:
        self._left = cores - taken_cores

    def lowest(self, reference_cores: float, taken_cores: float, cores: float) -> float:
        """`cores`, or the lowest limit above it that the budget has room for.

        `reference_cores` is what the container used before, `taken_cores` what is taken from it now.
        """
        wanted = max(0.0, reference_cores - cores)
        granted = max(0.0, min(wanted, taken_cores + self._left))
        if granted > taken_cores:
            self._left -= granted - taken_cores
        elif self._left < 0:
            self._left = min(0.0, self._left + taken_cores - granted)
        return cores if granted >= wanted else reference_cores - granted
