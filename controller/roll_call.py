"""Who is there: new containers are met, and what belongs to those that are gone is let go."""

from __future__ import annotations

from controller.cases import Case, Round, gains_of
from controller.eligibility import may_claim
from controller.states import Event, State
from models.control import Sensitivity


def call(cases: dict[str, Case], round_: Round) -> None:
    """Bring the cases up to date with the containers seen.

    A claim on a peer that is gone goes with it, and so does one that its victim has no right to any more. A
    victim that is gone stays as a case until its claims have decayed, as in recovering.
    """
    inodes = {container.id: container.inode for container in round_.seen.containers}
    for name in round_.seen.history.ids:
        inode = inodes.get(name, 0)
        case = cases.get(name)
        if case is None:
            sensitivity = Sensitivity(gains_of(round_.settings))
            cases[name] = Case(name, inode, sensitivity, since_seconds=round_.now)
        elif case.inode != inode or case.gone:  # the id lives on under another cgroup, with limits of its own
            case.inode, case.own_cores, case.gone = inode, None, False
            _release(name, round_)
    for name in [name for name in cases if name not in round_.seen.history.row]:
        case = cases[name]
        _release(name, round_)
        case.gone, case.own_cores = True, None
        if not round_.ledger.of_victim(name):
            del cases[name]
    for claim in round_.ledger:
        row = round_.seen.row(claim.peer)
        if row is not None and not cases[claim.victim].gone and not may_claim(claim.victim, row, round_):
            round_.ledger.release(claim)
    for case in cases.values():
        if case.own_cores is not None and round_.ledger.on_peer(case.id):
            case.own_cores = None  # who is held back for others has nothing raised
        if case.state is State.THROTTLING_PEER and not round_.ledger.of_victim(case.id):
            reason = "its last claimed peer is gone, out of reach, or was given back by hand"
            round_.move(case, Event.ACQUITTED, "nothing-held", reason)


def _release(peer: str, round_: Round) -> None:
    for claim in round_.ledger.on_peer(peer):
        round_.ledger.release(claim)
