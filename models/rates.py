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


NODE = "(node)"
"""The row behind those of the containers: the node itself, for rules about it."""


class Rates:
    """Differences of successive samples, container by container, and of the node in the last row."""

    def __init__(self) -> None:
        self._last: Sample | None = None

    def update(self, sample: Sample) -> dict[str, FloatArray]:
        """Metric columns in the order of `(*sample.ids, NODE)`; NaN where there is no earlier reading.

        A counter that went backwards belongs to another cgroup: NaN. `cpu_demand_cores` is the use uncapped
        by the container's own limit: throttled_time counts, CPU by CPU, the time in which runnable work was
        held back, so that use plus throttled time is what the group would have run (kernel/sched/fair.c,
        unthrottle_cfs_rq). Waiting for others is not added: PSI says that somebody waited, not how many.
        """
        last, self._last = self._last, sample
        columns = {name: np.full(len(sample.ids) + 1, np.nan) for name in METRICS}
        columns["memory_bytes"][:-1] = sample.memory_bytes
        if last is None:
            return columns
        elapsed = sample.taken_at_seconds - last.taken_at_seconds
        if elapsed <= 0:
            return columns
        rows = None if last.ids == sample.ids else _rows_in(last.ids, sample.ids)

        def delta(name: str) -> FloatArray:
            before = _take(getattr(last, name), rows)
            change: FloatArray = getattr(sample, name) - before
            change[change < 0] = np.nan
            return change

        usage = delta("usage_seconds") / elapsed
        held_back = np.nan_to_num(delta("throttled_seconds")) / elapsed
        columns["cpu_usage_cores"][:-1] = usage
        columns["cpu_demand_cores"][:-1] = np.minimum(usage + held_back, sample.node.cpus)
        periods, throttled = delta("periods"), delta("throttled_periods")
        with np.errstate(divide="ignore", invalid="ignore"):
            columns["cpu_throttled_ratio"][:-1] = np.where(periods > 0, throttled / periods, periods)
        columns["cpu_wait_ratio"][:-1] = np.minimum(delta("wait_seconds") / elapsed, 1.0)
        columns["cpu_run_delay_ratio"][:-1] = delta("run_delay_seconds") / elapsed
        busy_seconds = sample.node.busy_seconds - last.node.busy_seconds
        columns["node_cpu_ratio"][-1] = busy_seconds / (elapsed * sample.node.cpus)
        return columns


def _rows_in(old: tuple[str, ...], new: tuple[str, ...]) -> list[int]:
    row = {container: n for n, container in enumerate(old)}
    return [row.get(container, -1) for container in new]


def _take(column: FloatArray, rows: list[int] | None) -> FloatArray:
    if rows is None:
        return column
    if not len(column):
        return np.full(len(rows), np.nan)
    taken: FloatArray = column[rows]
    taken[np.asarray(rows) < 0] = np.nan
    return taken
