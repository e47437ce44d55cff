"""The whole decision of one round, on one screen. Pure: it reads no clock and does no I/O.

roll call   who is there                                          (controller.roll_call)
gate        the node itself must be well                          (controller.gate)
rules       who is hurt?                                          (controller.rules)
diagnosis   why: own limit, peers, nothing here, nothing left     (controller.diagnosis)
relief      raise its own limit or cut peers, one small step      (controller.relief)
recovery    give back what the forecast has room for              (controller.recovery)
arbiter     one resource at a time, one target per container      (controller.arbiter)
"""

from __future__ import annotations

from controller.arbiter import CPU, Arbiter, settle
from controller.cases import Case, Decision, Round, gains_of
from controller.claims import Ledger
from controller.config import Config
from controller.diagnosis import priority_of
from controller.gate import Gate
from controller.recovery import mark_idle_peers, recover
from controller.relief import relieve
from controller.roll_call import call
from controller.rules import RuleBook
from controller.states import Event, State
from models.observation import Observation


class CommandCenter:
    """Decides, from what is seen and what it remembers, which limits should stand."""

    def __init__(self, settings: Config, rules: RuleBook) -> None:
        self.settings, self.rules = settings, rules
        self.cases: dict[str, Case] = {}
        self.ledger = Ledger()
        self.gate = Gate()
        self._arbiter = Arbiter(settings.executor.min_interval)

    def decide(self, seen: Observation) -> Decision:
        """One round. The decision names every limit that should differ from its base."""
        round_ = Round(seen, self.settings, self.ledger, Decision())
        call(self.cases, round_)
        if not self.gate.closed(self.cases.values(), round_):
            found = self.rules.evaluate(seen)
            for case in sorted(self.cases.values(), key=lambda case: -priority_of(case, round_)):
                if (finding := found.fired.get(case.id)) is not None:
                    if self._arbiter.grant(CPU, round_.now):
                        relieve(case, finding, round_)
                elif case.id not in found.unclear:
                    self._calm(case, round_)
                round_.tell(case)
        round_.decision.targets = settle(self.cases.values(), round_)
        return round_.decision

    def reconfigure(self, settings: Config, rules: RuleBook) -> None:
        """Other settings from now on; what is remembered stays."""
        self.settings, self.rules = settings, rules
        for case in self.cases.values():
            case.sensitivity.gains = gains_of(settings)

    def forget_claims(self) -> None:
        """All limits have been given back by hand: nobody holds anything any more."""
        for claim in self.ledger:
            self.ledger.release(claim)
        for case in self.cases.values():
            case.own_cores, case.step = None, None

    def _calm(self, case: Case, round_: Round) -> None:
        """Its rules have been clear for the hold time: leave the pressure behind, and give back."""
        lasted = round_.now - case.since_seconds
        holding = bool(round_.ledger.of_victim(case.id)) or case.own_cores is not None
        mark_idle_peers(case, round_)
        if case.state is State.PRESSURED and not holding:
            round_.move(case, Event.CLEARED, "clear", "its rules have been clear for the hold time")
        elif case.state is State.PRESSURED or (
            case.state is State.THROTTLING_PEER and lasted >= self.settings.states.throttling_peer_dwell
        ):
            round_.move(case, Event.CLEARED_HOLDING, "clear", "its rules have been clear for the hold time")
        elif case.state is State.RECOVERING and self.gate.may_give_back(round_.now):
            recover(case, round_)
