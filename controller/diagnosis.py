"""Why is it hurt? The four answers to pressure, told apart by evidence, never guessed.

Evidence is taken as low percentiles over the diagnosis window, like the rules: what was so for nearly all of
it. A burst of a peer that has ended is therefore no evidence any more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.cases import Case, Round, Verdict
from models.container import FloatArray
from models.rates import NODE


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The verdict, why, the numbers behind it, and the peers that could be cut (rows, and cores to reclaim).

    `headroom_cores` is what the node has free for raising the victim's own limit.
    """

    verdict: Verdict
    reason: str
    numbers: dict[str, float]
    peers: NDArray[np.intp]
    headroom_cores: float


def diagnose(case: Case, round_: Round) -> Diagnosis:
    """What is wrong with a container for which a rule fires, and who could give."""
    seen, limits = round_.seen, round_.settings.diagnosis
    row = seen.history.row[case.id]

    def low(metric: str) -> float:
        return float(seen.percentile(metric, limits.percentile, limits.window)[row])

    peers, use, reclaimable = _peers(case, row, round_)
    numbers = {
        "cpu_throttled_ratio": low("cpu_throttled_ratio"),
        "cpu_wait_ratio": low("cpu_wait_ratio"),
        "cpu_run_delay_ratio": low("cpu_run_delay_ratio"),
        "peers_usage_cores": float(use.sum()),
        "peers_reclaimable_cores": float(reclaimable.sum()),
    }
    headroom = _headroom(round_)
    used = numbers["peers_usage_cores"] >= limits.min_reclaimable_cores
    can_cut = used and numbers["peers_reclaimable_cores"] > 0

    def answer(verdict: Verdict, reason: str) -> Diagnosis:
        known = {name: round(value, 4) for name, value in numbers.items() if not math.isnan(value)}
        return Diagnosis(verdict, reason, known, peers[reclaimable > 0], headroom)

    if case.id == NODE:
        if can_cut:
            return answer(Verdict.PEERS, "the node is busy, and offline work can be trimmed")
        return answer(Verdict.EXHAUSTED, "the node is busy, and no offline work is left to trim")

    if numbers["cpu_throttled_ratio"] >= limits.throttled_ratio:
        own = round_.settings.own_limit
        if not own.enabled:
            return answer(Verdict.EXHAUSTED, "throttled by its own limit, which may not be raised")
        if seen.limit_cores[row] >= ceiling_cores(case, round_) - 1e-6:
            return answer(Verdict.EXHAUSTED, "throttled by its own limit, which is at its ceiling")
        if headroom < round_.settings.executor.dead_band_cores and not can_cut:
            return answer(Verdict.EXHAUSTED, "throttled by its own limit, and the node has no room")
        return answer(Verdict.OWN_LIMIT, "throttled by its own limit")

    wait, run_delay = numbers["cpu_wait_ratio"], numbers["cpu_run_delay_ratio"]
    if math.isnan(wait) and math.isnan(run_delay):
        return answer(
            Verdict.DIAGNOSING, "no signal says whether it waits for CPU; no peer is cut without one"
        )
    if not (wait >= limits.wait_ratio or run_delay >= limits.run_delay_ratio):
        return answer(Verdict.NOT_LOCAL, "neither throttled nor waiting for CPU")
    if can_cut:
        return answer(Verdict.PEERS, "waits for CPU that less important peers use")
    if used:
        return answer(Verdict.EXHAUSTED, "waits for CPU, and every peer is at its floor")
    return answer(Verdict.NOT_LOCAL, "waits behind its own threads only; no peer uses CPU worth taking")


def priority_of(case: Case, round_: Round) -> int:
    """A victim's priority. The node's own is just above the least important tier, which it may trim."""
    if case.id == NODE:
        return min(round_.settings.tiers.values()) + 1
    row = round_.seen.row(case.id)
    return 0 if row is None else int(round_.seen.priority[row])


def ceiling_cores(case: Case, round_: Round) -> float:
    """How far a container's own limit may be raised: as it says, else a multiple of its base; never more
    than the node."""
    seen = round_.seen
    row = seen.history.row[case.id]
    own = seen.containers[row].ceiling_cores
    if own is None:
        own = float(seen.base_cores[row]) * round_.settings.own_limit.ceiling_ratio
    return min(own, float(seen.cpus))


def _peers(case: Case, row: int, round_: Round) -> tuple[NDArray[np.intp], FloatArray, FloatArray]:
    """Rows of the peers that may be claimed, what each uses, and how much of that is above its floor."""
    seen, limits = round_.seen, round_.settings.diagnosis
    priority = priority_of(case, round_)
    cpus = None if case.id == NODE else seen.allowed_cpus[row]
    rows = [
        n
        for n, peer in enumerate(seen.containers)
        if n != row
        and seen.priority[n] < priority
        and peer.adjustable
        and peer.id not in seen.hands_off
        and case.acquitted.get(peer.id, 0.0) <= round_.now
        and (cpus is None or not cpus.isdisjoint(seen.allowed_cpus[n]))
    ]
    peers = np.array(rows, np.intp)
    use = np.nan_to_num(seen.percentile("cpu_usage_cores", limits.percentile, limits.window)[peers])
    floor = np.array([seen.containers[n].floor_cores for n in rows])
    # A group held at its floor is seen a little above it: quota is handed out in slices.
    return peers, use, np.where(use > floor * 1.1 + 0.01, use - floor, 0.0)


def _headroom(round_: Round) -> float:
    seen, limits = round_.seen, round_.settings.diagnosis
    busy = seen.percentile("node_cpu_ratio", 100 - limits.percentile, limits.window)[seen.history.row[NODE]]
    if math.isnan(busy):
        return 0.0
    return max(0.0, seen.cpus * (1 - round_.settings.own_limit.reserve_ratio - float(busy)))
