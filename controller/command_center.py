"""The whole decision of one round, on one screen. Pure: it reads no clock and does no I/O.

gate        the node itself must be well
rules       who is hurt?
diagnosis   why: own limit, peers, nothing here, or nothing left to do (controller.diagnosis)
relief      raise its own limit or cut peers, one small step      (controller.relief)
recovery    give back what the forecast has room for              (controller.recovery)
arbiter     one resource at a time, one target per container
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
from controller.rules import RuleBook
from controller.states import Event, State
from models.control import Sensitivity
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
        self._keep_up(round_)
        if not self.gate.closed(self.cases.values(), round_):
            found = self.rules.evaluate(seen)
            for case in sorted(self.cases.values(), key=lambda case: -priority_of(case, round_)):
                if (finding := found.fired.get(case.id)) is not None:
                    if self._arbiter.grant(CPU, round_.now):
                        relieve(case, finding, round_)
                elif case.id not in found.unclear:
                    self._calm(case, round_)
        round_.decision.targets = settle(self.cases.values(), round_)
        return round_.decision

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

    def _keep_up(self, round_: Round) -> None:
        """Meet new containers; let go of peers that are gone; let the claims of a gone victim decay."""
        here = {container.id: container.inode for container in round_.seen.containers}
        for name in round_.seen.history.ids:
            case = self.cases.get(name)
            if case is None:
                sensitivity = Sensitivity(gains_of(self.settings))
                self.cases[name] = Case(name, here.get(name, 0), sensitivity, since_seconds=round_.now)
            elif case.inode != here.get(name, 0):  # the id lives on under another cgroup: what held the
                case.inode, case.own_cores = here[name], None  # old one back went with it
                self._release_peer(name, round_)
        for name in [name for name in self.cases if name not in round_.seen.history.row]:
            case = self.cases[name]
            self._release_peer(name, round_)
            case.gone, case.own_cores = True, None
            if case.state is State.NORMAL or not round_.ledger.of_victim(name):
                del self.cases[name]

    def _release_peer(self, name: str, round_: Round) -> None:
        for claim in round_.ledger.on_peer(name):
            round_.ledger.release(claim)
            victim = self.cases[claim.victim]
            if victim.state is State.THROTTLING_PEER and not round_.ledger.of_victim(victim.id):
                round_.move(victim, Event.ACQUITTED, "peer-gone", f"its last claimed peer {name} is gone")
