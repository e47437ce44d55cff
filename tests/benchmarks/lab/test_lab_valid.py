"""Runs that others disturbed are repeated, a bounded number of times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.lab.calibrate import alone_at
from benchmarks.lab.run import Caps, Run, RunFailed
from benchmarks.lab.scenario import Online, Scenario
from benchmarks.lab.valid import MOST_REPEATS, ValidStage
from tests.benchmarks.lab.fake_stage import FakeStage

SCENARIO = alone_at(Online(load=((0, 0.6),)), 0.6)


class Disturbed(FakeStage):
    """The first runs' generator is late."""

    def __init__(self, disturbed: int) -> None:
        super().__init__(lambda scenario, caps, seed: 0.05)
        self._left = disturbed

    def run(
        self, scenario: Scenario, controller: str, seed: int, *, slo_seconds: float, caps: Caps | None = None
    ) -> Run:
        run = super().run(scenario, controller, seed, slo_seconds=slo_seconds, caps=caps)
        self._left -= 1
        late = np.full(run.requests.intended_seconds.size, 0.02 if self._left >= 0 else 0.0)
        return replace(run, requests=replace(run.requests, send_lag_seconds=late))


def test_a_disturbed_run_is_repeated_and_told() -> None:
    told: list[str] = []
    stage = Disturbed(2)
    run = ValidStage(stage, told.append).run(SCENARIO, "alone", 1, slo_seconds=0.1)
    assert run.requests.send_lag_seconds.max() == 0
    assert len(stage.asked) == 3
    assert len(told) == 2 and "20 ms late" in told[0]


def test_it_gives_up_and_says_why() -> None:
    stage = Disturbed(100)
    with pytest.raises(RunFailed, match=r"alone-0\.6, alone, seed 1 is not valid: .* is the machine quiet"):
        ValidStage(stage, lambda line: None).run(SCENARIO, "alone", 1, slo_seconds=0.1)
    assert len(stage.asked) == 1 + MOST_REPEATS
