from __future__ import annotations

import json
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.history import History
from models.profile import app_profile, profile, window_stats
from models.rates import METRICS, NODE

USAGE, WAIT = METRICS.index("cpu_usage_cores"), METRICS.index("cpu_wait_ratio")


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def history(rows: dict[str, list[float]], metric: str = "cpu_usage_cores") -> History:
    """One value a second of one metric per row."""
    made = History(60.0, 1.0)
    made.keep((*rows, NODE))
    for n, values in enumerate(zip(*rows.values(), strict=True)):
        made.push(1000.0 + n, {metric: np.array([*values, np.nan])})
    return made


def test_statistics_of_a_line() -> None:
    stats = profile(history({"a": [1, 2, 3, 4, 5]}), 5.0, 60.0).fast
    assert stats.mean[USAGE, 0] == 3
    assert stats.trend[USAGE, 0] == pytest.approx(1.0)
    assert stats.deviation[USAGE, 0] == pytest.approx(np.std([1, 2, 3, 4, 5]))
    assert stats.low[USAGE, 0] == pytest.approx(1.2)
    assert stats.high[USAGE, 0] == pytest.approx(4.8)
    assert stats.last[USAGE, 0] == 5


def test_the_fast_window_is_the_newest() -> None:
    made = profile(history({"a": [0] * 10 + [4] * 5}), 5.0, 60.0)
    assert (made.fast.mean[USAGE, 0], made.slow.mean[USAGE, 0]) == (4.0, pytest.approx(4 / 3))


@given(st.lists(st.floats(0, 100, width=32) | st.just(float("nan")), min_size=1, max_size=20))
def test_statistics_are_those_of_numpy(values: list[float]) -> None:
    stats = window_stats(np.array(values, np.float32).reshape(1, -1, 1), 1e6 + np.arange(len(values)))
    known = np.array([value for value in values if not np.isnan(value)])
    if not len(known):
        assert np.isnan(stats.mean[0, 0])
        return
    assert stats.mean[0, 0] == pytest.approx(known.mean(), abs=1e-9)
    assert stats.deviation[0, 0] == pytest.approx(known.std(), abs=1e-6)
    assert stats.low[0, 0] == pytest.approx(np.percentile(known, 5), abs=1e-4)
    assert stats.high[0, 0] == pytest.approx(np.percentile(known, 95), abs=1e-4)
    if len(known) > 1:
        when = np.flatnonzero(~np.isnan(values))
        assert stats.trend[0, 0] == pytest.approx(np.polyfit(when, known, 1)[0], abs=1e-4)


def test_nothing_seen() -> None:
    empty = History(60.0, 1.0)
    empty.keep(("a", NODE))
    shown = profile(empty, 5.0, 60.0).of("a")
    assert shown["cpu_usage_cores"]["fast"]["mean"] is None
    assert app_profile(empty, ["x", ""], 5.0, 60.0).of("x")["cpu_usage_cores"]["slow"]["high"] is None
    assert app_profile(empty, ["", ""], 5.0, 60.0).rows == ()


def test_one_row_is_plain_json() -> None:
    shown = profile(history({"a": [1, 2], "b": [3, 4]}), 5.0, 60.0).of("b")
    assert json.loads(json.dumps(shown, allow_nan=False))["cpu_usage_cores"]["fast"]["mean"] == 3.5
    assert shown["latency_seconds"]["fast"]["mean"] is None


def test_an_application_is_the_sum_of_its_containers() -> None:
    made = history({"a1": [1, 2, 3], "b": [50, 50, 50], "a2": [10, 10, np.nan], "none": [9, 9, 9]})
    apps = app_profile(made, ["a", "b", "a", "", ""], 5.0, 60.0)
    assert apps.rows == ("a", "b")
    assert apps.fast.mean[USAGE].tolist() == [pytest.approx((11 + 12 + 3) / 3), 50]
    assert apps.fast.last[USAGE].tolist() == [3, 50]


def test_of_ratios_the_worst_container_speaks_for_the_application() -> None:
    made = history({"a1": [0.1, np.nan], "a2": [0.4, np.nan]}, "cpu_wait_ratio")
    stats = app_profile(made, ["a", "a", ""], 5.0, 60.0).fast
    assert stats.high[WAIT, 0] == pytest.approx(0.4)
    assert np.isnan(stats.last[WAIT, 0])


def test_a_portrait_of_hundreds_is_quick() -> None:
    rng = np.random.default_rng(1)
    made = History(60.0, 0.25)
    made.keep((*(f"c{n}" for n in range(500)), NODE))
    for n in range(240):
        made.push(n * 0.25, {metric: rng.random(501) for metric in METRICS})
    apps = [f"app{n % 50}" for n in range(500)] + [""]
    assert app_profile(made, apps, 5.0, 60.0).slow.mean.shape == (len(METRICS), 50)
