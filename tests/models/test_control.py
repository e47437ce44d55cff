from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.control import Gains, Sensitivity, cut, give_back

GAINS = Gains()
anything = st.floats(allow_nan=True, allow_infinity=True)
cores = st.floats(0, 256)


def arrays_of(*columns: list[float]) -> list[np.ndarray]:
    return [np.array(column, float) for column in columns]


@st.composite
def peers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    count = draw(st.integers(0, 12))

    def column(values: st.SearchStrategy[float]) -> np.ndarray:
        return np.array(draw(st.lists(values, min_size=count, max_size=count)), float)

    theta = column(st.floats(0, 50)) if draw(st.booleans()) else None
    return column(cores | st.just(math.nan)), column(st.floats(0, 4)), column(st.floats(1, 3)), theta


@settings(max_examples=300, deadline=None)
@given(peers(), anything, st.floats(0, 1), st.floats(0.01, 1), st.floats(0, 0.5))
def test_a_cut_never_leaves_its_bounds(
    given_peers: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None],
    error: float,
    small: float,
    large: float,
    step_min_cores: float,
) -> None:
    use, floor, cost, theta = given_peers
    gains = Gains(
        step_min_ratio=min(small, large), step_max_ratio=large, step_min_cores=step_min_cores, gain=0.8
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = cut(error, use, floor, cost, theta, gains)
    assert np.isfinite(made.target_cores).all()
    assert ((made.ratio >= 0) & (made.ratio <= large + 1e-9)).all()
    assert (made.target_cores >= floor).all()
    moved = made.ratio > 0
    taken = use[moved] - made.target_cores[moved]
    assert (taken <= large * use[moved] + 1e-9).all()
    assert (taken >= step_min_cores - 1e-9).all()  # the dead band swallows nothing
    assert not moved[np.isnan(use)].any()
    if not error > 0:
        assert not moved.any()


@given(st.floats(1e-6, 1e6))
def test_whoever_is_hurt_is_relieved(error: float) -> None:
    """With a peer that has something to give, no error above 0 is answered with nothing."""
    for theta in (None, np.array([0.0, 0.0]), np.array([1e-9, 0.0]), np.array([3.0, 1.0])):
        use, floor, cost = arrays_of([2.0, 1.0], [0.1, 0.1], [1.0, 1.0])
        assert cut(error, use, floor, cost, theta, GAINS).ratio.any()


def test_the_proportional_step_follows_the_error() -> None:
    use, floor, cost = arrays_of([2.0], [0.1], [1.0])
    steps = [cut(error, use, floor, cost, None, GAINS).ratio[0] for error in (0.01, 0.25, 5.0)]
    assert steps == [GAINS.step_min_ratio, pytest.approx(0.2), GAINS.step_max_ratio]
    assert cut(0.25, use, floor, cost, None, GAINS).target_cores[0] == pytest.approx(1.6)


def test_nothing_is_taken_from_who_has_nothing() -> None:
    use, floor, cost = arrays_of([0.0, 0.05, 0.1, math.nan, 2.0], [0.1] * 5, [1.0] * 5)
    made = cut(1.0, use, floor, cost, None, GAINS)
    assert (made.ratio > 0).tolist() == [False, False, False, False, True]
    assert made.target_cores[:4].tolist() == [0.1] * 4


def test_no_peers() -> None:
    none = np.empty(0)
    for theta in (None, none):
        made = cut(1.0, none, none, none, theta, GAINS)
        assert (len(made.ratio), made.predicted_error) == (0, 1.0)


def test_the_model_cuts_whom_the_victim_feels() -> None:
    use, floor, cost, theta = arrays_of([1.0, 1.0, 1.0], [0.1] * 3, [1.0] * 3, [2.0, 0.0, 0.05])
    made = cut(0.3, use, floor, cost, theta, GAINS)
    assert made.method == "model"
    assert made.ratio[0] >= GAINS.step_min_ratio
    assert made.ratio[1:].tolist() == [0.0, 0.0]
    assert made.predicted_error == pytest.approx(0.3 - 2 * made.ratio[0])


def test_the_model_spares_the_more_important() -> None:
    use, floor, cost, theta = arrays_of([1.0, 1.0], [0.1, 0.1], [1.0, 3.0], [1.0, 1.0])
    made = cut(0.4, use, floor, cost, theta, GAINS)
    assert made.ratio[0] > made.ratio[1]


def test_a_model_that_blames_nobody_is_no_help() -> None:
    use, floor, cost, theta = arrays_of([1.0, 2.0], [0.1, 0.1], [1.0, 1.0], [0.0, 0.0])
    made = cut(0.25, use, floor, cost, theta, GAINS)
    assert made.method == "proportional"
    assert made.ratio.tolist() == [pytest.approx(0.2)] * 2
    # ... nor one that blames only who is at the floor already.
    use, theta = np.array([0.1, 2.0]), np.array([5.0, 0.0])
    assert cut(0.25, use, floor, cost, theta, GAINS).ratio[1] > 0


def test_hundreds_of_peers() -> None:
    rng = np.random.default_rng(4)
    use, floor, cost = rng.random(300), np.full(300, 0.1), np.ones(300)
    assert (cut(0.5, use, floor, cost, rng.random(300), GAINS).target_cores >= 0.1).all()


@given(
    st.floats(0.01, 64),
    st.floats(0, 64),
    st.floats(0.01, 64),
    st.floats(0.01, 2),
    st.floats(0.001, 1),
    st.floats(0, 0.99),
    st.floats(0, 9),
)
def test_giving_back_is_monotone_and_bounded(
    target: float, room: float, full: float, step: float, least: float, part: float, more: float
) -> None:
    given_back = give_back(target, full, room, step, least, part)
    assert target <= given_back <= max(target, full)
    assert given_back <= max(target, room)
    assert given_back - target <= max(step * target, least, part * (min(room, full) - target)) + 1e-9
    assert give_back(target, full, room + more, step, least, part) >= given_back
    assert give_back(target, full + more, room, step, least, part) >= given_back
    assert give_back(target + more, full, room, step, least, part) >= given_back - 1e-9


def test_giving_back_arrives() -> None:
    target, steps = 0.01, 0
    while target < 4.0:
        target, steps = give_back(target, 4.0, math.inf, 0.35, 0.05, 0.0), steps + 1
    assert (target, steps < 30) == (4.0, True)


def known(peers: list[str], use: list[float] | None = None, gains: Gains = GAINS) -> Sensitivity:
    made = Sensitivity(gains)
    made.of(peers, np.array(use or [1.0] * len(peers)))
    return made


def test_sensitivity_is_learnt() -> None:
    rng = np.random.default_rng(5)
    truth = np.array([2.0, 0.0, 0.5])
    made = known(["a", "b", "c"])
    for _ in range(60):
        x = rng.random(3) * 0.4
        made.learn(dict(zip("abc", x, strict=True)), float(-x @ truth + rng.normal(0, 0.01)))
    theta = made.of(["c", "a", "b"], np.ones(3))
    assert theta is not None
    np.testing.assert_allclose(theta, [0.5, 2.0, 0.0], atol=0.1)


def test_more_cpu_for_a_peer_is_never_believed_to_help() -> None:
    made = known(["a"])
    for _ in range(30):
        made.learn({"a": 0.3}, +1.0)  # it was cut, and things got worse
    theta = made.of(["a"], np.ones(1))
    assert theta is None or theta[0] == 0.0


def test_a_new_model_is_not_trusted_and_a_fitting_one_is() -> None:
    made = known(["a"])
    assert made.of(["a"], np.ones(1)) is None
    for n in range(GAINS.fit_samples):
        assert not made.trusted, n
        made.learn({"a": 0.3}, -0.45)
    assert made.trusted
    assert made.fit > 0.9


def test_a_poor_fit_falls_back_to_the_proportional_step() -> None:
    rng = np.random.default_rng(6)
    made = known(["a"])
    for _ in range(10):
        made.learn({"a": 0.3}, -0.45)
    assert made.trusted
    for _ in range(30):
        made.learn({"a": 0.3}, float(rng.normal(0, 2)))
    assert not made.trusted
    assert made.of(["a"], np.ones(1)) is None
    for _ in range(80):
        made.learn({"a": 0.3}, -0.45)
    assert made.trusted  # ... and back


def test_it_keeps_learning_after_others_have_fallen_silent() -> None:
    """Forgetting goes on for a peer with news, though others have had none for long."""
    made = known(["a", "silent"])
    for _ in range(200):
        made.learn({"a": 0.3}, -0.3)
    for _ in range(60):
        made.learn({"a": 0.3}, -0.9)
    theta = made.of(["a"], np.ones(1))
    assert theta is not None
    assert theta[0] == pytest.approx(3.0, abs=0.2)


def test_what_teaches_nothing() -> None:
    made = known(["a"])
    made.learn({}, -1.0)
    made.learn({"stranger": 0.3}, -1.0)
    made.learn({"a": 0.0}, -1.0)
    made.learn({"a": 0.3}, math.nan)
    made.learn({"a": math.nan}, -1.0)
    assert made.fit == -math.inf


def test_memory_is_bounded_however_peers_come_and_go() -> None:
    made = Sensitivity(GAINS)
    for n in range(0, 5000, 7):
        names = [f"p{n + k}" for k in range(10)]
        made.of(names, np.ones(10))
        made.learn(dict.fromkeys(names, 0.2), -0.1)
        assert len(made) <= Sensitivity.MAX_PEERS
    assert made.of([f"q{n}" for n in range(200)], np.ones(200)) is None
    assert len(made) <= Sensitivity.MAX_PEERS


def test_what_was_learnt_of_those_present_outlives_the_pruning() -> None:
    made = known(["a"])
    for _ in range(20):
        made.learn({"a": 0.3}, -0.6)
    for n in range(200):
        theta = made.of(["a", f"p{n}"], np.ones(2))
    assert theta is not None
    assert theta[0] == pytest.approx(2.0, abs=0.1)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-20, 20)), max_size=60))
def test_theta_is_finite_and_never_negative(samples: list[tuple[float, float, float]]) -> None:
    made = known(["a", "b"], gains=Gains(fit_min=-math.inf, fit_samples=0))
    for a, b, change in samples:
        made.learn({"a": a, "b": b}, change)
    theta = made.of(["a", "b"], np.ones(2))
    if theta is not None:
        assert np.isfinite(theta).all()
        assert (theta >= 0).all()


def test_switched_off_the_model_says_nothing_and_unestimated_it_stays_at_its_start() -> None:
    use = np.array([3.0, 1.0])
    off = Sensitivity(Gains(model="proportional", fit_min=-math.inf, fit_samples=0))
    assert off.of(["a", "b"], use) is None
    prior = Sensitivity(Gains(model="prior", prior_sensitivity=2.0))
    for _ in range(20):
        assert prior.of(["a", "b"], use) == pytest.approx([1.5, 0.5])
        prior.learn({"a": 0.4, "b": 0.1}, -3.0)
