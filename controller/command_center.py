"""The whole decision of one round, on one screen. Pure: it reads no clock and does no I/O.

roll call   who is there                                          (controller.roll_call)
gate        the node itself must be well                          (controller.gate)
rules       who is hurt?                                          (controller.rules)
diagnosis   why: own limit, peers, nothing here, nothing left     (controller.diagnosis)
suspects    which peers: ranked, tested, acquitted                (controller.suspects)
rung 0      peers that can give way by weight do so first         (controller.rung0)
relief      raise its own limit or cut peers, one small step      (controller.relief)
recovery    give back what the forecast has room for              (controller.recovery)
arbiter     one resource at a time, one target per container      (controller.arbiter)
experience  what came of earlier steps, for the learner           (controller.experience)
"""

from __future__ import annotations

import logging

from controller import rung0
from controller.arbiter import CPU, Arbiter, settle
from controller.cases import Alert, Case, Decision, Round, gains_of, learner_settings_of
from controller.claims import Ledger
from controller.config import Config
from controller.eligibility import priority_of
from controller.experience import Experience
from controller.gate import Gate
from controller.recovery import calm
from controller.relief import learn, relieve
from controller.roll_call import call
from controller.rules import Findings, RuleBook
from controller.suspects import conclude
from models.learner import Learner
from models.observation import Observation

log = logging.getLogger(__name__)


class CommandCenter:
    """Decides, from what is seen and what it remembers, which limits should stand."""

    def __init__(self, settings: Config, rules: RuleBook) -> None:
        self.settings, self.rules = settings, rules
        self.cases: dict[str, Case] = {}
        self.ledger = Ledger()
        self.gate = Gate()
        self.learner = Learner(learner_settings_of(settings))
        self._experience = Experience()
        self._standing = rung0.Standing()
        self._arbiter = Arbiter(settings.executor.min_interval)

    def decide(self, seen: Observation) -> Decision:
        """One round. The decision names every limit that should differ from its base."""
        round_ = Round(seen, self.settings, self.ledger, Decision(), self.learner)
        call(self.cases, round_)
        rung0.prune(self.cases.values(), round_)
        if not self.gate.closed(self.cases.values(), round_):
            found = self.rules.evaluate(seen)
            for case in sorted(self.cases.values(), key=lambda case: -priority_of(case.id, round_)):
                try:
                    self._treat(case, found, round_)
                except Exception as error:  # one container's must not be the others'
                    log.exception("%s: its decision failed", case.id)
                    round_.decision.alerts.append(Alert("stood-down", case.id, f"no decision: {error}"))
        round_.decision.targets = settle(self.cases.values(), round_)
        round_.decision.weights = rung0.weights(round_, self._standing)
        self._experience.follow(self.cases, self.learner, round_)
        return round_.decision

    def _treat(self, case: Case, found: Findings, round_: Round) -> None:
        conclude(case, round_)
        if not self.settings.dry_run:  # what was not done has no outcome
            learn(case, round_)
        finding = found.fired.get(case.id)
        if finding is not None or case.id in found.unclear:
            case.ill_at_seconds = round_.now
        if finding is not None:
            if self._arbiter.grant(CPU, round_.now):
                relieve(case, finding, round_)
        elif case.id not in found.unclear:
            calm(case, self.gate.may_give_back(round_.now), round_)
        round_.tell(case)

    def reconfigure(self, settings: Config, rules: RuleBook) -> None:
        """Other settings from now on; what is remembered stays."""
        self.settings, self.rules = settings, rules
        self.learner.reconfigure(learner_settings_of(settings))
        for case in self.cases.values():
            case.sensitivity.gains = gains_of(settings)

    def reset_learner(self) -> list[str]:
        """Forget what was learnt, also of steps still open; the workloads that something was known of."""
        self._experience.drop()
        return self.learner.reset()

    def forget_claims(self, now_seconds: float) -> None:
        """All limits have been given back by hand: nobody holds anything, and for a while nobody shall."""
        for claim in self.ledger:
            until = now_seconds + self.settings.diagnosis.acquit_for
            self.cases[claim.victim].acquitted[claim.peer] = until
            self.ledger.release(claim)
        for case in self.cases.values():
            case.own_cores, case.step = None, None
        self._standing.rest(now_seconds + self.settings.diagnosis.acquit_for)
        self._experience.drop()
