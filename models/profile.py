"""The portrait of a container: statistics of every metric over a fast and a slow window.

All containers and metrics at once; the portrait of an application is that of the sum of its containers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.container import FloatArray
from models.history import History, percentile_of_sorted
from models.rates import METRICS

LOW_PERCENTILE, HIGH_PERCENTILE = 5.0, 95.0


@dataclass(frozen=True, slots=True)
class Stats:
    """Statistics over one window; every array is (metrics, containers). NaN where nothing was seen.

    `trend` is the slope of the least-squares line, in the metric's unit per second.
    """

    low: FloatArray
    high: FloatArray
    mean: FloatArray
    deviation: FloatArray
    trend: FloatArray
    last: FloatArray


@dataclass(frozen=True, slots=True)
class Profile:
    """Both windows of all rows. `rows` names them: container ids, or application names."""

    rows: tuple[str, ...]
    fast: Stats
    slow: Stats

    def of(self, row: str) -> dict[str, dict[str, dict[str, float | None]]]:
        """One row as plain JSON: metric -> window -> statistic; None where it is not known."""
        n = self.rows.index(row)
        return {
            metric: {
                name: {
                    field: _plain(getattr(stats, field)[m, n])
                    for field in ("low", "high", "mean", "deviation", "trend", "last")
                }
                for name, stats in (("fast", self.fast), ("slow", self.slow))
            }
            for m, metric in enumerate(METRICS)
        }


def profile(history: History, fast_seconds: float, slow_seconds: float) -> Profile:
    """The portrait of every container in the history."""
    return Profile(
        history.ids,
        window_stats(history.all_metrics(fast_seconds), history.times(fast_seconds)),
        window_stats(history.all_metrics(slow_seconds), history.times(slow_seconds)),
    )


def app_profile(history: History, apps: Sequence[str], fast_seconds: float, slow_seconds: float) -> Profile:
    """The portrait of every application: `apps[i]` is the app of the history's row i, "" for none.

    CPU and memory are summed; of ratios and latencies the worst container speaks for the whole.
    """
    names = tuple(sorted({app for app in apps if app}))
    order, starts = _groups(names, apps)

    def stats(seconds: float) -> Stats:
        return window_stats(_merged(history.all_metrics(seconds), order, starts), history.times(seconds))

    return Profile(names, stats(fast_seconds), stats(slow_seconds))


def _groups(names: tuple[str, ...], apps: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows that belong to an app, sorted by it, and where each app's rows begin."""
    number = {name: n for n, name in enumerate(names)}
    of_row = np.array([number.get(app, -1) for app in apps], np.intp)
    order = np.argsort(of_row, kind="stable")[np.count_nonzero(of_row < 0) :]
    return order, np.searchsorted(of_row[order], np.arange(len(names)))


def _merged(
    values: NDArray[np.float32], order: NDArray[np.intp], starts: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Values (metrics, ticks, apps) of values (metrics, ticks, rows); NaN where no container has one."""
    if not len(starts):
        return np.empty((*values.shape[:2], 0), np.float32)
    members = values[:, :, order]
    known = np.logical_or.reduceat(~np.isnan(members), starts, axis=2)
    total = np.add.reduceat(np.nan_to_num(members), starts, axis=2)
    worst = np.fmax.reduceat(members, starts, axis=2)
    summed = np.array([metric.endswith(("_cores", "_bytes")) for metric in METRICS])
    merged: NDArray[np.float32] = np.where(summed[:, np.newaxis, np.newaxis], total, worst)
    merged[~known] = np.nan
    return merged


def window_stats(values: NDArray[np.float32], times: FloatArray) -> Stats:
    """Statistics of values (metrics, ticks, rows) taken at `times` (seconds, one per tick)."""
    metrics, ticks, rows = values.shape
    flat = np.moveaxis(values, 1, 0).reshape(ticks, metrics * rows).astype(np.float64)
    known = ~np.isnan(flat)
    counts = known.sum(axis=0)
    filled = np.where(known, flat, 0.0)
    ordered = np.sort(flat, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = filled.sum(axis=0) / counts
        centred = np.where(known, flat - mean, 0.0)
        deviation = np.sqrt((centred**2).sum(axis=0) / counts)
        when = (times - times.mean() if ticks else times)[:, np.newaxis] * known
        when_mean = when.sum(axis=0) / counts
        when = np.where(known, when - when_mean, 0.0)
        trend = (when * centred).sum(axis=0) / (when**2).sum(axis=0)
    last = flat[-1] if ticks else np.full(metrics * rows, np.nan)

    def shaped(column: FloatArray) -> FloatArray:
        return column.reshape(metrics, rows)

    return Stats(
        low=shaped(percentile_of_sorted(ordered, counts, LOW_PERCENTILE)),
        high=shaped(percentile_of_sorted(ordered, counts, HIGH_PERCENTILE)),
        mean=shaped(mean),
        deviation=shaped(deviation),
        trend=shaped(trend),
        last=shaped(last),
    )


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(f"{value:.6g}")
