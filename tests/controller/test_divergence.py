"""The alert for a limit that stands off its spec."""

from __future__ import annotations

import math

import numpy as np
import pytest

from controller.config import DivergenceConfig
from controller.divergence import Divergence
from models.container import Container
from models.history import History
from models.observation import Observation

SETTINGS = DivergenceConfig(**{"for": "10s", "clear_after": "5s"})  # type: ignore[arg-type]


class Watched:
    """One container on four CPUs, looked at once a second."""

    def __init__(self, spec: float | None = 2.0, base: float = 2.0) -> None:
        self.divergence = Divergence()
        self.spec, self.base, self.inode, self.now = spec, base, 1, 0.0

    def see(self, limit: float, seconds: int = 1) -> list[tuple[str, str]]:
        """The alerts after the limit has been so for some seconds."""
        for _ in range(seconds):
            self.now += 1.0
            alerts = self.divergence.update(self._observation(limit), SETTINGS)
        self.messages = [alert.message for alert in alerts]
        return [(alert.kind, alert.container) for alert in alerts]

    def _observation(self, limit: float) -> Observation:
        one = np.array
        return Observation(
            now_seconds=self.now,
            containers=(Container("web", "/web", self.inode, spec_cores=self.spec),),
            history=History(60.0, 0.25),
            cpus=4,
            priority=np.zeros(1, np.int64),
            limit_cores=one([limit]),
            base_cores=one([self.base]),
            forecast_cores=one([0.0]),
            allowed_cpus=(frozenset(range(4)),),
        )


RAISED = [("vpa-divergence", "web")]


def test_raised_after_a_while_and_cleared_after_a_while() -> None:
    watched = Watched()
    assert watched.see(1.0, 10) == []
    assert watched.see(1.0) == RAISED
    assert "1.00 cores against a spec of 2.00 cores" in watched.messages[0]
    assert watched.see(2.0, 5) == RAISED
    assert watched.see(2.0) == []
    assert watched.see(1.0, 10) == []


def test_an_agreement_in_between_starts_the_time_anew() -> None:
    watched = Watched()
    watched.see(1.0, 9)
    watched.see(2.0)
    assert watched.see(1.0, 10) == []
    assert watched.see(1.0) == RAISED


def test_once_raised_a_short_agreement_does_not_clear_it() -> None:
    watched = Watched()
    watched.see(1.0, 11)
    for _ in range(10):
        assert watched.see(2.0, 4) == RAISED
        assert watched.see(1.0) == RAISED


@pytest.mark.parametrize("limit", [1.97, 2.03, 2.0])
def test_within_the_tolerance_they_agree(limit: float) -> None:
    assert Watched().see(limit, 30) == []


@pytest.mark.parametrize(
    ("spec", "limit", "off"),
    [
        (math.inf, math.inf, False),
        (math.inf, 4.0, False),  # as much as the node has
        (8.0, math.inf, False),
        (math.inf, 1.0, True),
        (2.0, math.inf, True),
        (1.0, 1.5, True),  # above it counts as well
    ],
)
def test_no_limit(spec: float, limit: float, off: bool) -> None:
    assert bool(Watched(spec).see(limit, 30)) == off


def test_without_a_spec_the_base_counts() -> None:
    assert Watched(None, 3.0).see(3.0, 30) == []
    assert Watched(None, 3.0).see(1.0, 30) == RAISED


def test_what_can_not_be_read_neither_raises_nor_clears() -> None:
    watched = Watched()
    assert watched.see(math.nan, 60) == []
    watched.see(1.0, 11)
    assert watched.see(math.nan, 60) == RAISED


def test_another_container_of_the_same_name_starts_anew() -> None:
    watched = Watched()
    watched.see(1.0, 11)
    watched.inode = 2
    assert watched.see(1.0, 10) == []
