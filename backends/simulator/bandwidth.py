"""CFS bandwidth: a group's quota of CPU time in each period (kernel/sched/fair.c)."""

from __future__ import annotations

import math

from backends.simulator.workload import TINY_SECONDS
from models.container import CpuLimit

_GOLDEN = 0.6180339887498949


class Bandwidth:
    """The quota of one group and its cpu.stat.

    Time is counted in slices, so that a period ends exactly between two of them: a period that is no whole
    number of slices is rounded to one, with the quota in proportion. Periods of different groups end at
    different times, as each kernel timer starts when it likes: `seed` (the inode) places them.

    Not simulated: burst, and the 5 ms portions in which the kernel hands runtime to the CPUs, some of which
    expires unused there.
    """

    def __init__(self, limit: CpuLimit, slice_seconds: float, seed: int) -> None:
        self.periods = 0
        self.throttled_periods = 0
        self.throttled_seconds = 0.0
        self._slice_seconds = slice_seconds
        self._seed = seed
        self._active = False
        self.write(limit)

    def write(self, limit: CpuLimit) -> None:
        """Take a new limit, or the same again. Either refills the runtime (tg_set_cfs_bandwidth)."""
        self.limit = limit
        self._period_slices = max(1, round(limit.period_us / 1e6 / self._slice_seconds))
        self._phase_slices = int(self._seed * _GOLDEN % 1.0 * self._period_slices)
        self._refill()

    @property
    def runtime_seconds(self) -> float:
        """CPU time the group may still use in this period; infinite without a quota."""
        return self._runtime

    def tick(self, slice_index: int) -> None:
        """Before each slice: close the period if it ends here. Counts as the kernel's period timer does:
        a period in which the group was active, throttled if it still is at the end.
        """
        if (slice_index - self._phase_slices) % self._period_slices or self.limit.quota_us is None:
            return
        self.periods += self._active
        self.throttled_periods += self._throttled
        self._active = False
        self._refill()

    def charge(self, used_seconds: float, demand_seconds: float) -> None:
        """After each slice: take off what was used. Throttled when more was wanted and nothing is left.

        Throttled time is summed over the CPUs that stood still, as the kernel sums it.
        """
        self._runtime -= used_seconds
        if demand_seconds > 0.0:
            self._active = True
            if self._runtime <= TINY_SECONDS and demand_seconds > used_seconds + TINY_SECONDS:
                self._throttled = True
                self.throttled_seconds += demand_seconds - used_seconds

    def _refill(self) -> None:
        self._runtime = self.limit.cores * self._period_slices * self._slice_seconds
        self._throttled = False


def hierarchy_ratio(limit: CpuLimit) -> float:
    """The limit as the kernel compares parent and child: cores in units of 2^-20 (to_ratio in core.c)."""
    return math.inf if limit.quota_us is None else (limit.quota_us << 20) // limit.period_us
