"""The portrait of a container: statistics of every metric over a fast and a slow window.

All containers and metrics at once; the portrait of an application is that of the sum of its containers.
"""

from __future__ import annotations

import warnings
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
    """The portrait of every application: `apps[i]` is the app of container i, "" for none.

    CPU and memory are summed; of ratios and latencies the worst container speaks for the whole.
    """
    names = tuple(sorted({app for app in apps if app}))
    members = [np.flatnonzero([app == name for app in apps]) for name in names]

    def stats(seconds: float) -> Stats:
        values = history.all_metrics(seconds)
        merged = np.full((*values.shape[:2], len(names)), np.nan, np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # all-NaN windows are no news
            for n, rows in enumerate(members):
                for m, metric in enumerate(METRICS):
                    part = values[m][:, rows]
                    summed = metric.endswith(("_cores", "_bytes"))
                    merged[m, :, n] = _nan_sum(part) if summed else np.nanmax(part, axis=1)
        return window_stats(merged, history.times(seconds))

    return Profile(names, stats(fast_seconds), stats(slow_seconds))


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
        low=shaped(percentile_of_sorted(ordered.astype(np.float32), counts, LOW_PERCENTILE)),
        high=shaped(percentile_of_sorted(ordered.astype(np.float32), counts, HIGH_PERCENTILE)),
        mean=shaped(mean),
        deviation=shaped(deviation),
        trend=shaped(trend),
        last=shaped(last),
    )


def _nan_sum(part: NDArray[np.float32]) -> NDArray[np.float32]:
    total: NDArray[np.float32] = np.nansum(part, axis=1)
    return np.where(np.isnan(part).all(axis=1), np.float32(np.nan), total)


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
