"""One scenario on the real kernel, with the engine as an operator would run it."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from benchmarks.scenarios.table import Outcome, Scenario
from controller.demo.acts import ServiceSettings, run_act
from controller.demo.engine import Engine
from controller.demo.report import act_figures
from controller.demo.result import GroupColumns
from controller.demo.scene import Scene
from models.container import Slo

SLO = Slo(0.25)


def run_scenario(
    scenario: Scenario, iterations_per_ms: float, seed: int = 1
) -> tuple[Outcome, dict[str, Any]]:
    """Run it; what was seen, and the figures of validity. Raises ActFailed or EngineFailed."""
    engine = Engine()
    with Scene() as scene:
        act = run_act(
            scene,
            scenario.timeline(os.cpu_count() or 1),
            engine,
            slo=SLO,
            service=ServiceSettings(iterations_per_ms, downstream_ms=scenario.downstream_ms),
            conditions=scenario.conditions,
            seed=seed,
        )
    online, offline = act.observations.online, act.observations.offline
    outcome = Outcome(
        online_limit_changes=_changes(online),
        offline_limit_changes=_changes(offline),
        online_limit_raised=bool((online.limit_cores > online.limit_cores[0]).any()),
        restored=act.restored,
        alerts=frozenset(alert["kind"] for alert in engine.alerts),
    )
    figures = act_figures(act, SLO.latency_seconds, None)
    kept = ("valid", "foreign_load_ratio", "stolen_ratio", "send_lag_p99_seconds", "p95_during_seconds")
    return outcome, {key: figures[key] for key in kept}


def _changes(group: GroupColumns) -> int:
    return int(np.count_nonzero(group.limit_cores[1:] != group.limit_cores[:-1]))
