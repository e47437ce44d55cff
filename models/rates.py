"""From cumulative counters to what happened between two samples."""

from __future__ import annotations

import numpy as np

from models.container import FloatArray, Sample

METRICS = (
    "cpu_usage_cores",
    "cpu_throttled_ratio",
    "cpu_wait_ratio",
    "cpu_run_delay_ratio",
    "latency_seconds",
    "memory_bytes",
    "node_cpu_ratio",
    "cpu_demand_cores",
)
"""The columns of the history. Units are in the names; a ratio is 0 to 1 but for the run delay, which is the
mean number of threads that waited."""

MAX_PERIOD_SECONDS = 1.0  # kernel/sched/core.c, max_cfs_quota_period

NODE = "(node)"
"""The row behind those of the containers: the node itself, for rules about it."""


class Rates:
    """Differences of successive samples, container by container, and of the node in the last row."""

    def __init__(self) -> None:
        self._last: Sample | None = None
        self._forgotten: set[str] = set()

    def forget(self, container: str) -> None:
        """The id lives on under another cgroup, whose counters have nothing to do with those read before.

        Counters that went back would show it by themselves; those of a busier successor don't.
        """
        self._forgotten.add(container)

    def update(self, sample: Sample) -> dict[str, FloatArray]:
        """Metric columns in the order of `(*sample.ids, NODE)`; NaN where there is no earlier reading.

        A counter that went back belongs to another cgroup: NaN. `cpu_demand_cores` is the use uncapped
        by the container's own limit: throttled_time counts, CPU by CPU, the time in which runnable work was
        held back, so that use plus throttled time is what the group would have run (kernel/sched/fair.c,
        unthrottle_cfs_rq). Waiting for others is not added: PSI says that somebody waited, not how many.
        """
        last, self._last = self._last, sample
        forgotten, self._forgotten = self._forgotten, set()
        columns = {name: np.full(len(sample.ids) + 1, np.nan) for name in METRICS}
        columns["memory_bytes"][:-1] = sample.memory_bytes
        if last is None:
            return columns
        elapsed = sample.taken_at_seconds - last.taken_at_seconds
        if elapsed <= 0:
            return columns
        same = last.ids == sample.ids and not forgotten
        rows = None if same else _rows_in(last.ids, sample.ids, forgotten)

        def delta(name: str) -> FloatArray:
            before = _take(getattr(last, name), rows)
            change: FloatArray = getattr(sample, name) - before
            change[change < 0] = np.nan
            return change

        usage = delta("usage_seconds") / elapsed
        throttled_seconds = delta("throttled_seconds")
        # On v2 the group that binds may be another one than before, whose counters don't fit the old ones. A
        # true one is late by a period at most: it is added up when the throttling of a CPU ends.
        throttled_seconds[throttled_seconds > sample.node.cpus * (elapsed + MAX_PERIOD_SECONDS)] = np.nan
        held_back = np.nan_to_num(throttled_seconds) / elapsed
        columns["cpu_usage_cores"][:-1] = usage
        columns["cpu_demand_cores"][:-1] = np.minimum(usage + held_back, sample.node.cpus)
        periods, throttled = delta("periods"), delta("throttled_periods")
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(periods > 0, throttled / periods, periods)
        columns["cpu_throttled_ratio"][:-1] = np.minimum(ratio, 1.0)
        columns["cpu_wait_ratio"][:-1] = np.minimum(delta("wait_seconds") / elapsed, 1.0)
        columns["cpu_run_delay_ratio"][:-1] = delta("run_delay_seconds") / elapsed
        busy_seconds = sample.node.busy_seconds - last.node.busy_seconds
        if busy_seconds >= 0:
            columns["node_cpu_ratio"][-1] = min(busy_seconds / (elapsed * sample.node.cpus), 1.0)
        return columns


def _rows_in(old: tuple[str, ...], new: tuple[str, ...], forgotten: set[str]) -> list[int]:
    row = {container: n for n, container in enumerate(old) if container not in forgotten}
    return [row.get(container, -1) for container in new]


def _take(column: FloatArray, rows: list[int] | None) -> FloatArray:
    if rows is None:
        return column
    if not len(column):
        return np.full(len(rows), np.nan)
    taken: FloatArray = column[rows]
    taken[np.asarray(rows) < 0] = np.nan
    return taken
