from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from models.forecast import averaged, forecast

demand = st.floats(0, 512, width=32)


@given(
    arrays(
        np.float32, array_shapes(min_dims=2, max_dims=2, max_side=24), elements=demand | st.just(float("nan"))
    ),
    st.floats(0.1, 60),
    st.floats(50, 100),
    st.floats(0, 3),
    st.floats(0, 1e7),
)
def test_finite_and_never_negative(
    values: np.ndarray, horizon: float, percentile: float, deviations: float, start: float
) -> None:
    times = start + 0.25 * np.arange(len(values))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = forecast(values, times, horizon, percentile, deviations)
    seen = ~np.isnan(values).all(axis=0)
    assert np.isfinite(made[seen]).all()
    assert (made[seen] >= 0).all()
    assert np.isnan(made[~seen]).all()


def test_no_window_no_forecast() -> None:
    assert np.isnan(forecast(np.empty((0, 2), np.float32), np.empty(0), 3.0)).all()


@given(arrays(np.float32, (20, 1), elements=demand))
def test_never_below_the_windows_percentile(values: np.ndarray) -> None:
    made = forecast(values, np.arange(20) / 4, 3.0, 95.0, 0.0)[0]
    assert made >= np.percentile(values.astype(float), 95) - 1e-3


def test_steady_demand_is_forecast_as_it_is() -> None:
    assert forecast(np.full((20, 1), 1.5), np.arange(20) / 4, 3.0)[0] == pytest.approx(1.5, rel=0.03)


def test_a_ramp_is_led() -> None:
    times = np.arange(20) / 4
    assert forecast((0.1 * times)[:, np.newaxis], times, 3.0)[0] > 0.1 * times[-1] + 0.1


def test_a_fall_is_not_trusted_at_once() -> None:
    times = np.arange(20) / 4
    falling = 2 - 0.3 * times
    assert forecast(falling[:, np.newaxis], times, 3.0)[0] > falling[-1]


def test_each_row_by_itself() -> None:
    times = np.arange(20) / 4
    rng = np.random.default_rng(3)
    values = rng.random((20, 4)).astype(np.float32)
    values[:5, 1], values[:, 2] = np.nan, np.nan
    together = forecast(values, times, 3.0)
    alone = [forecast(values[:, [n]], times, 3.0)[0] for n in range(4)]
    np.testing.assert_allclose(together, alone)


def test_late_ticks_count_by_their_times() -> None:
    times = np.array([0.0, 0.25, 0.5, 1.5, 3.0])
    assert forecast((2 * times)[:, np.newaxis], times, 1.0, deviations=0.0)[0] <= 2 * 4.0 + 1e-6


def test_averaged_smooths_down_the_ticks_and_skips_what_was_not_seen() -> None:
    values = np.array([[1.0, np.nan], [3.0, 2.0], [5.0, np.nan], [7.0, np.nan]])
    np.testing.assert_allclose(averaged(values, 2), [[2.0, 2.0], [4.0, 2.0], [6.0, np.nan]])
    np.testing.assert_allclose(averaged(values, 9), [[4.0, 2.0]])
    assert averaged(values[:0], 4).shape == (0, 2)


def test_after_a_fall_only_what_came_since_counts() -> None:
    fallen = np.array([[2.0]] * 12 + [[0.5]] * 6)
    dipped = np.array([[2.0]] * 12 + [[1.7]] * 6)
    times = 0.25 * np.arange(18)
    assert forecast(fallen, times, 3.0)[0] == pytest.approx(0.51)
    assert forecast(dipped, times, 3.0)[0] > 2.0
