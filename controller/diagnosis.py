"""Why is it hurt? The four answers to pressure, told apart by evidence, never guessed.

Evidence against others is taken as low percentiles over the diagnosis window, like the rules': what was so
for nearly all of it. A burst of a peer that has ended is therefore no evidence any more. Being throttled
acquits others, so there the high percentile counts: while a group throttles, PSI proves nothing about peers.

A peer that comes in bursts, again and again, is seen otherwise: when its use and the victim's waiting move
together beyond chance (`models.interference`), the means over the window count instead, for that peer alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.cases import Case, Round, Verdict
from controller.eligibility import may_claim
from controller.suspects import suspicion
from models.container import BoolArray, FloatArray
from models.rates import NODE


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The verdict, why, the numbers behind it, the peers that could be cut (rows) and what each uses.

    `several`: more than one of them is at work. `headroom_cores` is what the node has free for raising the
    victim's own limit; 0 when that is too little.
    """

    verdict: Verdict
    reason: str
    numbers: dict[str, float]
    peers: NDArray[np.intp]
    use_cores: FloatArray
    several: bool
    headroom_cores: float


def diagnose(case: Case, round_: Round) -> Diagnosis:
    """What is wrong with a container for which a rule fires, and who could give."""
    settings = round_.settings.diagnosis
    peers, use, reclaimable, in_step = _peers(case, round_)
    mean_use = _mean("cpu_usage_cores", round_)[peers]
    several = bool(np.count_nonzero(mean_use >= settings.min_reclaimable_cores) > 1)
    headroom = _headroom(round_)
    numbers = {
        "cpu_throttled_ratio": _evidence("cpu_throttled_ratio", 100 - settings.percentile, case, round_),
        "cpu_wait_ratio": _evidence("cpu_wait_ratio", settings.percentile, case, round_),
        "cpu_run_delay_ratio": _evidence("cpu_run_delay_ratio", settings.percentile, case, round_),
        "peers_usage_cores": float(use.sum()),
        "peers_reclaimable_cores": float(reclaimable.sum()),
        "headroom_cores": headroom,
    }
    worth_taking = numbers["peers_usage_cores"] >= settings.min_reclaimable_cores
    can_cut = worth_taking and numbers["peers_reclaimable_cores"] > 0
    wait, run_delay = numbers["cpu_wait_ratio"], numbers["cpu_run_delay_ratio"]

    if case.id == NODE:
        if can_cut:
            found = Verdict.PEERS, "the node is busy, and offline work can be trimmed"
        else:
            found = Verdict.EXHAUSTED, "the node is busy, and no offline work is left to trim"
    elif round_.ledger.on_peer(case.id):
        found = Verdict.DIAGNOSING, "held back for a more important container"
    elif numbers["cpu_throttled_ratio"] >= settings.throttled_ratio:
        found = _own_limit(case, headroom, can_cut, round_)
    elif math.isnan(wait) and math.isnan(run_delay):
        found = Verdict.DIAGNOSING, "no signal says whether it waits for CPU; no peer is cut without one"
    elif not (wait >= settings.wait_ratio or run_delay >= settings.run_delay_ratio):
        reclaimable = np.where(in_step, reclaimable, 0.0)
        if reclaimable.any() and _waits_now_and_then(case, round_):
            found = Verdict.PEERS, "waits for CPU again and again, whenever a less important peer runs"
        else:
            found = Verdict.NOT_LOCAL, "neither throttled nor waiting for CPU"
    elif can_cut:
        found = Verdict.PEERS, "waits for CPU that less important peers use"
    elif worth_taking or round_.ledger.of_victim(case.id):
        found = Verdict.EXHAUSTED, "waits for CPU, and every peer is at its floor or gives way"
    else:
        found = Verdict.NOT_LOCAL, "waits, but for no peer that may be cut: for its own threads, or others"
    known = {name: round(value, 4) for name, value in numbers.items() if not math.isnan(value)}
    takes = reclaimable > 0
    return Diagnosis(*found, known, peers[takes], use[takes], several, headroom)


def ceiling_cores(case: Case, round_: Round) -> float:
    """How far a container's own limit may be raised: as it says, else a multiple of its base; never more
    than the node."""
    seen = round_.seen
    row = seen.history.row[case.id]
    own = seen.containers[row].ceiling_cores
    if own is None:
        own = float(seen.base_cores[row]) * round_.settings.own_limit.ceiling_ratio
    return min(own, float(seen.cpus))


def _own_limit(case: Case, headroom: float, can_cut: bool, round_: Round) -> tuple[Verdict, str]:
    seen, executor = round_.seen, round_.settings.executor
    row = seen.history.row[case.id]
    container, limit = seen.containers[row], float(seen.limit_cores[row])
    throttled = "throttled by its own limit"
    if not (round_.settings.own_limit.enabled and container.adjustable) or container.id in seen.hands_off:
        return Verdict.EXHAUSTED, f"{throttled}, which may not be raised"
    if limit >= ceiling_cores(case, round_) - 1e-6:
        return Verdict.EXHAUSTED, f"{throttled}, which is at its ceiling"
    asked = case.own_cores is not None and case.own_cores - limit >= executor.dead_band_cores
    if asked and case.step is not None and round_.now - case.step.at_seconds > 2 * executor.min_interval:
        return Verdict.EXHAUSTED, f"{throttled}, which can't be raised: an ancestor's limit is in the way"
    if not headroom and not can_cut:
        return Verdict.EXHAUSTED, f"{throttled}, and the node has no room"
    return Verdict.OWN_LIMIT, throttled


def _evidence(metric: str, percent: float, case: Case, round_: Round) -> float:
    window = round_.settings.diagnosis.window
    return float(round_.seen.percentile(metric, percent, window)[round_.seen.history.row[case.id]])


def _peers(case: Case, round_: Round) -> tuple[NDArray[np.intp], FloatArray, FloatArray, BoolArray]:
    """Rows of the peers that may be claimed, what each uses, how much of that is above its floor, and whose
    use moves in step with the victim's waiting. Notes the suspicion against each in the case."""
    seen, settings = round_.seen, round_.settings.diagnosis
    rows = [
        n
        for n, peer in enumerate(seen.containers)
        if may_claim(case.id, n, round_) and case.acquitted.get(peer.id, 0.0) <= round_.now
    ]
    peers = np.array(rows, np.intp)
    low = seen.percentile("cpu_usage_cores", settings.percentile, settings.window)
    use = np.nan_to_num(low[peers])
    in_step = np.zeros(len(peers), bool)
    if len(peers) and case.id != NODE and round_.settings.interference.enabled:
        found = suspicion(case, peers, round_)
        case.suspects = {seen.containers[row].id: found.numbers(n) for n, row in enumerate(rows)}
        in_step = found.evidence["correlation"] > 0
        use = np.where(in_step, np.fmax(_mean("cpu_usage_cores", round_)[peers], use), use)
    floor = np.array([seen.containers[n].floor_cores for n in rows])
    # A group held at its floor is seen a little above it: quota is handed out in slices.
    return peers, use, np.where(use > floor * 1.1 + 0.01, use - floor, 0.0), in_step


def _waits_now_and_then(case: Case, round_: Round) -> bool:
    settings, row = round_.settings.diagnosis, round_.seen.history.row[case.id]
    wait, delay = (_mean(metric, round_)[row] for metric in ("cpu_wait_ratio", "cpu_run_delay_ratio"))
    return bool(wait >= settings.wait_ratio or delay >= settings.run_delay_ratio)


def _mean(metric: str, round_: Round) -> FloatArray:
    """The mean over the diagnosis window per row, what is not known left out; NaN where nothing is."""
    values = round_.seen.history.window(metric, round_.settings.diagnosis.window)
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: FloatArray = np.where(known, values, 0.0).sum(axis=0, dtype=float) / known.sum(axis=0)
    return mean


def _headroom(round_: Round) -> float:
    seen, settings = round_.seen, round_.settings.diagnosis
    busy = seen.percentile("node_cpu_ratio", 100 - settings.percentile, settings.window)
    free = seen.cpus * (1 - round_.settings.own_limit.reserve_ratio - float(busy[seen.history.row[NODE]]))
    least = max(round_.settings.executor.dead_band_cores, 1e-3)
    return free if free >= least else 0.0  # also where it is not known
