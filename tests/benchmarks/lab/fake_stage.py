"""A stage that runs nothing: latencies follow from load and caps by a rule that the test gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.lab.run import Caps, Floats, Requests, Run
from benchmarks.lab.scenario import Scenario

Rule = Callable[[Scenario, Caps | None, int], "float | Floats"]


class FakeStage:
    """`rule`: the latency of every request in seconds, or of each, of the scenario, the caps and the seed. A
    hundred requests a second, evenly. `asked` are the runs: scenario, controller, seed, caps."""

    backend = "simulated"
    cpus = 2

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self.asked: list[tuple[Scenario, str, int, Caps | None]] = []

    def run(
        self, scenario: Scenario, controller: str, seed: int, *, slo_seconds: float, caps: Caps | None = None
    ) -> Run:
        self.asked.append((scenario, controller, seed, caps))
        intended = np.arange(0.0, scenario.seconds, 0.01)
        latency = np.zeros(intended.size) + self._rule(scenario, caps, seed)
        # Nobody is to judge the warm-up.
        latency[intended < scenario.warm_up_seconds] = 10.0
        nothing = np.zeros(2)
        return Run(
            scenario=scenario.name,
            controller=controller,
            seed=seed,
            backend=self.backend,
            cpus=self.cpus,
            slo_seconds=slo_seconds,
            at_seconds=np.array([0.0, scenario.seconds]),
            busy_seconds=nothing,
            stolen_seconds=nothing,
            requests=Requests(intended, latency, np.zeros(intended.size)),
            groups={},
            restored=True,
        )
