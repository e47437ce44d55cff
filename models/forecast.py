"""Demand over the next seconds, from the past window alone.

    forecast = P + max(slope, 0) * horizon / 2 + d * s + 2 % of the mean

P is a high percentile of the window, slope that of its straight line, s the deviation of the window about
that line. In steady state P + d*s covers the noise; into load the slope leads, damped, since a trend seldom
lasts; out of load it does not count, and P holds on for one window and then falls, which is the side to err
on: too high a forecast gives back later, too low a one hurts. The last part is for demand so quiet that the
window has not seen what it can do.

benchmarks/forecast scores it by back-test against the last value and the window's maximum; docs/forecast.md
says how it fares.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.container import FloatArray
from models.history import percentile_of_sorted

# Chosen by benchmarks/forecast on its tuning half, as are the defaults below.
DAMPING = 0.5
MARGIN_RATIO = 0.02
# When the newest third of a window lies wholly below this part of the rest, the load has gone: the rest says
# nothing about what comes.
FALL_RATIO = 0.8


def forecast(
    values: NDArray[np.float32] | FloatArray,
    times: FloatArray,
    horizon_seconds: float,
    percentile: float = 95.0,
    deviations: float = 1.0,
) -> FloatArray:
    """Expected upper demand per row within `horizon_seconds`, of values (ticks, rows) taken at `times`.

    Same unit as `values`, never negative; NaN where the window has no value. Computed in float64: the trend
    of small differences between large values does not survive float32.
    """
    values = _since_fall(values.astype(np.float64))
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    high = percentile_of_sorted(np.sort(values, axis=0), counts, percentile)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=0) / counts
        centred = np.where(known, values - mean, 0.0)
        when = np.where(known, times[:, np.newaxis], 0.0)
        when = np.where(known, when - when.sum(axis=0) / counts, 0.0)
        spread = (when**2).sum(axis=0)
        slope = np.where(spread > 0, (when * centred).sum(axis=0) / spread, 0.0)
        residual = np.where(known, centred - slope * when, 0.0)
        deviation = np.sqrt((residual**2).sum(axis=0) / counts)
    rise = DAMPING * np.maximum(slope, 0.0) * horizon_seconds
    upper: FloatArray = high + rise + deviations * deviation + MARGIN_RATIO * mean
    return np.maximum(upper, 0.0)


def _since_fall(values: FloatArray) -> FloatArray:
    """What was before a fall of demand taken out (NaN), row by row."""
    newest = max(1, len(values) // 3)
    before, after = values[:-newest], values[-newest:]
    if not len(before):
        return values
    with np.errstate(invalid="ignore"):
        low = np.min(np.where(np.isnan(before), np.inf, before), axis=0)
        fallen = np.max(after, axis=0) < FALL_RATIO * low
    values[:-newest, fallen] = np.nan
    return values


def averaged(values: NDArray[np.float32] | FloatArray, width: int) -> FloatArray:
    """Moving averages of `width` successive ticks down axis 0; of all there are, when there are fewer.

    NaN counts as nothing seen: an average of what is left, NaN when nothing is.
    """
    width = min(width, len(values))
    if width <= 1:
        return values.astype(np.float64)
    views = np.lib.stride_tricks.sliding_window_view(values.astype(np.float64), width, axis=0)
    known = ~np.isnan(views)
    with np.errstate(invalid="ignore"):
        means: FloatArray = np.where(known, views, 0.0).sum(axis=-1) / known.sum(axis=-1)
    return means
