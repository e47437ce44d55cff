"""What is done for a container that is hurt: its own limit raised, or its peers cut, one small step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from controller.cases import Case, Round, Step, Verdict, gains_of
from controller.claims import QUOTA, Claim
from controller.diagnosis import Diagnosis, ceiling_cores, diagnose
from controller.rules import Finding
from controller.rung0 import ask_to_give_way
from controller.states import Event, State
from controller.suspects import choose
from models.control import cut

MOST_DOUBLINGS = 16


def relieve(case: Case, finding: Finding, round_: Round) -> None:
    """Answer the pressure on one container. It waits while the last step settles or its queue drains."""
    diagnosis = diagnose(case, round_)
    inputs = {"signal": round(finding.signal, 4), "target": round(finding.target, 4), **diagnosis.numbers}
    if case.state is State.NORMAL:
        round_.move(case, Event.FIRED, finding.rule, f"{finding.metric} is above its threshold", **inputs)
    elif case.state is State.RECOVERING:
        _relapse(case, finding, inputs, round_)
    round_.judge(case, diagnosis.verdict, diagnosis.reason)
    if diagnosis.verdict is Verdict.NOT_LOCAL:
        _acquit(case, diagnosis, inputs, round_)
    elif diagnosis.verdict is Verdict.OWN_LIMIT and diagnosis.headroom_cores:
        if _settled(case, finding, round_):
            _raise_own(case, finding, diagnosis, round_)
    elif diagnosis.verdict in (Verdict.PEERS, Verdict.OWN_LIMIT) and _settled(case, finding, round_):
        accused = _accused(case, finding, diagnosis, round_)
        _cut_peers(case, finding, accused, {**inputs, "suspects": dict(case.suspects)}, round_)


def learn(case: Case, round_: Round) -> None:
    """Give the control model the last step's outcome, once it has settled."""
    step = case.step
    row = round_.seen.row(case.id)
    if step is None or not step.ratio or row is None:
        return
    if round_.now - step.at_seconds >= round_.settings.control.settle:
        now = Finding("", step.metric, float(round_.seen.recent(step.metric)[row]), step.target)
        case.sensitivity.learn(step.ratio, now.error - step.error)
        case.step = Step(step.at_seconds, step.metric, step.target, step.error, {})


def _relapse(case: Case, finding: Finding, inputs: dict[str, float], round_: Round) -> None:
    """Pressure is back while limits are being given back: remember the level that hurt, and wait longer."""
    recovery = round_.settings.recovery
    binding = [c for c in round_.ledger.of_victim(case.id, QUOTA) if c.idle_since_seconds is None]
    if not binding:
        round_.move(case, Event.FIRED, finding.rule, "pressure of another cause", **inputs)
        return
    doubled = recovery.relapse_backoff * 2 ** min(case.relapses, MOST_DOUBLINGS)
    wait = min(doubled, recovery.relapse_backoff_max)
    case.relapses += 1
    forecast = float(round_.seen.forecast_cores[round_.seen.history.row[case.id]])
    if case.hurt_demand_cores is not None:  # so much was not safe after all
        case.hurt_demand_cores = min(case.hurt_demand_cores, forecast)
    for claim in binding:
        claim.hurt_cores = claim.target_cores
        claim.not_before_seconds = round_.now + wait
    reason = f"pressure is back; the next return to this level waits {wait:g} s"
    round_.move(case, Event.RELAPSED, finding.rule, reason, **inputs)


def _settled(case: Case, finding: Finding, round_: Round) -> bool:
    """Whether the next step may be taken: the last one has had its time, and no queue is draining in time."""
    control = round_.settings.control
    if case.step is None:
        return True
    if round_.now - case.step.at_seconds < control.settle:
        return False
    row = round_.seen.history.row[case.id]
    values = round_.seen.history.window(finding.metric, control.settle)[:, row]
    times = round_.seen.history.times(control.settle)
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < 2:
        return True
    first, last = known[0], known[-1]
    pace = (values[first] - values[last]) / (times[last] - times[first])
    return not (pace > 0 and (values[last] - finding.target) / pace <= control.drain)


def _accused(case: Case, finding: Finding, diagnosis: Diagnosis, round_: Round) -> Diagnosis:
    """The diagnosis with those peers only who are to blame as far as is known, and what each uses now."""
    seen, rows = round_.seen, diagnosis.peers
    use = np.fmax(seen.recent("cpu_usage_cores")[rows], diagnosis.use_cores)
    use = np.minimum(np.nan_to_num(use), seen.limit_cores[rows])
    chosen = np.ones(len(rows), bool)
    if diagnosis.verdict is Verdict.PEERS and diagnosis.several:
        gives = use - np.array([seen.containers[n].floor_cores for n in rows])
        chosen = choose(case, finding.metric, finding.error, rows, gives, round_)
    return replace(diagnosis, peers=rows[chosen], use_cores=use[chosen])


def _cut_peers(
    case: Case, finding: Finding, diagnosis: Diagnosis, inputs: dict[str, Any], round_: Round
) -> None:
    seen, rows = round_.seen, ask_to_give_way(case, finding, diagnosis, inputs, round_)
    mixed = len(rows) < len(diagnosis.peers)
    if not len(rows):
        return
    peers = [seen.containers[n] for n in rows]
    names = [peer.id for peer in peers]
    use = diagnosis.use_cores[np.isin(diagnosis.peers, rows)]
    cost = 1.0 + (seen.priority[rows] - seen.priority[rows].min()) / 50
    boldness = round_.boldness(case, finding.error)
    step = cut(
        finding.error,
        use,
        np.array([peer.floor_cores for peer in peers]),
        cost,
        case.sensitivity.of(names, use),
        gains_of(round_.settings, boldness),
    )
    if not step.ratio.any():
        return
    for name, used, target, ratio in zip(names, use, step.target_cores, step.ratio, strict=True):
        if ratio <= 0:
            continue
        claim = round_.ledger.get(case.id, name)
        if claim is None:
            claim = Claim(case.id, name, float(target), float(used), round_.now)
            round_.ledger.put(claim)
        claim.target_cores = min(claim.target_cores, float(target))
        claim.idle_since_seconds = None
    if case.hurt_demand_cores is None:
        case.hurt_demand_cores = float(seen.recent("cpu_usage_cores")[seen.history.row[case.id]])
    # What giving way did is not to be learnt as the quota's effect.
    ratios = {} if mixed else dict(zip(names, step.ratio.tolist(), strict=True))
    case.step = Step(round_.now, finding.metric, finding.target, finding.error, ratios, boldness)
    if case.state is State.PRESSURED:
        reason = f"{diagnosis.reason}; first cut ({step.method})"
        round_.move(case, Event.CLAIMED, finding.rule, reason, **inputs)


def _raise_own(case: Case, finding: Finding, diagnosis: Diagnosis, round_: Round) -> None:
    """Raise the container's own limit by what the node has free, at most one step, up to its ceiling."""
    own = round_.settings.own_limit
    limit = float(round_.seen.limit_cores[round_.seen.history.row[case.id]])
    step = min(own.step_ratio * limit, diagnosis.headroom_cores)
    wanted = min(limit + step, ceiling_cores(case, round_))
    if case.own_cores is None or wanted > case.own_cores:
        case.own_cores = wanted
        case.step = Step(round_.now, finding.metric, finding.target, finding.error, {})


def _acquit(case: Case, diagnosis: Diagnosis, inputs: dict[str, float], round_: Round) -> None:
    """Its peers are cut, it does not wait any more, and it is still slow: they are not to blame for this."""
    claims = round_.ledger.of_victim(case.id)
    since = max(case.since_seconds, case.step.at_seconds if case.step else case.since_seconds)
    if not claims or round_.now - since < round_.settings.control.patience:
        return
    for claim in claims:
        if not claim.helped:
            case.acquitted[claim.peer] = round_.now + round_.settings.diagnosis.acquit_for
        round_.ledger.release(claim)
    if case.state is State.THROTTLING_PEER:
        reason = f"cut without effect: {diagnosis.reason}; rolled back"
        round_.move(case, Event.ACQUITTED, "ineffective", reason, **inputs)
