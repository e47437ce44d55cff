"""A stage whose runs are valid: what others on the machine disturbed is run again."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.lab.figures import reasons_invalid
from benchmarks.lab.run import Caps, Run, RunFailed, Stage
from benchmarks.lab.scenario import Scenario

MOST_REPEATS = 3


class ValidStage:
    """A `Stage` over another one. `tell` hears of every run that was not valid."""

    def __init__(self, stage: Stage, tell: Callable[[str], None]) -> None:
        self.backend, self.cpus = stage.backend, stage.cpus
        self._stage, self._tell = stage, tell

    def run(
        self, scenario: Scenario, controller: str, seed: int, *, slo_seconds: float, caps: Caps | None = None
    ) -> Run:
        """See `Stage.run`. Raises RunFailed also when every repeat was invalid."""
        told = ""
        for _ in range(1 + MOST_REPEATS):
            run = self._stage.run(scenario, controller, seed, slo_seconds=slo_seconds, caps=caps)
            reasons = reasons_invalid(run, scenario)
            if not reasons:
                return run
            told = f"{scenario.name}, {controller}, seed {seed} is not valid: {'; '.join(reasons)}"
            self._tell(told)
        raise RunFailed(f"{told} ({1 + MOST_REPEATS} times; is the machine quiet?)")
