"""Medians, their bootstrap intervals, and what two controllers' paired runs prove. Pure and seeded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
RESAMPLES = 10_000
SEED = 20_260_101
LEAST_PAIRS = 5


@dataclass(frozen=True)
class Interval:
    """A median and its bootstrap 95 % interval over `count` values. Infinite: half of the runs never got it.

    With five values the interval is from the least to the greatest: it then holds the true median in
    1 - 2 x 0.5^5 = 93.75 % of all cases.
    """

    median: float
    low: float
    high: float
    count: int

    @property
    def below_zero(self) -> bool:
        return self.high < 0

    @property
    def above_zero(self) -> bool:
        return self.low > 0


def median_interval(values: Sequence[float], *, seed: int = SEED) -> Interval | None:
    """The median and its percentile-bootstrap interval (Efron, Tibshirani 1993, ch. 13); None for none."""
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        return None
    data = np.sort(data)
    low_ranks, high_ranks = _median_ranks(data.size, seed)
    medians = _middle(data[low_ranks], data[high_ranks])
    # "inverted_cdf" takes values that were drawn, so that an infinity needs no interpolation.
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(medians, [tail, 100 - tail], method="inverted_cdf")
    median = _middle(data[(data.size - 1) // 2], data[data.size // 2])
    return Interval(float(median), float(low), float(high), int(data.size))


def paired_difference(
    ours: Mapping[int, float], theirs: Mapping[int, float], *, seed: int = SEED
) -> Interval | None:
    """Ours minus theirs over the seeds that both have; None without any. Two infinities do not differ."""
    both = sorted(ours.keys() & theirs.keys())
    return median_interval([_minus(ours[key], theirs[key]) for key in both], seed=seed)


def dominates(violation_difference: Interval | None, work_difference: Interval | None) -> bool:
    """Whether ours is better in both, proven: of (ours - theirs), fewer violation seconds and more offline
    work, both intervals excluding zero. Fewer than five pairs prove nothing."""
    if violation_difference is None or work_difference is None:
        return False
    if min(violation_difference.count, work_difference.count) < LEAST_PAIRS:
        return False
    return violation_difference.below_zero and work_difference.above_zero


def non_inferior(difference: Interval | None, margin: float, *, more_is_better: bool) -> bool:
    """Whether ours is proven worse by at most `margin`: the interval of (ours - theirs) lies within it."""
    if difference is None or difference.count < LEAST_PAIRS:
        return False
    return difference.low >= -margin if more_is_better else difference.high <= margin


@lru_cache(maxsize=64)
def _median_ranks(count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of `count` ascending values are the lower and upper median of each resample: the draw does not
    depend on the values, so it is made once for each count."""
    drawn = np.random.default_rng(seed).integers(0, count, size=(RESAMPLES, count))
    drawn.sort(axis=1)
    return drawn[:, (count - 1) // 2], drawn[:, count // 2]


def _middle(low: ArrayLike, high: ArrayLike) -> NDArray[np.float64]:
    return 0.5 * np.asarray(low) + 0.5 * np.asarray(high)


def _minus(ours: float, theirs: float) -> float:
    return 0.0 if math.isinf(ours) and ours == theirs else ours - theirs
