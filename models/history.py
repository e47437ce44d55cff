"""The last minute of every metric of every container: one ring buffer, metric x time x container."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from models.container import FloatArray
from models.rates import METRICS

# A window is judged only when at least this part of the ticks that fit in it brought a value.
MIN_COVERAGE = 0.75


class History:
    """Columns over time. Rows follow the ids given to `keep`; memory is fixed by the window and the tick.

    Values are float32: seven digits are more than any of these signals has, at half the memory.
    """

    def __init__(self, window_seconds: float, tick_seconds: float) -> None:
        self.tick_seconds = tick_seconds
        self._slots = math.ceil(window_seconds / tick_seconds) + 1
        self.ids: tuple[str, ...] = ()
        self.row: dict[str, int] = {}
        self._values = np.empty((len(METRICS), self._slots, 0), np.float32)
        self._times = np.full(self._slots, -np.inf)
        self._head = -1

    def keep(self, ids: tuple[str, ...]) -> None:
        """Make the rows those of `ids`: known ones keep their past, new ones start empty."""
        if ids == self.ids:
            return
        values = np.full((len(METRICS), self._slots, len(ids)), np.nan, np.float32)
        known = [(new, self.row[name]) for new, name in enumerate(ids) if name in self.row]
        if known:
            new_rows, old_rows = zip(*known, strict=True)
            values[:, :, list(new_rows)] = self._values[:, :, list(old_rows)]
        self._values, self.ids = values, ids
        self.row = {name: n for n, name in enumerate(ids)}

    def forget(self, container: str) -> None:
        """Empty one row: the id lives on under another cgroup."""
        self._values[:, :, self.row[container]] = np.nan

    def push(self, now_seconds: float, columns: dict[str, FloatArray]) -> None:
        """Add one tick. Metrics that are not in `columns` are NaN."""
        self._head = (self._head + 1) % self._slots
        self._times[self._head] = now_seconds
        for n, name in enumerate(METRICS):
            self._values[n, self._head] = columns.get(name, np.nan)

    def clear(self) -> None:
        """Forget the past of all: after a thaw it says nothing about now."""
        self._values[:] = np.nan
        self._times[:] = -np.inf

    def times(self, seconds: float) -> FloatArray:
        """The ticks of the last `seconds`, oldest first."""
        return self._times[self._last(seconds)]

    def window(self, metric: str, seconds: float) -> NDArray[np.float32]:
        """Values (ticks, containers) of the last `seconds`, oldest first."""
        values: NDArray[np.float32] = self._values[METRICS.index(metric), self._last(seconds)]
        return values

    def all_metrics(self, seconds: float) -> NDArray[np.float32]:
        """Values (metrics, ticks, containers) of the last `seconds`, oldest first."""
        values: NDArray[np.float32] = self._values[:, self._last(seconds)]
        return values

    def percentile(self, metric: str, percent: float, seconds: float) -> FloatArray:
        """The percentile over the last `seconds` per container; NaN where too little of it was seen."""
        values = np.sort(self.window(metric, seconds), axis=0)  # NaN sorts last
        counts = np.count_nonzero(~np.isnan(values), axis=0)
        result = percentile_of_sorted(values, counts, percent)
        result[counts < math.floor(MIN_COVERAGE * seconds / self.tick_seconds)] = np.nan
        return result

    def _last(self, seconds: float) -> NDArray[np.intp]:
        if self._head < 0:
            return np.empty(0, np.intp)
        # Half a tick of slack, so that a tick that came a little late still counts into the window.
        wanted = min(self._slots, round(seconds / self.tick_seconds) + 1)
        slots = (self._head - np.arange(wanted - 1, -1, -1)) % self._slots
        recent = self._times[slots] > self._times[self._head] - seconds - self.tick_seconds / 2
        kept: NDArray[np.intp] = slots[recent][-max(1, round(seconds / self.tick_seconds)) :]
        return kept


def percentile_of_sorted(values: NDArray[np.float32], counts: NDArray[np.intp], percent: float) -> FloatArray:
    """Linear-interpolated percentile down axis 0 of values sorted with NaN last, `counts` of them real."""
    result = np.full(values.shape[1:], np.nan)
    if values.shape[0] == 0:
        return result
    place = (percent / 100) * np.maximum(counts - 1, 0)
    low = np.floor(place).astype(np.intp)
    high = np.minimum(low + 1, np.maximum(counts - 1, 0))
    below = np.take_along_axis(values, low[np.newaxis], axis=0)[0]
    above = np.take_along_axis(values, high[np.newaxis], axis=0)[0]
    return np.where(counts > 0, below + (above - below) * (place - low), result)
