"""An act made of numbers, as if it had run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from controller.demo.load import Rate, draw_arrivals
from controller.demo.result import ActResult, GroupColumns, Observations, Requests
from controller.demo.timeline import Timeline, make_timeline
from models.container import FloatArray

MakeAct = Callable[..., ActResult]
TIMELINE = make_timeline("made", (10.0, 40.0, 20.0), cpus=2)


def _group(at: FloatArray, cores: float, limit: FloatArray) -> GroupColumns:
    nothing = np.zeros_like(at)
    usage = np.cumsum(np.full_like(at, cores * 0.05))
    return GroupColumns(usage, limit, nothing, nothing, np.full_like(at, 1024.0), nothing)


@pytest.fixture
def make_act() -> MakeAct:
    def make(
        controller: str = "quotapilot",
        *,
        bad_from: float = 11.0,
        bad_until: float = 14.0,
        cut_at: float | None = 12.0,
        timeline: Timeline = TIMELINE,
        states: tuple[tuple[float, str], ...] = (),
    ) -> ActResult:
        rates = [Rate(phase.seconds, phase.rate_per_second) for phase in timeline.phases]
        intended = draw_arrivals(1, rates)
        latency = np.where((intended >= bad_from) & (intended < bad_until), 0.8, 0.04)
        at = np.arange(-1.0, timeline.total_seconds + 2, 0.05)
        cut = np.zeros(at.shape, dtype=bool) if cut_at is None else (at >= cut_at) & (at < 60)
        unlimited = np.full_like(at, np.inf)
        return ActResult(
            controller=controller,
            backend="cgroup-v1",
            cpus=2,
            timeline=timeline,
            seed=1,
            requests=Requests(
                intended, latency, np.full_like(intended, 0.001), np.ones(intended.shape, dtype=np.bool_)
            ),
            observations=Observations(
                at_seconds=at,
                work_units=np.cumsum(np.full_like(at, 50.0)),
                busy_seconds=np.cumsum(np.full_like(at, 0.08)),
                stolen_seconds=np.zeros_like(at),
                groups={
                    "online": _group(at, 0.5, unlimited),
                    "offline": _group(at, 1.0, np.where(cut, 0.5, unlimited)),
                },
            ),
            states=states,
            restored=True,
        )

    return make
