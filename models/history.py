"""The last minute of every metric of every container: one ring buffer, metric x time x container."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from models.container import FloatArray
from models.rates import METRICS

# A window is judged only when values stand for at least this part of it.
MIN_COVERAGE = 0.75
# A value stands for the time since the tick before, but for no more than this many ticks: one reading after a
# long stall says too little of all that time.
LONGEST_TICKS = 2.0


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
        """Add one tick. Metrics that are not in `columns` are NaN.

        `now_seconds` is monotonic: it never goes back, but may stand still.
        """
        self._head = (self._head + 1) % self._slots
        self._times[self._head] = now_seconds
        for n, name in enumerate(METRICS):
            self._values[n, self._head] = columns.get(name, np.nan)

    def clear(self) -> None:
        """Forget the past of all: after a thaw it says nothing about now."""
        self._values[:] = np.nan
        self._times[:] = -np.inf
        self._head = -1

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

    def percentile(
        self, metric: str, percent: float, seconds: float, coverage: float = MIN_COVERAGE
    ) -> FloatArray:
        """The percentile over the last `seconds` per container.

        NaN where the values stand for less than the part `coverage` of the window, or where there is none.
        """
        values = self.window(metric, seconds)
        known = ~np.isnan(values)
        ordered = np.sort(values, axis=0)  # NaN sorts last
        result = percentile_of_sorted(ordered, np.count_nonzero(known, axis=0), percent)
        if coverage > 0:
            # Half a tick of slack: ticks come a little early or late.
            least = coverage * seconds - self.tick_seconds / 2
            result[self._lengths(seconds) @ known < least] = np.nan
        return result

    def seconds_above(self, metric: str, threshold: FloatArray, seconds: float) -> FloatArray:
        """For how long of the last `seconds` each container was above its threshold, as far as was seen."""
        return self._lengths(seconds) @ (self.window(metric, seconds) > threshold)

    def _lengths(self, seconds: float) -> FloatArray:
        """The time in seconds for which each tick of the window stands."""
        slots = self._last(seconds)
        before = self._times[(slots - 1) % self._slots]
        lengths = self._times[slots] - before
        # Before the very first tick, and across the ring's end, there is nothing to measure from.
        lengths = np.where((lengths >= 0) & np.isfinite(lengths), lengths, self.tick_seconds)
        return np.minimum(lengths, LONGEST_TICKS * self.tick_seconds)

    def _last(self, seconds: float) -> NDArray[np.intp]:
        """The slots of the last `seconds`, oldest first.

        A tick speaks of the time before it, so a window of eight ticks' length is eight ticks, not nine. Half
        a tick inward, so that neither an early nor a late tick changes that.
        """
        if self._head < 0:
            return np.empty(0, np.intp)
        slots = (self._head - np.arange(self._slots - 1, -1, -1)) % self._slots
        oldest = self._times[self._head] - max(seconds - self.tick_seconds / 2, 0.0)
        kept: NDArray[np.intp] = slots[self._times[slots] >= oldest]
        return kept


def percentile_of_sorted(
    values: NDArray[np.float32] | FloatArray, counts: NDArray[np.intp], percent: float
) -> FloatArray:
    """Percentile down axis 0 of values sorted with NaN last, `counts` of them real, NaN where none is.

    Linear between values, as numpy.nanpercentile does it, which takes a hundred times as long.
    """
    result = np.full(values.shape[1:], np.nan)
    if values.shape[0] == 0:
        return result
    place = (percent / 100) * np.maximum(counts - 1, 0)
    low = np.floor(place).astype(np.intp)
    high = np.minimum(low + 1, np.maximum(counts - 1, 0))
    below = np.take_along_axis(values, low[np.newaxis], axis=0)[0]
    above = np.take_along_axis(values, high[np.newaxis], axis=0)[0]
    return np.where(counts > 0, below + (above - below) * (place - low), result)
