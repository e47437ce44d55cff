"""The figures are graded here on runs whose answer is known by construction."""

from __future__ import annotations

import math

import numpy as np
import pytest

from controller.demo import figures
from controller.demo.result import GroupColumns, Observations, Requests
from models.container import FloatArray

SLO = 0.25


def requests(intended: FloatArray, latency: FloatArray) -> Requests:
    answered = np.ones(intended.shape, dtype=np.bool_)
    return Requests(intended, latency, np.zeros_like(intended), answered)


def every_10_ms(*bad: tuple[float, float], seconds: float = 30.0) -> Requests:
    """A request every 10 ms; slow in the stretches given, quick elsewhere."""
    intended = np.arange(0, seconds, 0.01)
    slow = np.zeros(intended.shape, dtype=bool)
    for start, end in bad:
        slow |= (intended >= start) & (intended < end)
    return requests(intended, np.where(slow, 1.0, 0.04))


def group(at: FloatArray, **columns: FloatArray) -> GroupColumns:
    usual = {
        "usage_seconds": np.zeros_like(at),
        "limit_cores": np.full_like(at, np.inf),
        "throttled_seconds": np.zeros_like(at),
        "wait_seconds": np.zeros_like(at),
        "weight": np.full_like(at, 1024.0),
        "idle": np.zeros_like(at),
    }
    return GroupColumns(**{**usual, **columns})


def test_p95_is_the_smallest_latency_that_95_of_100_kept() -> None:
    assert figures.p95(np.arange(1.0, 101.0)) == 95.0
    assert math.isnan(figures.p95(np.empty(0)))


def test_the_series_covers_the_run_in_steps_and_is_nan_without_requests() -> None:
    moments, values = figures.p95_series(requests(np.array([0.5, 2.5]), np.array([0.1, 0.2])), 4.0)
    assert moments[0] == 1.0
    assert moments[-1] == pytest.approx(4.0)
    assert np.diff(moments) == pytest.approx(0.1)
    assert values[0] == 0.1
    assert math.isnan(values[10]), "nobody asked between 1 s and 2 s"
    assert values[-1] == pytest.approx(math.nan, nan_ok=True)


def test_a_run_shorter_than_a_window_has_no_series() -> None:
    moments, values = figures.p95_series(every_10_ms(), 0.5)
    assert moments.size == values.size == 0


def test_onset_is_when_more_than_one_in_twenty_of_the_last_second_were_slow() -> None:
    moments, values = figures.p95_series(every_10_ms((10.0, 30.0)), 30.0)
    onset = figures.onset_at(moments, values, SLO, from_seconds=8.0)
    assert onset == pytest.approx(10.1, abs=0.051)


def test_onset_looks_only_from_the_surge_on() -> None:
    moments, values = figures.p95_series(every_10_ms((2.0, 3.0)), 30.0)
    assert figures.onset_at(moments, values, SLO, from_seconds=8.0) is None


def test_recovery_is_the_first_of_five_good_seconds() -> None:
    moments, values = figures.p95_series(every_10_ms((10.0, 13.0), (15.0, 16.0)), 30.0)
    recovered = figures.recovered_at(moments, values, SLO, from_seconds=8.0)
    # The two good seconds before the relapse do not count, and the last slow ones must leave the window.
    assert recovered == pytest.approx(17.0, abs=0.11)


def test_no_recovery_without_five_seconds_left_or_without_a_violation() -> None:
    assert figures.recovered_at(*figures.p95_series(every_10_ms((10.0, 26.0)), 30.0), SLO, 8.0) is None
    assert figures.recovered_at(*figures.p95_series(every_10_ms(), 30.0), SLO, 8.0) is None


def test_seconds_without_requests_are_no_recovery() -> None:
    busy = every_10_ms((10.0, 13.0), seconds=13.0)
    assert figures.recovered_at(*figures.p95_series(busy, 30.0), SLO, 8.0) is None


def test_the_longest_relapse_counts_in_a_row_and_only_until_the_surge_ends() -> None:
    moments, values = figures.p95_series(every_10_ms((10.0, 11.0), (20.0, 21.0), (24.0, 27.0)), 30.0)
    until_the_end = figures.longest_relapse_seconds(moments, values, SLO, 12.0, 30.0)
    assert until_the_end == pytest.approx(3.9, abs=0.11)
    surge_only = figures.longest_relapse_seconds(moments, values, SLO, 12.0, 23.0)
    assert surge_only == pytest.approx(1.9, abs=0.11)


def test_violation_time_and_share() -> None:
    run = every_10_ms((10.0, 13.0))
    assert figures.over_slo_ratio(run, SLO) == pytest.approx(0.1)
    assert figures.violation_seconds(*figures.p95_series(run, 30.0), SLO) == pytest.approx(3.9, abs=0.11)


AT = np.arange(-1.0, 20.0, 0.05)


@pytest.mark.parametrize(
    "columns",
    [
        {"limit_cores": np.where(AT >= 5, 1.5, np.inf)},
        {"weight": np.where(AT >= 5, 2.0, 1024.0)},
        {"idle": np.where(AT >= 5, 1.0, 0.0)},
    ],
)
def test_every_kind_of_cut_is_seen(columns: dict[str, FloatArray]) -> None:
    assert figures.first_cut_at(AT, group(AT, **columns)) == pytest.approx(5.0, abs=0.051)


def test_a_raise_is_no_cut_and_neither_is_a_steady_limit() -> None:
    assert figures.first_cut_at(AT, group(AT, limit_cores=np.where(AT >= 5, 1.5, 1.0))) is None
    assert figures.first_cut_at(AT, group(AT)) is None
    assert figures.first_cut_at(np.empty(0), group(np.empty(0))) is None


def test_cores_are_usage_over_time_and_nan_where_nobody_looked() -> None:
    usage = group(AT, usage_seconds=AT * 0.7)
    assert figures.cores_between(AT, usage, 2.0, 12.0) == pytest.approx(0.7)
    assert math.isnan(figures.cores_between(AT, usage, 2.0, 25.0))
    moments, cores = figures.cores_series(AT, usage)
    assert moments[0] == pytest.approx(0.5)
    assert cores == pytest.approx(0.7)


def test_foreign_load_is_what_is_busy_beside_the_observed_groups() -> None:
    seen = Observations(
        at_seconds=AT,
        work_units=AT * 10,
        busy_seconds=AT * 1.6,
        stolen_seconds=AT * 0.1,
        groups={
            "online": group(AT, usage_seconds=AT * 0.5),
            "offline": group(AT, usage_seconds=AT * 0.7),
        },
    )
    assert figures.foreign_ratio(seen, 2, 0.0, 10.0) == pytest.approx(0.2)
    assert figures.stolen_ratio(seen, 2, 0.0, 10.0) == pytest.approx(0.05)
    assert figures.work_units_per_second(seen, 0.0, 10.0) == pytest.approx(10)


def test_send_lag_is_the_99th_of_a_hundred() -> None:
    lags = np.arange(1.0, 101.0) / 1000
    run = Requests(np.zeros(100), np.zeros(100), lags, np.ones(100, dtype=np.bool_))
    assert figures.send_lag_p99_seconds(run) == pytest.approx(0.099)
