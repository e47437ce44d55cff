"""The back-test: at every moment of a trace, what was forecast against what came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.forecast.traces import Trace
from models.container import FloatArray
from models.forecast import forecast

Forecaster = Callable[[FloatArray, FloatArray, float], FloatArray]
QUANTILE = 0.95

# What comes within the horizon: the highest demand, and what it exceeds for 5 % of the time only.
TARGETS = {"max": 100.0, "p95": 95.0}


@dataclass(frozen=True, slots=True)
class Windows:
    """The engine's times, and the tick they were made for.

    Both are stretched by a trace's step / tick, so that a window holds as many values as in the engine: of
    one value a second, 5 s would hold five. Such a trace is thus taken as if it were four times as fast.
    """

    window_seconds: float = 5.0
    horizon_seconds: float = 3.0
    tick_seconds: float = 0.25

    def stretched(self, trace: Trace) -> tuple[float, float]:
        """Window and horizon in the trace's own seconds."""
        factor = trace.step_seconds / self.tick_seconds
        return self.window_seconds * factor, self.horizon_seconds * factor


@dataclass(frozen=True, slots=True)
class Scores:
    """How good forecasts were. All but the rate are parts of the mean of what came.

    `under_rate`: part of the moments at which more came than was forecast. `over`: mean of what was forecast
    in excess. `shortfall`: mean of what was missing. `pinball`: the loss of a 95 % quantile, which weighs a
    missing core 19 times as much as one in excess.
    """

    under_rate: float
    over: float
    shortfall: float
    pinball: float


def ours(percentile: float = 95.0, deviations: float = 1.0) -> Forecaster:
    """The engine's forecast with these constants."""
    return lambda values, times, horizon: forecast(values, times, horizon, percentile, deviations)


def last_value(values: FloatArray, times: FloatArray, horizon_seconds: float) -> FloatArray:
    """What is now, stays."""
    newest: FloatArray = values[-1]
    return newest


def window_maximum(values: FloatArray, times: FloatArray, horizon_seconds: float) -> FloatArray:
    """The highest of the window comes again."""
    highest: FloatArray = values.max(axis=0)
    return highest


def made(trace: Trace, forecaster: Forecaster, windows: Windows) -> FloatArray:
    """The forecast at every moment that has a whole window behind it and a whole horizon before it."""
    window, horizon = windows.stretched(trace)
    return np.array(
        [
            forecaster(trace.values[start : now + 1, np.newaxis], trace.times[start : now + 1], horizon)[0]
            for start, now, _ in _moments(trace, window, horizon)
        ]
    )


def came(trace: Trace, windows: Windows, percent: float) -> FloatArray:
    """What came within the horizon at each of those moments."""
    window, horizon = windows.stretched(trace)
    return np.array(
        [
            np.percentile(trace.values[now + 1 : end], percent)
            for _, now, end in _moments(trace, window, horizon)
        ]
    )


def score(forecasts: FloatArray, targets: FloatArray) -> Scores:
    """Compare what was forecast with what came."""
    short, over = np.maximum(targets - forecasts, 0.0), np.maximum(forecasts - targets, 0.0)
    demand = float(targets.mean())
    return Scores(
        under_rate=float((short > 1e-9).mean()),
        over=float(over.mean()) / demand,
        shortfall=float(short.mean()) / demand,
        pinball=float((QUANTILE * short + (1 - QUANTILE) * over).mean()) / demand,
    )


def find_margin(over_of: Callable[[float], float], over: float) -> float:
    """The factor at which something over-provisions by `over`; `over_of` gives what a factor leads to."""
    low, high = 0.0, 10.0
    for _ in range(40):
        margin = (low + high) / 2
        low, high = (margin, high) if over_of(margin) < over else (low, margin)
    return margin


def _moments(trace: Trace, window: float, horizon: float) -> list[tuple[int, int, int]]:
    """(first of the window, now, first behind the horizon), as rows."""
    step = trace.step_seconds
    starts = np.searchsorted(trace.times, trace.times - window + step / 2)
    ends = np.searchsorted(trace.times, trace.times + horizon + step / 2)
    whole = (trace.times - trace.times[0] >= window - step) & (trace.times + horizon <= trace.times[-1])
    return [(int(starts[now]), int(now), int(ends[now])) for now in np.flatnonzero(whole)]
