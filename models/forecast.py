"""Demand over the next seconds, from the past window alone.

    forecast = max(P, L) + d * s

P is a high percentile of the window, L the window's straight line drawn on to the horizon, s the deviation of
the window about that line. In steady state P + d*s covers the noise; into load the line is above the
percentile and leads; out of load the percentile holds on for one window and then falls, which is the side to
err on: too high a forecast gives back later, too low a one hurts.

benchmarks/forecast scores it by back-test against the last value and the window's maximum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.container import FloatArray
from models.history import percentile_of_sorted


def forecast(
    values: NDArray[np.float32] | FloatArray,
    times: FloatArray,
    horizon_seconds: float,
    percentile: float = 95.0,
    deviations: float = 1.0,
) -> FloatArray:
    """Expected upper demand per row within `horizon_seconds`, of values (ticks, rows) taken at `times`.

    Same unit as `values`, never negative; NaN where the window has no value.
    """
    values = values.astype(np.float64)
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    high = percentile_of_sorted(np.sort(values, axis=0), counts, percentile)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=0) / counts
        centred = np.where(known, values - mean, 0.0)
        when = np.where(known, times[:, np.newaxis], 0.0)
        when_mean = when.sum(axis=0) / counts
        when = np.where(known, when - when_mean, 0.0)
        spread = (when**2).sum(axis=0)
        slope = np.where(spread > 0, (when * centred).sum(axis=0) / spread, 0.0)
        residual = np.where(known, centred - slope * when, 0.0)
        deviation = np.sqrt((residual**2).sum(axis=0) / counts)
    end = times[-1] + horizon_seconds if len(times) else horizon_seconds
    line = mean + slope * (end - when_mean)
    upper: FloatArray = np.maximum(np.maximum(high, line) + deviations * deviation, 0.0)
    return upper
