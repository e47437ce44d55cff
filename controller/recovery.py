"""Giving back: slowly, step by step, and only what fits the demand that is forecast."""

from __future__ import annotations

import math

import numpy as np

from controller.cases import Case, Round
from controller.claims import QUOTA, Claim
from controller.rung0 import give_way_no_more
from controller.states import Event, State
from models.container import FloatArray
from models.control import give_back

COMFORT_PERCENTILE = 80.0


def calm(case: Case, may_give_back: bool, round_: Round) -> None:
    """Its rules have been clear for the hold time: leave the pressure behind, and give back step by step."""
    lasted = round_.now - case.since_seconds
    claims = round_.ledger.of_victim(case.id)
    for claim in round_.ledger.of_victim(case.id, QUOTA):
        _mark_idle(claim, round_)
    reason = "its rules have been clear for the hold time"
    if case.state is State.PRESSURED and not claims and case.own_cores is None:
        round_.move(case, Event.CLEARED, "clear", reason)
    elif case.state is State.PRESSURED or (
        case.state is State.THROTTLING_PEER and lasted >= round_.settings.states.throttling_peer_dwell
    ):
        for claim in claims:
            claim.helped, claim.moved_at_seconds = True, round_.now
        round_.move(case, Event.CLEARED_HOLDING, "clear", reason)
    elif case.state is State.RECOVERING and may_give_back:
        _note_need(case, round_)
        _give_back(case, round_)


def _note_need(case: Case, round_: Round) -> None:
    """What the victim needs, now that it gets it and its queue is gone from the window, is what it was hurt
    at: while it was hurt it could not use so much. The mean, not the forecast: that errs on the high side,
    and a part of it is soon undercut by chance."""
    window = round_.settings.forecast.fast_window
    row = round_.seen.row(case.id)
    drained = round_.now - case.since_seconds >= window
    if case.need_known or not drained or row is None or case.hurt_demand_cores is None:
        return
    used = round_.seen.history.window("cpu_demand_cores", window)[:, row]
    if not np.isnan(used).all():
        need = float(np.nanmean(used))
        case.hurt_demand_cores, case.need_known = max(need, case.hurt_demand_cores), True


def _give_back(case: Case, round_: Round) -> None:
    """One step of giving back; when nothing is left to give back, the container is normal."""
    if round_.now - case.gave_back_at_seconds < round_.settings.recovery.interval:
        return
    case.gave_back_at_seconds = round_.now
    for claim in round_.ledger.of_victim(case.id, QUOTA):
        _raise_peer(case, claim, round_)
    give_way_no_more(case, round_)
    if case.own_cores is not None:
        _lower_own(case, round_)
    held = bool(round_.ledger.of_victim(case.id)) or case.own_cores is not None
    if not held and round_.now - case.since_seconds >= round_.settings.states.recovering_dwell:
        round_.move(case, Event.GAVE_BACK, "recovered", "everything it held is given back")


def _mark_idle(claim: Claim, round_: Round) -> None:
    """Note since when a claimed peer has used far less than its limit: such a claim binds nobody."""
    row = round_.seen.row(claim.peer)
    used = math.nan if row is None else float(round_.seen.recent("cpu_usage_cores")[row])
    if not used < round_.settings.recovery.idle_ratio * claim.target_cores:
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
    room = math.inf
    if not _safe(case, claim, round_):
        room = _room(row, round_)
        if room <= claim.target_cores and _may_probe(case, claim, round_):
            room = claim.target_cores + recovery.step_min_cores
        if claim.hurt_cores is not None and round_.now < claim.not_before_seconds:
            room = min(room, claim.hurt_cores - recovery.step_min_cores)
    target = give_back(
        claim.target_cores,
        full,
        room,
        recovery.step_ratio,
        recovery.step_min_cores,
        recovery.approach_ratio,
    )
    if target >= full - 1e-9:
        round_.ledger.release(claim)
    elif target > claim.target_cores:
        claim.target_cores, claim.moved_at_seconds = target, round_.now


def _safe(case: Case, claim: Claim, round_: Round) -> bool:
    """Whether the peer may go on without a limit: the victim's demand is well below where it was hurt, or it
    is no more there, or the peer has not used what it has for long."""
    seen, recovery = round_.seen, round_.settings.recovery
    row = seen.row(case.id)
    if row is None or case.gone:
        return True
    idle_since = claim.idle_since_seconds
    if idle_since is not None and round_.now - idle_since >= recovery.idle_for:
        return True
    if case.hurt_demand_cores is None:
        return False
    return bool(seen.forecast_cores[row] <= recovery.safe_demand_ratio * case.hurt_demand_cores)


def _may_probe(case: Case, claim: Claim, round_: Round) -> bool:
    """Whether a limit that finds no room is to be raised a little all the same: a forecast errs on the high
    side, and a victim that stays comfortably below its threshold shows it. Each
    relapse doubles the wait."""
    recovery = round_.settings.recovery
    wait = min(recovery.probe_after * 2 ** min(case.relapses, 16), recovery.probe_after_max)
    if case.step is None or round_.now - claim.moved_at_seconds < wait:
        return False
    row = round_.seen.history.row[case.id]
    signal = float(round_.seen.percentile(case.step.metric, COMFORT_PERCENTILE, recovery.probe_after)[row])
    return signal <= recovery.comfort_ratio * case.step.target  # False where it is not known


def _room(row: int, round_: Round) -> float:
    """Cores left for a peer when everybody else gets the demand forecast, and a reserve stays free."""
    seen = round_.seen
    others = np.minimum(_demand(round_), seen.limit_cores)
    targets = round_.ledger.targets()
    for n, container in enumerate(seen.containers):
        if container.id in targets:
            others[n] = min(targets[container.id], others[n])
    others[row] = 0.0
    return seen.cpus * (1 - round_.settings.recovery.reserve_ratio) - float(others.sum())


def _demand(round_: Round) -> FloatArray:
    """What is forecast for each container; what it uses now where nothing is; 0 where neither is known."""
    seen = round_.seen
    count = len(seen.containers)
    forecast, used = seen.forecast_cores[:count], seen.recent("cpu_usage_cores")[:count]
    demand: FloatArray = np.nan_to_num(np.where(np.isnan(forecast), used, forecast))
    return demand


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
