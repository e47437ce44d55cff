"""Giving back: slowly, step by step, and only what fits the demand that is forecast."""

from __future__ import annotations

import math

import numpy as np

from controller.cases import Case, Round
from controller.claims import Claim
from controller.states import Event
from models.control import give_back


def recover(case: Case, round_: Round) -> None:
    """One step of giving back what a recovering container holds; when nothing is left, it is normal."""
    recovery = round_.settings.recovery
    if round_.now - case.gave_back_at_seconds < recovery.interval:
        return
    case.gave_back_at_seconds = round_.now
    for claim in round_.ledger.of_victim(case.id):
        _raise_peer(case, claim, round_)
    if case.own_cores is not None:
        _lower_own(case, round_)
    held = bool(round_.ledger.of_victim(case.id)) or case.own_cores is not None
    if not held and round_.now - case.since_seconds >= round_.settings.states.recovering_dwell:
        round_.move(case, Event.GAVE_BACK, "recovered", "everything it held is given back")


def mark_idle_peers(case: Case, round_: Round) -> None:
    """Note since when each claimed peer has used far less than its limit: such a claim binds nobody."""
    recent = round_.seen.recent("cpu_usage_cores")
    for claim in round_.ledger.of_victim(case.id):
        row = round_.seen.row(claim.peer)
        idle = row is not None and recent[row] < round_.settings.recovery.idle_ratio * claim.target_cores
        if not idle:
            claim.idle_since_seconds = None
        elif claim.idle_since_seconds is None:
            claim.idle_since_seconds = round_.now


def _raise_peer(case: Case, claim: Claim, round_: Round) -> None:
    seen, recovery = round_.seen, round_.settings.recovery
    row = seen.row(claim.peer)
    if row is None:
        round_.ledger.release(claim)
        return
    # From here on the limit binds nobody: the peer can't use more than its CPUs.
    full = min(float(seen.base_cores[row]), float(len(seen.allowed_cpus[row])))
    room = math.inf if _safe(case, claim, round_) else _room(claim, row, round_)
    if claim.hurt_cores is not None and round_.now < claim.not_before_seconds:
        room = min(room, claim.hurt_cores - recovery.step_min_cores)
    target = give_back(claim.target_cores, full, room, recovery.step_ratio, recovery.step_min_cores)
    if target >= full - 1e-9:
        round_.ledger.release(claim)
    else:
        claim.target_cores = target


def _safe(case: Case, claim: Claim, round_: Round) -> bool:
    """Whether the peer may go on without a limit: the victim's demand is well below where it was hurt, or is
    no more there, or the peer has not used what it has for long."""
    seen, recovery = round_.seen, round_.settings.recovery
    row = seen.row(case.id)
    if row is None or case.gone:
        return True
    idle_since = claim.idle_since_seconds
    if idle_since is not None and round_.now - idle_since >= recovery.idle_for:
        return True
    forecast = float(seen.forecast_cores[row])
    hurt = case.hurt_demand_cores
    return hurt is not None and forecast <= recovery.safe_demand_ratio * hurt


def _room(claim: Claim, row: int, round_: Round) -> float:
    """Cores left for a peer when everybody else gets the demand forecast, and a reserve stays free."""
    seen = round_.seen
    others = np.nan_to_num(np.minimum(seen.forecast_cores[: len(seen.containers)], seen.limit_cores))
    targets = round_.ledger.targets()
    for n, container in enumerate(seen.containers):
        if container.id in targets:
            others[n] = min(targets[container.id], others[n])
    others[row] = 0.0
    return seen.cpus * (1 - round_.settings.recovery.reserve_ratio) - float(others.sum())


def _lower_own(case: Case, round_: Round) -> None:
    """Lower the container's own raised limit a step, unless its demand needs it."""
    seen, own = round_.seen, round_.settings.own_limit
    row = seen.row(case.id)
    if row is None or case.own_cores is None:
        case.own_cores = None
        return
    base = float(seen.base_cores[row])
    lower = max(base, case.own_cores / (1 + own.step_ratio))
    if seen.forecast_cores[row] > lower * (1 - own.reserve_ratio):
        return
    case.own_cores = None if lower <= base else lower
