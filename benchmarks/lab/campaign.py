"""Runs a plan's cells one after the other: what is on disk already is not run again, what is not valid is
repeated a bounded number of times, and a run that fails does not stop the others.

Nothing is lost by an interruption but the run in hand: each run is saved as it ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.lab.figures import reasons_invalid
from benchmarks.lab.plan import Plan
from benchmarks.lab.run import Caps, Run, RunFailed, Stage
from benchmarks.lab.scenario import Scenario
from benchmarks.lab.store import Cell, Record, Store

MOST_REPEATS = 3
# Before the first run has told: a real run's processes need time to start and to end.
_USUAL_WALL_PER_SECOND = 1.15


class Preparation(Protocol):
    """What must be known of a scenario before it is run. May take runs of its own; raises RunFailed."""

    def slo_seconds(self, scenario: Scenario) -> float:
        """The SLO, fixed before anything is tuned."""

    def caps(self, scenario: Scenario) -> Caps:
        """The oracle's caps."""


@dataclass(frozen=True)
class Outcome:
    """How a cell went, told when it has. `record` None: it was on disk already, or it could not be prepared.

    `seconds_left` is an estimate for all cells still to come of which there is no run at all.
    """

    title: str
    number: int
    total: int
    seconds_left: float
    record: Record | None
    attempt: int = 1
    failure: str | None = None

    @property
    def reused(self) -> bool:
        return self.record is None and self.failure is None


@dataclass
class Tally:
    """What became of the cells so far. `lost`: cells without a valid run after all repeats."""

    run: int = 0
    reused: int = 0
    invalid: int = 0
    failed: int = 0
    lost: list[str] = field(default_factory=list)

    def count(self, outcome: Outcome) -> None:
        record = outcome.record
        self.reused += outcome.reused
        self.run += record is not None and record.valid
        self.invalid += record is not None and bool(record.reasons)
        self.failed += outcome.failure is not None

    def __str__(self) -> str:
        told = f"{self.run} run, {self.reused} on disk already, {self.invalid} invalid, {self.failed} failed"
        return told + (f"; without a valid run: {', '.join(self.lost)}" if self.lost else "")


class Campaign:
    """One plan on one stage. `scenarios`: all there are, by name; `wanted` (scenario, controller, seed):
    which of the plan's cells. `started` is told (title, number, total) before each cell; `clock` (seconds)
    is for the time left."""

    def __init__(
        self,
        plan: Plan,
        stage: Stage,
        preparation: Preparation,
        store: Store,
        *,
        scenarios: dict[str, Scenario],
        commit: str,
        machine: str,
        wanted: Callable[[str, str, int], bool] = lambda scenario, controller, seed: True,
        started: Callable[[str, int, int], None] = lambda title, number, total: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stage, self._preparation, self._store = stage, preparation, store
        self._scenarios, self._commit, self._machine = scenarios, commit, machine
        self._started, self._clock = started, clock
        by_seed = plan.by_seed(sorted(scenarios))
        every = [(name, control, seed) for seed, cells in by_seed.items() for name, control in cells]
        self._cells = [cell for cell in every if wanted(*cell)]
        self._wall_seconds = self._ran_seconds = 0.0
        self.tally = Tally()

    @property
    def titles(self) -> list[str]:
        """Of all runs, in order."""
        return [_title(*cell) for cell in self._cells]

    def forget(self, wanted: Callable[[str], bool]) -> int:
        """Remove the runs on disk of this plan's cells whose controller is wanted; the number of files."""
        return sum(
            self._store.forget(name, controller, seed, self._stage.backend)
            for name, controller, seed in self._cells
            if wanted(controller)
        )

    def run(self) -> Iterator[Outcome]:
        """Run cell after cell and tell of every attempt. Raises OSError when a run can't be saved."""
        for number, (name, controller, seed) in enumerate(self._cells, start=1):
            title = _title(name, controller, seed)
            self._started(title, number, len(self._cells))
            valid = False
            for outcome in self._cell(title, number, self._scenarios[name], controller, seed):
                self.tally.count(outcome)
                valid = outcome.reused or (outcome.record is not None and outcome.record.valid)
                yield outcome
            if not valid:
                self.tally.lost.append(title)

    def _cell(
        self, title: str, number: int, scenario: Scenario, controller: str, seed: int
    ) -> Iterator[Outcome]:
        def outcome(record: Record | None, attempt: int, failure: str | None = None) -> Outcome:
            left = self.seconds_left(number)
            return Outcome(title, number, len(self._cells), left, record, attempt, failure)

        try:
            cell = Cell(
                scenario,
                controller,
                seed,
                self._stage.backend,
                self._preparation.slo_seconds(scenario),
                self._preparation.caps(scenario) if controller == "oracle" else None,
            )
        except (RunFailed, ValueError) as error:
            yield outcome(None, 1, f"not prepared: {error}")
            return
        if self._store.has(cell):
            yield outcome(None, 1)
            return
        for attempt in range(1, MOST_REPEATS + 2):
            record = self._attempt(cell)
            yield outcome(record, attempt, record.failure)
            if record.valid or record.hopeless:
                return

    def _attempt(self, cell: Cell) -> Record:
        began = self._clock()
        run: Run | None = None
        reasons: tuple[str, ...] = ()
        failure, hopeless = None, False
        try:
            run = self._stage.run(
                cell.scenario, cell.controller, cell.seed, slo_seconds=cell.slo_seconds, caps=cell.caps
            )
            reasons = tuple(reasons_invalid(run, cell.scenario))
        except (RunFailed, ValueError) as error:
            failure = str(error) or type(error).__name__
            hopeless = isinstance(error, ValueError)
        wall = self._clock() - began
        if run is not None:
            self._wall_seconds += wall
            self._ran_seconds += cell.scenario.seconds
        return self._store.keep(
            cell,
            Record(
                scenario=cell.scenario,
                controller=cell.controller,
                seed=cell.seed,
                backend=cell.backend,
                slo_seconds=cell.slo_seconds,
                commit=self._commit,
                machine=self._machine,
                wall_seconds=wall,
                reasons=reasons,
                failure=failure,
                hopeless=hopeless,
            ),
            run,
        )

    def seconds_left(self, number: int = 0) -> float:
        """An estimate for the cells after the first `number`."""
        per_second = self._wall_seconds / self._ran_seconds if self._ran_seconds else _USUAL_WALL_PER_SECOND
        return per_second * sum(
            self._scenarios[name].seconds
            for name, controller, seed in self._cells[number:]
            if not self._store.has_any(name, controller, seed, self._stage.backend)
        )


def _title(scenario: str, controller: str, seed: int) -> str:
    return f"{scenario} · {controller} · seed {seed}"
