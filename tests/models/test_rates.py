from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from models.container import NodeSample, Sample
from models.rates import METRICS, Rates

CPUS = 4


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def sample(at: float, busy: float = 0.0, **rows: dict[str, float]) -> Sample:
    """A sample of containers named by keyword, with these counters; the others are NaN."""
    made = Sample.empty(at, tuple(rows), NodeSample(CPUS, busy, 0.0, 0.0, 0.0))
    for n, columns in enumerate(rows.values()):
        for name, value in columns.items():
            getattr(made, name)[n] = value
    return made


def usage(seconds: float) -> dict[str, float]:
    return {"usage_seconds": seconds}


def test_the_first_sample_gives_gauges_only() -> None:
    columns = Rates().update(sample(1.0, a={"usage_seconds": 5, "memory_bytes": 7}))
    assert columns["memory_bytes"][0] == 7
    assert all(np.isnan(columns[name]).all() for name in METRICS if name != "memory_bytes")


def test_differences() -> None:
    rates = Rates()
    rates.update(sample(10.0, busy=20.0, a=usage(5), b=usage(1)))
    before = {"periods": 100, "throttled_periods": 10, "throttled_seconds": 1.0, "wait_seconds": 2.0}
    rates.update(sample(11.0, busy=21.0, a=usage(6) | before, b=usage(2)))
    after = {"periods": 105, "throttled_periods": 14, "throttled_seconds": 1.25, "wait_seconds": 2.4}
    columns = rates.update(
        sample(11.5, busy=22.0, a=usage(6.5) | after | {"run_delay_seconds": 1}, b=usage(2))
    )
    row = {name: columns[name][0] for name in METRICS}
    assert row["cpu_usage_cores"] == pytest.approx(1.0)
    assert row["cpu_throttled_ratio"] == pytest.approx(0.8)
    assert row["cpu_wait_ratio"] == pytest.approx(0.8)
    assert row["cpu_demand_cores"] == pytest.approx(1.5)  # what the limit held back counts
    assert math.isnan(row["cpu_run_delay_ratio"])  # there was no earlier reading
    assert columns["cpu_usage_cores"].tolist() == [
        pytest.approx(1.0),
        0.0,
        pytest.approx(math.nan, nan_ok=True),
    ]
    assert columns["node_cpu_ratio"][-1] == pytest.approx(0.5)


def test_rows_follow_the_names_not_the_places() -> None:
    rates = Rates()
    rates.update(sample(1.0, a=usage(1), b=usage(100), gone=usage(7)))
    columns = rates.update(sample(2.0, b=usage(101), new=usage(50), a=usage(3)))
    np.testing.assert_allclose(columns["cpu_usage_cores"], [1.0, math.nan, 2.0, math.nan])


def test_a_container_that_comes_back_starts_anew() -> None:
    rates = Rates()
    rates.update(sample(1.0, a=usage(1)))
    rates.update(sample(2.0))
    assert np.isnan(rates.update(sample(3.0, a=usage(9)))["cpu_usage_cores"]).all()


def test_a_counter_that_went_back_says_nothing() -> None:
    rates = Rates()
    old = {
        "usage_seconds": 100,
        "periods": 10,
        "throttled_periods": 5,
        "throttled_seconds": 9,
        "wait_seconds": 9,
    }
    rates.update(sample(1.0, busy=50, a=old))
    new = dict.fromkeys(old, 0.5)
    columns = rates.update(sample(2.0, busy=1, a=new))
    for name in METRICS:
        assert np.isnan(columns[name]).all(), name
    columns = rates.update(sample(3.0, busy=2, a=new | usage(1.5)))
    assert columns["cpu_usage_cores"][0] == 1.0


def test_a_recreated_container_that_is_busier_than_the_old_one() -> None:
    rates = Rates()
    rates.update(sample(1.0, a=usage(1), b=usage(1)))
    rates.forget("a")
    columns = rates.update(sample(2.0, a=usage(2), b=usage(2)))
    np.testing.assert_allclose(columns["cpu_usage_cores"], [math.nan, 1.0, math.nan])
    assert rates.update(sample(3.0, a=usage(2.5), b=usage(3)))["cpu_usage_cores"][0] == 0.5


def test_a_clock_that_stands_still_gives_nothing_and_breaks_nothing() -> None:
    rates = Rates()
    rates.update(sample(1.0, a=usage(1)))
    assert np.isnan(rates.update(sample(1.0, a=usage(2)))["cpu_usage_cores"]).all()
    assert rates.update(sample(2.0, a=usage(3)))["cpu_usage_cores"][0] == 1.0


def test_ratios_stay_ratios() -> None:
    """The group that binds may change between two readings, and clocks are not read at once."""
    rates = Rates()
    zero = {
        "usage_seconds": 0,
        "periods": 0,
        "throttled_periods": 0,
        "throttled_seconds": 0,
        "wait_seconds": 0,
    }
    rates.update(sample(1.0, a=zero))
    jumped = {
        "usage_seconds": 1,
        "periods": 10,
        "throttled_periods": 5000,
        "throttled_seconds": 1e5,
        "wait_seconds": 1.3,
    }
    columns = rates.update(sample(2.0, busy=4.2, a=jumped))
    assert columns["cpu_throttled_ratio"][0] == 1.0
    assert columns["cpu_wait_ratio"][0] == 1.0
    assert columns["node_cpu_ratio"][-1] == 1.0
    assert columns["cpu_demand_cores"][0] == 1.0  # nobody was held back for 100,000 s in one


def test_no_period_no_throttling() -> None:
    rates = Rates()
    rates.update(sample(1.0, a={"periods": 3, "throttled_periods": 1}, b={}))
    columns = rates.update(sample(2.0, a={"periods": 3, "throttled_periods": 1}, b={}))
    assert columns["cpu_throttled_ratio"][0] == 0
    assert np.isnan(columns["cpu_throttled_ratio"][1])


def test_no_containers() -> None:
    rates = Rates()
    rates.update(sample(1.0))
    assert rates.update(sample(2.0, busy=2.0))["node_cpu_ratio"].tolist() == [0.5]
