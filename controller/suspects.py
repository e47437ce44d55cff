"""Whom to cut: suspects in the order of the evidence, tested a few seconds each, the innocent let go.

*One eligible peer* needs no test: its first cut is one, and `relief` lets go what was cut in vain.

*Several.* The first cut is the probe, so that no second is lost: it goes to a group of suspects only, and
step follows step on them while it lasts. Which group:

- the fewest, from the most suspicious on, that bear `group_share` of all suspicion. One who stands out is
  tested alone; many who are alike are halved.
- where the harm is deep (`deep_ratio` times the target), also all at least `alike_ratio` as suspicious as the
  first, beside the guilty, and in the midst of a probe: seconds are dear then.
- never who has less suspicion than `least` of an equal part of it: he gives way, or was not there.

From `probe_min` on the probe is judged every round: the signal that fired has fallen, the queue behind it
drains, or a victim that starved gets more CPU. That must be significant and large enough. Then the suspects
are guilty, and are cut further before anyone less suspicious is tested. At `probe_max` without it they get
all back, are acquitted for `diagnosis.acquit_for`, and the next group is tested in the same round. When all
are acquitted the answer is "none of them" (`diagnosis`: not-local).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.cases import Case, Probe, Round
from controller.claims import Claim
from controller.states import Event, State
from models.container import BoolArray, FloatArray
from models.interference import Effect, Ranking, draining, lowered, raised, rank
from models.rates import NODE

MOST_RANKED = 64  # regression on more than these would know less of each
STARVED_RATIO = 0.9  # who waits for so much of its time would use more CPU if it got it


def suspicion(case: Case, peers: NDArray[np.intp], round_: Round) -> Ranking:
    """Rank peers (rows) by the evidence of the last `interference.window`."""
    seen, settings = round_.seen, round_.settings
    seconds, row = settings.interference.window, seen.history.row[case.id]
    harm = seen.history.window("cpu_wait_ratio", seconds)[:, row].astype(float)
    if np.isnan(harm).all():
        harm = seen.history.window("cpu_run_delay_ratio", seconds)[:, row].astype(float)
    # While a group throttles, PSI proves nothing about peers.
    throttled = seen.history.window("cpu_throttled_ratio", seconds)[:, row]
    harm[throttled >= settings.diagnosis.throttled_ratio] = np.nan
    use = seen.history.window("cpu_usage_cores", seconds)
    busiest = np.argsort(-np.nan_to_num(use[:, peers]).sum(axis=0), kind="stable")[:MOST_RANKED]
    found = rank(harm, use[:, row].astype(float), use[:, peers[busiest]].astype(float))
    if len(busiest) == len(peers) and (np.diff(busiest) == 1).all():
        return found
    return found.spread(busiest, len(peers))


def choose(
    case: Case, metric: str, error: float, peers: NDArray[np.intp], gives: FloatArray, round_: Round
) -> BoolArray:
    """Which of the peers (rows; `gives` cores each) may be cut now. Opens a probe where one is due."""
    settings, count = round_.settings.interference, len(peers)
    names = [round_.seen.containers[row].id for row in peers]
    if not settings.enabled or case.id == NODE or round_.settings.dry_run:
        return np.ones(count, bool)
    deep = error >= np.log(settings.deep_ratio)
    tested: BoolArray = np.array([case.tests(name) for name in names])
    if case.probe is not None and not deep:
        return tested
    proven = {claim.peer for claim in round_.ledger.of_victim(case.id) if claim.guilty}
    guilty = np.array([name in proven for name in names])
    worth = gives >= round_.settings.executor.dead_band_cores
    group = _group(np.where(worth, case.suspicion_of(names), 0.0), deep, round_) | tested
    if not deep and (group & guilty).any():
        return guilty
    if (group & ~guilty & ~tested).any():
        suspects = tuple(name for name, one in zip(names, group & ~guilty, strict=True) if one)
        case.probe = Probe(suspects, metric, round_.now)
        for claim in round_.ledger.of_victim(case.id):
            if (
                claim.peer not in proven and claim.peer not in suspects
            ):  # held by a test that was never finished
                round_.ledger.release(claim)
    return group


def conclude(case: Case, round_: Round) -> None:
    """Judge a probe that is under way: guilty, acquitted, or not known yet."""
    probe, settings = case.probe, round_.settings.interference
    if probe is None:
        return
    lasted = round_.now - probe.since_seconds
    claims = [c for c in round_.ledger.of_victim(case.id) if c.peer in probe.suspects]
    unseen = lasted > settings.probe_max + 2 * round_.settings.control.settle  # the node was frozen meanwhile
    if not claims or unseen or round_.seen.row(case.id) is None:
        case.probe = None
        return
    if lasted < settings.probe_min:
        return
    effects = _effects(case, probe, round_)
    if any(e.z >= settings.probe_z and e.gain_ratio >= settings.probe_gain_ratio for e in effects.values()):
        case.probe = None
        for claim in claims:
            claim.guilty = True
    elif lasted >= settings.probe_max:
        case.probe = None
        _acquit(case, claims, effects, round_)


def _group(score: FloatArray, deep: bool, round_: Round) -> BoolArray:
    """The most suspicious, as the module's comment says."""
    settings = round_.settings.interference
    total, count = float(score.sum()), len(score)
    chosen = np.zeros(count, bool)
    if total <= 0:
        return chosen
    order = np.argsort(-score, kind="stable")
    before = np.cumsum(score[order]) - score[order]
    chosen[order[before < settings.group_share * total - 1e-9]] = True
    if deep:
        chosen |= score >= settings.alike_ratio * score.max()
    return chosen & (score >= settings.least / count)


def _effects(case: Case, probe: Probe, round_: Round) -> dict[str, Effect]:
    """What the probe has done to each signal of the victim, as far as the signal is there."""
    seen, row = round_.seen, round_.seen.history.row[case.id]
    lead, settle = round_.settings.diagnosis.window, round_.settings.control.settle
    lasted = round_.now - probe.since_seconds
    times = seen.history.times(lasted + lead)
    before = times <= probe.since_seconds
    during = times > probe.since_seconds + settle

    def values(metric: str) -> FloatArray:
        return seen.history.window(metric, lasted + lead)[:, row].astype(float)

    signal, wait, used = values(probe.metric), values("cpu_wait_ratio"), values("cpu_usage_cores")
    found = {
        probe.metric: lowered(signal[before], signal[during]),
        f"{probe.metric} drains": draining(signal[during]),
    }
    if len(wait[before]) and np.nanmean(wait[before]) >= STARVED_RATIO:
        found["cpu_usage_cores"] = raised(used[before], used[during])
    return found


def _acquit(case: Case, claims: list[Claim], effects: dict[str, Effect], round_: Round) -> None:
    for claim in claims:
        case.acquitted[claim.peer] = round_.now + round_.settings.diagnosis.acquit_for
        round_.ledger.release(claim)
    if case.state is State.THROTTLING_PEER and not round_.ledger.of_victim(case.id):
        names = ", ".join(claim.peer for claim in claims)
        inputs = {f"{name} z": round(effect.z, 2) for name, effect in effects.items()}
        reason = f"held back for a probe, it changed nothing: {names}; rolled back"
        round_.move(case, Event.ACQUITTED, "probe", reason, **inputs)
