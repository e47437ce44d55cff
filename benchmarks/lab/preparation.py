"""What a campaign needs to know before a run: the SLO of a scenario and the oracle's caps.

Both are measured once, on the campaign's own stage, and kept on disk beside its runs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.lab import calibrate, oracle
from benchmarks.lab.measured import Measured
from benchmarks.lab.run import Caps, Stage
from benchmarks.lab.scenario import Scenario


class Prepared:
    """`directory`: where measurements are kept. `slo_seconds`: of every scenario, instead of calibrating.

    `tell` is told of every measurement, which take minutes. Raises OSError and ValueError for files of
    measurements that can't be read.
    """

    def __init__(
        self, stage: Stage, directory: Path, tell: Callable[[str], None], slo_seconds: float | None = None
    ) -> None:
        self._stage, self._tell, self._given = stage, tell, slo_seconds
        self._slos = Measured(directory / calibrate.FILE, stage.backend)
        levels = Measured(directory / oracle.FILE, stage.backend)
        self._oracle = oracle.Oracle(stage, levels, stage.cpus, tell)

    def slo_seconds(self, scenario: Scenario) -> float:
        """See `campaign.Preparation`."""
        if self._given is not None:
            return self._given
        return calibrate.calibrate(self._stage, scenario, self._slos, self._tell).slo_seconds

    def caps(self, scenario: Scenario) -> Caps:
        """See `campaign.Preparation`."""
        return self._oracle.caps(scenario, self.slo_seconds(scenario))
