from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from models.history import MIN_COVERAGE, History, percentile_of_sorted
from models.rates import METRICS

TICK = 0.25
finite = st.floats(-1e6, 1e6, width=32)


def filled(values: list[float], tick: float = TICK, window: float = 60.0) -> History:
    """A history of one row "a" with one value a tick."""
    history = History(window, TICK)
    history.keep(("a",))
    for n, value in enumerate(values):
        history.push(100 + n * tick, {"cpu_usage_cores": np.array([value])})
    return history


@settings(max_examples=200)
@given(
    arrays(
        np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=finite | st.just(math.nan)
    ),
    st.floats(0, 100),
)
def test_percentile_is_that_of_numpy(values: np.ndarray, percent: float) -> None:
    counts = np.count_nonzero(~np.isnan(values), axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = percentile_of_sorted(np.sort(values, axis=0), counts, percent)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = np.nanpercentile(values.astype(float), percent, axis=0)
    np.testing.assert_allclose(
        ours, theirs, rtol=1e-5, atol=1e-5 * max(1.0, float(np.nanmax(np.abs(values), initial=0)))
    )


def test_percentile_of_nothing() -> None:
    assert np.isnan(percentile_of_sorted(np.empty((0, 3), np.float32), np.zeros(3, int), 50)).all()


@given(
    st.lists(st.floats(-0.1, 0.1), min_size=1, max_size=60),
    st.sampled_from([0.5, 1.0, 2.0, 5.0]),
)
def test_a_window_is_its_ticks_however_they_jitter(jitter: list[float], seconds: float) -> None:
    """Ticks early or late by less than half a tick: a window of n ticks' length is the last n ticks."""
    history = History(60.0, TICK)
    history.keep(("a",))
    for n, off in enumerate(jitter):
        # The newest is in its place: it is the one the window is measured from.
        now = 100 + n * TICK + (off if n < len(jitter) - 1 else 0)
        history.push(now, {"cpu_usage_cores": np.array([float(n)])})
    wanted = min(len(jitter), round(seconds / TICK))
    expected = list(range(len(jitter) - wanted, len(jitter)))
    assert history.window("cpu_usage_cores", seconds)[:, 0].tolist() == expected
    assert len(history.times(seconds)) == wanted
    assert history.all_metrics(seconds).shape == (len(METRICS), wanted, 1)


@given(st.lists(st.floats(0.05, 3.0), min_size=1, max_size=300), st.floats(0.5, 60))
def test_a_window_never_reaches_further_back_than_it_says(gaps: list[float], seconds: float) -> None:
    history = History(60.0, TICK)
    history.keep(("a",))
    times = (50 + np.cumsum(gaps)).tolist()
    for now in times:
        history.push(now, {"cpu_usage_cores": np.array([now])})
    # Each tick is worth the time before it; half a tick of slack.
    kept = times[-(math.ceil(60 / TICK) + 1) :]
    expected = [now for now in kept if now >= times[-1] - seconds + TICK / 2] or [times[-1]]
    assert history.times(seconds).tolist() == expected
    assert len(history.window("cpu_usage_cores", seconds)) == len(expected)


def test_the_newest_tick_is_always_in() -> None:
    assert filled([1, 2, 3]).window("cpu_usage_cores", 0.1)[:, 0].tolist() == [3]


def test_nothing_seen_yet() -> None:
    history = History(60.0, TICK)
    history.keep(("a", "b"))
    assert history.window("cpu_usage_cores", 2.0).shape == (0, 2)
    assert len(history.times(2.0)) == 0
    assert np.isnan(history.percentile("cpu_usage_cores", 50, 2.0)).all()


def test_memory_is_bounded() -> None:
    history = filled(list(range(1000)), window=5.0)
    assert history.window("cpu_usage_cores", 1e9)[:, 0].tolist() == list(range(979, 1000))


@pytest.mark.parametrize(("ticks", "known"), [(5, False), (6, True), (8, True)])
def test_three_quarters_of_the_window_must_have_been_seen(ticks: int, known: bool) -> None:
    percentile = filled([1.0] * ticks).percentile("cpu_usage_cores", 20, 2.0)
    assert np.isnan(percentile[0]) != known
    assert MIN_COVERAGE == 0.75


def test_holes_count_as_not_seen() -> None:
    assert np.isnan(
        filled([1, math.nan, 1, math.nan, 1, 1, 1, math.nan]).percentile("cpu_usage_cores", 20, 2.0)
    )
    assert not np.isnan(filled([1, math.nan, 1, 1, 1, 1, 1, math.nan]).percentile("cpu_usage_cores", 20, 2.0))
    assert filled([math.nan, 3]).percentile("cpu_usage_cores", 50, 2.0, coverage=0.0) == 3


def test_a_late_loop_still_judges() -> None:
    """On a busy node ticks come late, which is when they are needed."""
    assert not np.isnan(filled([1.0] * 6, tick=0.45).percentile("cpu_usage_cores", 20, 2.0))


def test_one_value_after_a_stall_is_too_little() -> None:
    history = filled([0.0] * 8)
    history.push(110.0, {"cpu_usage_cores": np.array([1.0])})
    assert history.window("cpu_usage_cores", 2.0)[:, 0].tolist() == [1.0]
    assert np.isnan(history.percentile("cpu_usage_cores", 20, 2.0))


def test_a_clock_that_stands_still_adds_nothing() -> None:
    history = History(60.0, TICK)
    history.keep(("a",))
    for _ in range(20):
        history.push(100.0, {"cpu_usage_cores": np.array([1.0])})
    assert np.isnan(history.percentile("cpu_usage_cores", 20, 10.0))


def test_members_come_and_go() -> None:
    history = filled([1, 2])
    history.keep(("b", "a"))
    assert history.window("cpu_usage_cores", 1.0)[:, history.row["a"]].tolist() == [1, 2]
    assert np.isnan(history.window("cpu_usage_cores", 1.0)[:, history.row["b"]]).all()
    history.push(100.5, {"cpu_usage_cores": np.array([7.0, 3.0])})
    history.keep(("b",))
    history.keep(("b", "a"))
    assert history.window("cpu_usage_cores", 1.0)[-1].tolist()[0] == 7
    assert np.isnan(history.window("cpu_usage_cores", 1.0)[:, 1]).all()  # the old "a" is forgotten
    history.keep(())
    assert history.window("cpu_usage_cores", 1.0).shape == (3, 0)


def test_forget_empties_one_row() -> None:
    history = filled([1, 2])
    history.keep(("a", "b"))
    history.push(100.5, {"cpu_usage_cores": np.array([3.0, 4.0])})
    history.forget("a")
    assert np.isnan(history.window("cpu_usage_cores", 1.0)[:, 0]).all()
    assert history.window("cpu_usage_cores", 1.0)[-1, 1] == 4


def test_clear_forgets_the_ticks_too() -> None:
    history = filled([1] * 20)
    history.clear()
    assert history.window("cpu_usage_cores", 2.0).shape == (0, 1)
    history.push(200.0, {"cpu_usage_cores": np.array([5.0])})
    assert history.times(60.0).tolist() == [200.0]
    assert history.window("cpu_usage_cores", 60.0)[:, 0].tolist() == [5]


def test_time_above_a_threshold() -> None:
    history = filled([1, 3, math.nan, 3, 3])
    assert history.seconds_above("cpu_usage_cores", np.array([2.0]), 1.0).tolist() == [0.75]
    assert history.seconds_above("cpu_usage_cores", np.array([2.0]), 0.5).tolist() == [0.5]
    assert history.seconds_above("cpu_usage_cores", np.array([math.nan]), 2.0).tolist() == [0.0]
