"""Intervals hold what they promise, on data whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.lab.statistics import (
    Interval,
    dominates,
    median_interval,
    non_inferior,
    paired_difference,
)


def test_the_interval_is_seeded_and_holds_its_median() -> None:
    found = median_interval([3.0, 1.0, 2.0, 5.0, 4.0])
    assert found == median_interval([3.0, 1.0, 2.0, 5.0, 4.0])
    assert found == Interval(3.0, 1.0, 5.0, 5)
    assert median_interval([]) is None
    assert median_interval([2.0]) == Interval(2.0, 2.0, 2.0, 1)


@pytest.mark.parametrize("count", [5, 20])
def test_the_interval_covers_the_true_median_about_as_often_as_it_says(count: int) -> None:
    random = np.random.default_rng(7)
    tries = 300
    covered = 0
    for _ in range(tries):
        found = median_interval(random.lognormal(0.0, 1.0, count))
        assert found is not None
        covered += found.low <= 1.0 <= found.high
    # 0.9375 is the most that five values can give; three standard errors of 300 tries are 4 %.
    assert 0.89 <= covered / tries <= 0.99


def test_what_never_came_about_counts_as_infinite() -> None:
    found = median_interval([1.0, 2.0, math.inf, math.inf, math.inf])
    assert found is not None and found.median == math.inf and found.low == 1.0
    even = median_interval([math.inf, math.inf, 1.0, 2.0])
    assert even is not None and even.median == math.inf


def test_differences_are_paired_by_seed() -> None:
    ours = {1: 1.0, 2: 12.0, 3: 23.0, 9: 0.0}
    theirs = {1: 2.0, 2: 13.0, 3: 24.0, 4: 0.0}
    assert paired_difference(ours, theirs) == Interval(-1.0, -1.0, -1.0, 3)
    assert paired_difference({1: math.inf}, {1: math.inf}) == Interval(0.0, 0.0, 0.0, 1)
    assert paired_difference({1: 1.0}, {2: 1.0}) is None


def test_dominance_needs_both_intervals_to_exclude_zero() -> None:
    fewer, more = Interval(-2.0, -3.0, -1.0, 5), Interval(0.2, 0.1, 0.3, 5)
    assert dominates(fewer, more)
    assert not dominates(Interval(-2.0, -3.0, 0.0, 5), more)
    assert not dominates(fewer, Interval(0.2, -0.1, 0.3, 5))
    assert not dominates(fewer, None)
    assert not dominates(Interval(-2.0, -2.0, -2.0, 4), Interval(0.2, 0.2, 0.2, 4))


def test_non_inferiority_needs_the_whole_interval_within_the_margin() -> None:
    assert non_inferior(Interval(0.0, -0.04, 0.1, 5), 0.05, more_is_better=True)
    assert not non_inferior(Interval(0.0, -0.06, 0.1, 5), 0.05, more_is_better=True)
    assert non_inferior(Interval(0.0, -9.0, 1.9, 5), 2.0, more_is_better=False)
    assert not non_inferior(Interval(0.0, -9.0, 2.1, 5), 2.0, more_is_better=False)
    assert not non_inferior(None, 1.0, more_is_better=False)
