"""Latency that is pushed: the window, staleness, bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.base import LatencySource
from backends.latency.push import PushedLatency
from models.container import Slo

P95, P50 = Slo(0.25), Slo(0.25, 50)


def test_it_fits_the_protocol() -> None:
    source: LatencySource = PushedLatency()
    assert math.isnan(source.quantile_seconds("web", P95, 0.0))


@given(st.lists(st.floats(0, 1e6), min_size=5, max_size=200), st.floats(50, 99.9))
def test_the_percentile_is_exact(samples: list[float], percentile: float) -> None:
    pushed = PushedLatency()
    half = len(samples) // 2
    pushed.push("web", samples[:half], 10.0)
    pushed.push("web", samples[half:], 10.5)
    assert pushed.quantile_seconds("web", Slo(1.0, percentile), 10.5) == np.percentile(samples, percentile)


def test_only_the_last_window_counts() -> None:
    pushed = PushedLatency(window_seconds=1.0)
    pushed.push("web", [9.0] * 50, 10.0)
    pushed.push("web", [1.0] * 5, 10.9)
    assert pushed.quantile_seconds("web", P50, 10.9) == 9.0
    pushed.push("web", [1.0] * 5, 11.0)
    assert pushed.quantile_seconds("web", P95, 11.0) == 1.0


def test_one_who_sends_seldom_has_a_whole_window_until_it_is_stale() -> None:
    pushed = PushedLatency(window_seconds=1.0, stale_after_seconds=3.0)
    pushed.push("web", [0.1] * 5, 10.0)
    assert pushed.quantile_seconds("web", P95, 13.0) == pytest.approx(0.1)
    assert math.isnan(pushed.quantile_seconds("web", P95, 13.01))


def test_too_few_samples_tell_nothing() -> None:
    pushed = PushedLatency(min_samples=5)
    pushed.push("web", [0.1] * 4, 10.0)
    assert math.isnan(pushed.quantile_seconds("web", P95, 10.0))
    pushed.push("web", [0.1], 10.1)
    assert pushed.quantile_seconds("web", P95, 10.1) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "samples", [[math.nan], [math.inf], [-0.1], ["x"], [None], [[0.1]], [10**400], [0.1, [0.2]]]
)
def test_a_bad_sample_is_refused_and_none_is_taken(samples: list[float]) -> None:
    pushed = PushedLatency(min_samples=1)
    with pytest.raises(ValueError, match="samples must be"):
        pushed.push("web", [*samples, 0.1], 10.0)
    assert math.isnan(pushed.quantile_seconds("web", P95, 10.0))


def test_an_empty_push_changes_nothing() -> None:
    pushed = PushedLatency()
    pushed.push("web", [0.1] * 5, 10.0)
    pushed.push("web", [], 12.0)
    assert math.isnan(pushed.quantile_seconds("web", P95, 13.5))


def test_the_oldest_samples_go_first_when_there_are_too_many() -> None:
    pushed = PushedLatency(window_seconds=100.0, max_samples=10)
    pushed.push("web", [9.0] * 8, 10.0)
    pushed.push("web", [1.0] * 8, 11.0)
    assert pushed.quantile_seconds("web", P95, 11.0) == 1.0
    pushed.push("web", [*([9.0] * 90), *([2.0] * 10)], 12.0)
    assert pushed.quantile_seconds("web", P50, 12.0) == 2.0


def test_the_container_silent_longest_goes_first_when_there_are_too_many() -> None:
    pushed = PushedLatency(max_containers=2)
    for container_id in ("a", "b", "a", "c"):
        pushed.push(container_id, [0.1] * 5, 10.0)
    known = [name for name in "abc" if not math.isnan(pushed.quantile_seconds(name, P95, 10.0))]
    assert known == ["a", "c"]


def test_forget_and_keep() -> None:
    pushed = PushedLatency()
    for container_id in "abc":
        pushed.push(container_id, [0.1] * 5, 10.0)
    pushed.forget("a")
    pushed.forget("nobody")
    pushed.keep({"c", "d"})
    known = [name for name in "abcd" if not math.isnan(pushed.quantile_seconds(name, P95, 10.0))]
    assert known == ["c"]
