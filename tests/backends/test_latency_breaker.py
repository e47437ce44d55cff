"""The breaker, on a clock that the test holds."""

from __future__ import annotations

import random

import pytest

from backends.latency.breaker import Breaker, SourceState


class Highest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return b


def opened(rng: random.Random, failures: int = 3) -> Breaker:
    breaker = Breaker(rng)
    for _ in range(failures):
        breaker.failed("refused", 10.0)
    return breaker


def test_two_failures_in_a_row_are_borne() -> None:
    breaker = opened(Highest(), failures=2)
    assert breaker.state == SourceState("ok", "refused")
    assert breaker.wait_seconds(10.0) == 0
    breaker.succeeded()
    breaker.failed("refused", 11.0)
    breaker.failed("refused", 12.0)
    assert breaker.state.state == "ok"


def test_three_failures_in_a_row_open_it() -> None:
    breaker = opened(Highest())
    assert breaker.state == SourceState("open", "refused")
    assert breaker.wait_seconds(10.25) == 0.75
    assert breaker.wait_seconds(11.0) == 0


def test_the_back_off_doubles_to_a_minute_and_no_more() -> None:
    breaker, now, waits = opened(Highest()), 10.0, []
    for _ in range(9):
        waits.append(breaker.wait_seconds(now))
        now += waits[-1]
        breaker.failed("refused", now)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_probe_that_succeeds_closes_it_and_the_next_back_off_is_short_again() -> None:
    breaker = opened(Highest(), failures=6)
    assert breaker.wait_seconds(10.0) == 8
    breaker.succeeded("no such metric")
    assert breaker.state == SourceState("ok", "no such metric")
    for _ in range(3):
        breaker.failed("refused", 20.0)
    assert breaker.wait_seconds(20.0) == 1


@pytest.mark.parametrize("seed", range(20))
def test_the_jitter_never_waits_longer_and_never_less_than_half(seed: int) -> None:
    breaker = opened(random.Random(seed), failures=12)
    assert 30 <= breaker.wait_seconds(10.0) <= 60


def test_sources_that_failed_together_are_not_asked_together() -> None:
    rng = random.Random(1)
    assert opened(rng).wait_seconds(10.0) != opened(rng).wait_seconds(10.0)
