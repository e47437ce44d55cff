"""Quantiles of histograms, against numpy on the same data; counters over time."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.latency.endpoint import Endpoint
from backends.latency.histogram import RecentRequests, bucket_quantile
from backends.latency.prometheus import Labels, Reading
from models.container import Scrape, Slo

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ONE: Labels = (("path", "/"),)
TWO: Labels = (("path", "/b"),)


def counted(samples: list[float], bounds: tuple[float, ...] = BOUNDS) -> dict[float, float]:
    return {bound: float(sum(sample <= bound for sample in samples)) for bound in (*bounds, math.inf)}


@given(
    st.lists(st.floats(0, 20), min_size=1, max_size=300),
    st.floats(1, 99.9),
    st.lists(st.floats(0.001, 15), min_size=1, max_size=20, unique=True),
)
def test_it_lies_in_the_bucket_of_the_exact_quantile(
    samples: list[float], percentile: float, bounds: list[float]
) -> None:
    edges = sorted(bounds)
    estimate = bucket_quantile(percentile, counted(samples, tuple(edges)))
    # The sample at or above the rank, as a histogram ranks: the definition without interpolation.
    exact = float(np.percentile(samples, percentile, method="inverted_cdf"))
    if exact > edges[-1]:
        assert estimate == edges[-1]
        return
    upper = next(edge for edge in edges if exact <= edge)
    lower = max((edge for edge in edges if edge < upper), default=0.0)
    assert lower - 1e-9 <= estimate <= upper + 1e-9


def test_the_worked_example_of_the_prometheus_documentation() -> None:
    # 100 requests: 10 up to 0.1, 50 more up to 0.2, 40 more up to 0.4; the 90th lies 3/4 into the last.
    assert bucket_quantile(90, {0.1: 10, 0.2: 60, 0.4: 100, math.inf: 100}) == pytest.approx(0.35)
    assert bucket_quantile(5, {0.1: 10, 0.2: 60, 0.4: 100, math.inf: 100}) == pytest.approx(0.05)


def test_what_lies_above_all_bounds_gets_the_last_one() -> None:
    assert bucket_quantile(95, {0.1: 10, 0.5: 20, math.inf: 100}) == 0.5


@pytest.mark.parametrize("counts", [{}, {math.inf: 5}, {0.1: 5, 0.5: 6}, {0.1: 0, math.inf: 0}])
def test_without_requests_or_buckets_there_is_none(counts: dict[float, float]) -> None:
    assert math.isnan(bucket_quantile(95, counts))


def test_a_sum_that_goes_down_is_held_up() -> None:
    assert bucket_quantile(50, {0.1: 10, 0.5: 8, math.inf: 10}) == pytest.approx(0.05)


@given(st.dictionaries(st.floats() | st.just(math.inf), st.floats(0, 1e12), max_size=8), st.floats(0, 100))
def test_it_never_raises(counts: dict[float, float], percentile: float) -> None:
    value = bucket_quantile(percentile, counts)
    assert math.isnan(value) or value in counts or math.isfinite(value)


def reading(series: Mapping[Labels, float]) -> Reading:
    return Reading(counts={labels: {0.1: count, math.inf: count} for labels, count in series.items()})


def window(*scrapes: tuple[float, Mapping[Labels, float]], gap: float = 3.0) -> float:
    requests = RecentRequests(window_seconds=1.0, max_gap_seconds=gap)
    for at, series in scrapes:
        requests.add(reading(series), at)
    return requests.counts().get(math.inf, 0.0)


def test_the_first_reading_tells_nothing_yet() -> None:
    assert window((10.0, {ONE: 1000})) == 0


def test_only_the_requests_of_about_one_window_count() -> None:
    assert window((10.0, {ONE: 0}), (10.5, {ONE: 100}), (11.0, {ONE: 110}), (11.5, {ONE: 115})) == 15


def test_a_scrape_a_little_early_or_late_does_not_change_the_window() -> None:
    assert window((10.0, {ONE: 0}), (10.45, {ONE: 100}), (10.97, {ONE: 110}), (11.44, {ONE: 115})) == 15
    assert window((10.0, {ONE: 0}), (10.55, {ONE: 100}), (11.02, {ONE: 110}), (11.56, {ONE: 115})) == 15


def test_scrapes_further_apart_than_the_window_use_the_last_step() -> None:
    assert window((10.0, {ONE: 0}), (12.5, {ONE: 7}), (15.0, {ONE: 9})) == 2


def test_series_are_added_up() -> None:
    assert window((10.0, {ONE: 5, TWO: 50}), (10.5, {ONE: 8, TWO: 60})) == 13


def test_a_restarted_process_counts_from_zero_and_only_its_own_series() -> None:
    assert window((10.0, {ONE: 500, TWO: 50}), (10.5, {ONE: 4, TWO: 60})) == 14


def test_a_restart_shows_in_any_bucket() -> None:
    requests = RecentRequests(1.0, 3.0)
    requests.add(Reading(counts={ONE: {0.1: 5.0, math.inf: 6.0}}), 10.0)
    requests.add(Reading(counts={ONE: {0.1: 2.0, math.inf: 7.0}}), 10.5)
    assert requests.counts() == {0.1: 2.0, math.inf: 7.0}


def test_a_new_series_counts_whole_and_a_lost_one_not_at_all() -> None:
    assert window((10.0, {TWO: 9}), (10.5, {ONE: 4})) == 4


def test_after_a_gap_it_begins_anew() -> None:
    assert window((10.0, {ONE: 0}), (10.5, {ONE: 9}), (60.0, {ONE: 900})) == 0
    assert window((10.0, {ONE: 0}), (60.0, {ONE: 900}), (60.5, {ONE: 905})) == 5


# --- an endpoint over time

P95 = Slo(0.25, 95.0)


def endpoint(interval: float = 0.5) -> Endpoint:
    scrape = Scrape("http://localhost/metrics", "x", interval_seconds=interval)
    return Endpoint(scrape, window_seconds=1.0, stale_after_seconds=3.0, min_samples=5)


def accept(told: Endpoint, text: str, now: float) -> None:
    told.accept(told.page.read(text), now)


def test_a_histograms_quantile_is_of_the_requests_since_a_window_ago() -> None:
    told = endpoint()
    accept(told, 'x_bucket{le="0.1"} 1000\nx_bucket{le="0.5"} 1000\nx_bucket{le="+Inf"} 1000\n', 10.0)
    assert math.isnan(told.quantile_seconds(P95, 10.0))
    accept(told, 'x_bucket{le="0.1"} 1000\nx_bucket{le="0.5"} 1010\nx_bucket{le="+Inf"} 1010\n', 10.5)
    assert told.quantile_seconds(P95, 10.5) == pytest.approx(0.1 + 0.4 * 0.95)
    assert told.quantile_seconds(P95, 13.5) == pytest.approx(0.1 + 0.4 * 0.95)
    assert math.isnan(told.quantile_seconds(P95, 13.51))


def test_too_few_requests_tell_nothing() -> None:
    told = endpoint()
    accept(told, 'x_bucket{le="0.1"} 0\nx_count 0\n', 10.0)
    accept(told, 'x_bucket{le="0.1"} 4\nx_count 4\n', 10.5)
    assert math.isnan(told.quantile_seconds(P95, 10.5))


def test_an_endpoint_that_is_asked_rarely_is_not_stale_between() -> None:
    told = endpoint(interval=5.0)
    accept(told, 'x_bucket{le="0.1"} 0\nx_count 0\n', 10.0)
    accept(told, 'x_bucket{le="0.1"} 9\nx_count 9\n', 15.0)
    assert told.quantile_seconds(P95, 25.0) == pytest.approx(0.095)
    assert math.isnan(told.quantile_seconds(P95, 25.1))


def test_a_summary_gives_the_nearest_quantile_that_is_high_enough() -> None:
    told = endpoint()
    text = 'x{{quantile="0.5"}} 0.1\nx{{quantile="0.95"}} 0.2\nx{{quantile="0.99"}} 0.3\nx_count {}\n'
    accept(told, text.format(100), 10.0)
    assert math.isnan(told.quantile_seconds(P95, 10.0))
    accept(told, text.format(120), 10.5)
    assert told.quantile_seconds(P95, 10.5) == 0.2
    assert told.quantile_seconds(Slo(0.25, 97), 10.5) == 0.3
    assert math.isnan(told.quantile_seconds(Slo(0.25, 99.9), 10.5))


def test_a_summary_without_new_requests_tells_nothing() -> None:
    told = endpoint()
    for now in (10.0, 10.5):
        accept(told, 'x{quantile="0.99"} 0.3\nx_count 100\n', now)
    assert math.isnan(told.quantile_seconds(P95, 10.5))
