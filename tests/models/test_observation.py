from __future__ import annotations

import math

import numpy as np

from models.container import Container
from models.history import History
from models.observation import Observation
from models.rates import NODE


def seen(values: list[float], tick: float = 0.25) -> Observation:
    history = History(60.0, tick)
    history.keep(("a", NODE))
    for n, value in enumerate(values):
        history.push(n * tick, {"cpu_usage_cores": np.array([value, math.nan])})
    one = np.ones(1)
    return Observation(
        now_seconds=len(values) * tick,
        containers=(Container("a", "/a", 1),),
        history=history,
        cpus=2,
        priority=np.zeros(1, np.int64),
        limit_cores=one,
        base_cores=one,
        forecast_cores=one,
        allowed_cpus=(frozenset({0, 1}),),
    )


def test_recent_is_the_mean_of_the_last_half_second() -> None:
    assert seen([9, 9, 1, 2]).recent("cpu_usage_cores").tolist()[0] == 1.5
    assert seen([9, 9, 1, math.nan]).recent("cpu_usage_cores")[0] == 1
    assert np.isnan(seen([9, 9, math.nan, math.nan]).recent("cpu_usage_cores")).all()
    assert np.isnan(seen([]).recent("cpu_usage_cores")).all()


def test_recent_of_slow_ticks_is_the_last_one() -> None:
    assert seen([9, 3], tick=0.5).recent("cpu_usage_cores")[0] == 3


def test_a_percentile_is_computed_once_a_round_for_each_coverage() -> None:
    now = seen([1.0, 1.0])
    assert np.isnan(now.percentile("cpu_usage_cores", 20, 2.0)[0])
    assert now.percentile("cpu_usage_cores", 20, 2.0, coverage=0.0)[0] == 1
    assert now.percentile("cpu_usage_cores", 20, 2.0) is now.percentile("cpu_usage_cores", 20, 2.0)


def test_rows() -> None:
    now = seen([1.0])
    assert (now.row("a"), now.row(NODE), now.row("gone")) == (0, 1, None)
