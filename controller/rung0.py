"""Rung 0 of the answer to pressure: a peer gives way by weight before anything is taken from it by quota.

A weight costs the peer nothing while there is CPU left, so it comes first wherever it can work
(`controller.rungs`), and is given back late. Whether it suffices shows by itself: a peer that gives way uses
only what its victim leaves. If the pressure lasts, nothing drains, and the peer still uses CPU that the
victim waits for, the diagnosis names the peer again, and the quota (rung 1) is the next answer. It goes
back first, the weight after it.

With `rung0.when: always` peers give way before anybody is hurt, and a quota is the first answer to pressure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.cases import Case, Round, Step, Verdict, WeightTarget
from controller.claims import QUOTA, Claim
from controller.diagnosis import Diagnosis
from controller.eligibility import may_claim
from controller.rules import Finding
from controller.rungs import helps, within
from controller.states import Event, State
from models.rates import NODE

ALWAYS = "always"
STILL_USED_RATIO = 0.5  # of what they used before: then a weight has not worked


def ask_to_give_way(
    case: Case, finding: Finding, diagnosis: Diagnosis, inputs: dict[str, Any], round_: Round
) -> NDArray[np.intp]:
    """Claim by weight the peers found guilty for which that can work and has not been done; the rows of the
    others, which only a quota can hold back: there a weight can't work, or did not suffice."""
    rows = diagnosis.peers
    if diagnosis.verdict is not Verdict.PEERS:  # room for its own limit is made by quotas only
        return rows
    rung = round_.settings.rung0.actuator
    new = [n for n in rows.tolist() if _untried(case, n, round_)]
    for n in new:
        peer = round_.seen.containers[n].id
        used = float(np.nan_to_num(round_.seen.recent("cpu_usage_cores")[n]))
        round_.ledger.put(
            Claim(case.id, peer, math.inf, used, round_.now, rung=rung, moved_at_seconds=round_.now)
        )
    if new:
        case.step = Step(round_.now, finding.metric, finding.target, finding.error, {})
        if case.hurt_demand_cores is None:
            row = round_.seen.history.row[case.id]
            case.hurt_demand_cores = float(round_.seen.recent("cpu_usage_cores")[row])
        if case.state is State.PRESSURED:
            reason = f"{diagnosis.reason}; they give way by weight first ({rung})"
            round_.move(case, Event.CLAIMED, finding.rule, reason, **inputs)
    return np.array([n for n in rows.tolist() if not _on_trial(case, n, round_)], np.intp)


def give_way_no_more(case: Case, round_: Round) -> None:
    """Release the victim's claims by weight that have been of no need for the time they are kept."""
    for claim in round_.ledger.of_victim(case.id):
        if claim.rung == QUOTA:
            continue
        if round_.ledger.get(case.id, claim.peer) is not None or _needed(case, claim, round_):
            claim.moved_at_seconds = round_.now
        elif case.gone or round_.now - claim.moved_at_seconds >= round_.settings.rung0.keep:
            round_.ledger.release(claim)


def prune(cases: Iterable[Case], round_: Round) -> None:
    """Strike out claims by weight that can't be in force: the group is not to be written any more, somebody
    who may not be touched is in it, or the configuration names another actuator. What they were to answer is
    open again."""
    lost = set()
    for claim in round_.ledger:
        row = round_.seen.row(claim.peer)
        stale = claim.rung != round_.settings.rung0.actuator
        if claim.rung != QUOTA and (stale or row is None or not _group(claim.victim, row, round_)):
            round_.ledger.release(claim)
            lost.add(claim.victim)
    for case in cases:
        if case.id in lost:
            case.step = None


def weights(round_: Round, standing: Standing) -> dict[str, WeightTarget]:
    """The groups that are to give way, by group."""
    wanted = standing.of(round_) if round_.settings.rung0.when == ALWAYS else {}
    for claim in round_.ledger:
        row = round_.seen.row(claim.peer)
        if claim.rung == QUOTA or row is None:
            continue
        group = round_.seen.rung0_groups[row]
        wanted.setdefault(group, WeightTarget(claim.peer, group, claim.victim, f"claimed by {claim.victim}"))
    wanted.pop("", None)
    return wanted


class Standing:
    """The groups that give way all the time, to whoever is more important and could be hurt by them.

    Found anew only when something that matters has changed, as it looks at every pair.
    """

    def __init__(self) -> None:
        self._known: object = None
        self._wanted: dict[str, WeightTarget] = {}
        self._not_before_seconds = -math.inf

    def rest(self, until_seconds: float) -> None:
        """Somebody has given everything back by hand: nothing is asked for until then."""
        self._not_before_seconds = until_seconds

    def of(self, round_: Round) -> dict[str, WeightTarget]:
        """By group. The dictionary is the caller's."""
        seen = round_.seen
        if round_.now < self._not_before_seconds:
            return {}
        who = (seen.containers, seen.priority.tobytes(), seen.allowed_cpus)
        known = (who, seen.rung0_groups, seen.hands_off)
        if known != self._known:
            self._known, self._wanted = known, self._find(round_)
        return dict(self._wanted)

    def _find(self, round_: Round) -> dict[str, WeightTarget]:
        containers = round_.seen.containers
        wanted: dict[str, WeightTarget] = {}
        for n, group in enumerate(round_.seen.rung0_groups):
            if not group or group in wanted:
                continue
            for victim in containers:
                if _group(victim.id, n, round_):
                    reason = f"{victim.id} comes first all the time"
                    wanted[group] = WeightTarget(containers[n].id, group, victim.id, reason)
                    break
        return wanted


def _untried(case: Case, peer_row: int, round_: Round) -> bool:
    rung = round_.settings.rung0.actuator
    if round_.settings.rung0.when == ALWAYS:
        return False
    peer = round_.seen.containers[peer_row].id
    return round_.ledger.get(case.id, peer, rung) is None and bool(_group(case.id, peer_row, round_))


def _on_trial(case: Case, peer_row: int, round_: Round) -> bool:
    """Whether the peer gives way by weight, and nothing says yet that this does not suffice: all evidence has
    to be of since then, and for as long as patience lasts it has to be that weights do not work."""
    settings = round_.settings
    peer = round_.seen.containers[peer_row].id
    claim = round_.ledger.get(case.id, peer, settings.rung0.actuator)
    if claim is None:
        return False
    if round_.now - claim.since_seconds < settings.diagnosis.window:
        return True
    hurt_since = max(case.since_seconds, claim.since_seconds)
    return round_.now - hurt_since < settings.control.patience and not _used_while_waiting(case, round_)


def _used_while_waiting(case: Case, round_: Round) -> bool:
    """Whether the peers that give way still use much of what they did while their victim waits. Where weights
    work they run on what it leaves only: in the part of the time in which none of its threads waits, and
    a little beside, since threads that wait are not moved to another CPU at once. True where waiting is not
    seen."""
    seen, settings = round_.seen, round_.settings.diagnosis
    row = seen.history.row[case.id]
    claims = round_.ledger.of_victim(case.id, round_.settings.rung0.actuator)
    rows = [n for claim in claims if (n := seen.row(claim.peer)) is not None]
    use = seen.history.window("cpu_usage_cores", settings.window)[:, rows].sum(axis=1)
    wait = seen.history.window("cpu_wait_ratio", settings.window)[:, row]
    too_much = use - len(seen.allowed_cpus[row]) * (1.0 - wait)
    known = too_much[~np.isnan(too_much)]
    if not len(known):
        return True
    much = STILL_USED_RATIO * sum(claim.reference_cores for claim in claims)
    return bool(np.percentile(known, settings.percentile) >= max(much, settings.min_reclaimable_cores))


def _group(victim: str, peer_row: int, round_: Round) -> str:
    """The group by whose weight the peer can give way to the victim; empty where there is none. All that are
    in that group give way with it, so the victim must have a right to every one of them."""
    seen = round_.seen
    row = seen.row(victim)
    group = seen.rung0_groups[peer_row] if seen.rung0_groups else ""
    if not group or victim == NODE:
        return ""
    if row is None:  # it has gone, and its claims are about to
        return group
    if not helps(seen.containers[row].cgroup, group):
        return ""
    inside = (n for n, other in enumerate(seen.containers) if within(other.cgroup, group))
    return group if all(seen.containers[n].reweight and may_claim(victim, n, round_) for n in inside) else ""


def _needed(case: Case, claim: Claim, round_: Round) -> bool:
    """Whether the victim would be hurt if the peer had its weight back: its demand is near where it was hurt,
    and the peer uses CPU or waits for it."""
    seen, settings = round_.seen, round_.settings
    row, peer = seen.row(case.id), seen.row(claim.peer)
    if case.gone or row is None or peer is None:
        return False
    use, wait = (float(seen.recent(name)[peer]) for name in ("cpu_usage_cores", "cpu_wait_ratio"))
    if use < settings.diagnosis.min_reclaimable_cores and wait < settings.diagnosis.wait_ratio:
        return False
    if case.hurt_demand_cores is None:
        return True
    return bool(seen.forecast_cores[row] > settings.recovery.safe_demand_ratio * case.hurt_demand_cores)
