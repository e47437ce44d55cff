"""What a configuration makes of a situation, in one number: the cost that tuning lowers.

    cost = violation seconds + lambda * core-seconds of batch work lost + mu * writes

Violation seconds are one-second windows of arrivals whose 95th percentile is over the SLO; a request that was
never answered counts as over it. Work lost is the peers' CPU time without control less that with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backends.simulator import SimulatedNode
from controller.config import Config
from controller.simulation import Loop
from controller.tuning.situation import ONLINE, Situation


@dataclass(frozen=True, slots=True)
class Weights:
    """lambda (violation seconds per core-second) and mu (per write)."""

    core_second: float = 0.1
    write: float = 0.02


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run."""

    violation_seconds: float
    lost_core_seconds: float
    writes: int

    def cost(self, weights: Weights) -> float:
        """In violation seconds."""
        lost = max(0.0, self.lost_core_seconds)
        return self.violation_seconds + weights.core_second * lost + weights.write * self.writes


class Player:
    """Plays situations, and remembers what peers do without control."""

    def __init__(self) -> None:
        self._free: dict[tuple[Situation, int], float] = {}

    def play(self, situation: Situation, seed: int, config: Config) -> Outcome:
        """One situation under one configuration, in simulated time."""
        policies = situation.policies(dict(config.tiers))
        loop = Loop(situation.node(seed), policies, config).run(situation.seconds)
        if (situation, seed) not in self._free:
            free = situation.node(seed)
            free.advance(situation.seconds)
            self._free[situation, seed] = _used(free, situation)
        lost = self._free[situation, seed] - _used(loop.node, situation)
        violated = violation_seconds(situation, seed, loop.latencies.finished[ONLINE])
        writes = [one for one in loop.records("revision") if one.data["result"] in ("applied", "restored")]
        return Outcome(violated, lost, len(writes))


def without_control(situation: Situation, seed: int) -> float:
    """Violation seconds of a situation in which nobody does anything."""
    node = situation.node(seed)
    node.advance(situation.seconds)
    return violation_seconds(situation, seed, node.finished(ONLINE))


def violation_seconds(situation: Situation, seed: int, finished: list[tuple[float, float]]) -> float:
    """Seconds of arrivals of which more than 5 % were over the SLO, of (finish, latency) of requests."""
    slo, arrivals = situation.online.slo, np.round(situation.arrivals(seed), 6)
    done = np.array(finished).reshape(-1, 2)
    arrived = np.round(done[:, 0] - done[:, 1], 6)
    unanswered = np.setdiff1d(arrivals, arrived)
    at = np.floor(np.concatenate([arrived, unanswered]))
    late = np.concatenate([done[:, 1] > slo, situation.seconds - unanswered > slo])
    return float(sum(late[at == second].mean() > 0.05 for second in np.unique(at)))


def _used(node: SimulatedNode, situation: Situation) -> float:
    return sum(node.look(f"/{peer.name}").usage_seconds for peer in situation.peers)
