"""What one decision round is shown: everything known of the node, as columns. Row i is `containers[i]`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.container import Container, FloatArray
from models.history import MIN_COVERAGE, History

RECENT_SECONDS = 0.5
"""How far back "now" reaches: two ticks by default, so that one odd reading is not taken for the state."""


@dataclass(slots=True)
class Observation:
    """One moment of the node.

    `now_seconds` is monotonic. `priority` holds the priorities in force at this time of day. `limit_cores` is
    effective, `base_cores` what we would go back to; both infinite where there is no limit. `forecast_cores`
    is the upper demand expected over the next seconds. `allowed_cpus[i]` are the CPUs of row i's cpuset.
    `abnormal` gives the reasons why the node must be left alone (none: it is well). `hands_off` are
    containers that may not be written: someone else fights for their limit, or they were opted out.
    `rung0_groups[i]` is the group whose weight may be set for row i, empty where none may; no tuple: nowhere.
    The history has one row more than there are containers: the node's.
    """

    now_seconds: float
    containers: tuple[Container, ...]
    history: History
    cpus: int
    priority: NDArray[np.int64]
    limit_cores: FloatArray
    base_cores: FloatArray
    forecast_cores: FloatArray
    allowed_cpus: tuple[frozenset[int], ...]
    abnormal: tuple[str, ...] = ()
    hands_off: frozenset[str] = frozenset()
    rung0_groups: tuple[str, ...] = ()
    _memo: dict[tuple[str, float, float, float], FloatArray] = field(default_factory=dict)

    def percentile(
        self, metric: str, percent: float, seconds: float, coverage: float = MIN_COVERAGE
    ) -> FloatArray:
        """`History.percentile`, computed once a round."""
        key = (metric, percent, seconds, coverage)
        if key not in self._memo:
            self._memo[key] = self.history.percentile(metric, percent, seconds, coverage)
        return self._memo[key]

    def recent(self, metric: str) -> FloatArray:
        """The mean of the last moments per row; NaN where there is no value."""
        key = (metric, -1.0, RECENT_SECONDS, 0.0)
        if key not in self._memo:
            values = self.history.window(metric, RECENT_SECONDS)
            known = ~np.isnan(values)
            with np.errstate(invalid="ignore"):
                self._memo[key] = np.where(known, values, 0.0).sum(axis=0, dtype=float) / known.sum(axis=0)
        return self._memo[key]

    def row(self, container_id: str) -> int | None:
        """The container's row (also that of `rates.NODE`); None when it is not there any more."""
        return self.history.row.get(container_id)
