"""What came of each step, for the learner. Pure.

From a cut on, for `learner.judged_over`, it adds up for the victim

    reward = - violation seconds - cores_cost * core-seconds withheld - write_cost * limits changed

and tells it to the learner, per second. Violation is the SLO's where the signal is a latency and there is
one, else the rule's threshold. Withheld is what the victim's claims take from what their peers used before.
The span is longer than a step takes to settle, since a queue drains for seconds; steps within one span share
its outcome. Nothing is learnt from what can't be seen or was not done: with no signal for half the span, on a
frozen node, in a dry run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from controller.cases import Case, Round, Step, workload_of
from controller.claims import QUOTA, Ledger
from models.learner import Learner


@dataclass(slots=True)
class _Outcome:
    """A step, and what has come of it so far."""

    victim: str
    workload: str
    step: Step
    bearable: float
    seconds: float = 0.0
    violation_seconds: float = 0.0
    withheld_core_seconds: float = 0.0
    writes: int = 0


class Experience:
    """The steps whose outcome is not known yet."""

    def __init__(self) -> None:
        self._open: list[_Outcome] = []
        self._targets: dict[tuple[str, str], float] = {}
        self._at_seconds = math.nan

    def follow(self, cases: Mapping[str, Case], learner: Learner, round_: Round) -> None:
        """Take in one round, after it has been decided."""
        elapsed, self._at_seconds = round_.now - self._at_seconds, round_.now
        settings = round_.settings
        if not settings.learner.enabled or settings.dry_run or not round_.decision.write:
            self.drop()
            return
        before, self._targets = self._targets, _targets(round_.ledger)
        for outcome in self._open:
            self._watch(outcome, elapsed, before, round_)
        for outcome in [
            o for o in self._open if round_.now - o.step.at_seconds >= settings.learner.judged_over
        ]:
            self._open.remove(outcome)
            if outcome.seconds >= settings.learner.judged_over / 2:
                done = outcome.step
                learner.reward(outcome.workload, done.error, done.boldness, _reward(outcome, round_))
        for case in cases.values():
            if (step := case.step) is not None and step.ratio and step.at_seconds == round_.now:
                self._open.append(
                    _Outcome(case.id, workload_of(case.id, round_), step, _bearable(case, step, round_))
                )

    def drop(self) -> None:
        """Learn nothing from the steps that are open: something else than they decides what comes now."""
        self._open.clear()

    def _watch(
        self, outcome: _Outcome, elapsed: float, before: dict[tuple[str, str], float], round_: Round
    ) -> None:
        row = round_.seen.row(outcome.victim)
        signal = math.nan if row is None else float(round_.seen.recent(outcome.step.metric)[row])
        if math.isnan(signal) or not elapsed > 0:
            return
        outcome.seconds += elapsed
        outcome.violation_seconds += elapsed * (signal > outcome.bearable)
        claims = round_.ledger.of_victim(outcome.victim)
        withheld = sum(max(0.0, claim.reference_cores - claim.target_cores) for claim in claims)
        outcome.withheld_core_seconds += elapsed * withheld
        mine = {key for key in before.keys() | self._targets.keys() if key[0] == outcome.victim}
        outcome.writes += sum(before.get(key) != self._targets.get(key) for key in mine)


def _targets(ledger: Ledger) -> dict[tuple[str, str], float]:
    return {(claim.victim, claim.peer): claim.target_cores for claim in ledger if claim.rung == QUOTA}


def _bearable(case: Case, step: Step, round_: Round) -> float:
    """The signal above which its victim counts as violated."""
    slo = next((c.slo for c in round_.seen.containers if c.id == case.id), None)
    return slo.latency_seconds if slo is not None and step.metric == "latency_seconds" else step.target


def _reward(outcome: _Outcome, round_: Round) -> float:
    settings = round_.settings.learner
    cost = outcome.violation_seconds
    cost += settings.cores_cost * outcome.withheld_core_seconds + settings.write_cost * outcome.writes
    return -cost / outcome.seconds
