"""The control-loop model: which small step to take now.

The error of a victim is e = ln(signal / target): 0 at the target, 0.7 at twice it. A cut takes from each peer
j a part x_j of the CPU it uses, within the step bounds and down to its floor. Two ways to choose x:

*Model.* e falls by theta_j * x_j, where theta_j >= 0 is how sensitive the victim is to that peer, estimated
online by recursive least squares with forgetting, on settled samples only (`Sensitivity`). The step solves

    minimise  (e + margin - sum theta_j x_j)^2 + effort * sum cost_j x_j^2,   low <= x_j <= step_max

with scipy's bounded least squares: peers that the victim feels are cut, others are left alone, and a cut of a
more important peer costs more.

*Proportional*, while the model fits poorly: x_j = gain * e within [step_min, step_max], the same for each.

In steady state e < 0 and nothing is cut. Into load the step grows with the error up to step_max, so that a
deep violation is answered boldly and a slight one gently. Out of load `give_back` returns a little at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import lsq_linear

from models.container import FloatArray


@dataclass(frozen=True, slots=True)
class Gains:
    """The gains of a cut; config/default.yaml explains each where it is set."""

    gain: float = 0.8
    margin: float = 0.2
    step_min_ratio: float = 0.1
    step_max_ratio: float = 0.4
    prior_sensitivity: float = 1.5
    effort: float = 0.1
    forgetting: float = 0.95
    fit_samples: int = 6
    fit_min: float = 0.3


@dataclass(frozen=True, slots=True)
class Cut:
    """A step: new limits in cores, in the order of the peers given, and how it was found."""

    target_cores: FloatArray
    ratio: FloatArray
    method: Literal["model", "proportional"]
    predicted_error: float


def cut(
    error: float,
    use_cores: FloatArray,
    floor_cores: FloatArray,
    cost: FloatArray,
    sensitivity: FloatArray | None,
    gains: Gains,
) -> Cut:
    """One small cut of peers that use `use_cores` now, none below its floor.

    `cost` weighs the peers against each other (1: ordinary); `sensitivity` is theta, or None while the model
    is not to be trusted. All arrays have one entry per peer.
    """
    use = np.maximum(use_cores, 1e-9)
    most = np.minimum(gains.step_max_ratio, np.maximum(1 - floor_cores / use, 0.0))
    least = np.minimum(gains.step_min_ratio, most)
    if sensitivity is None:
        ratio = np.clip(gains.gain * error, least, most)
    else:
        ratio = _solve(error, most, cost, sensitivity, gains)
        # Where the best step is too small to be felt, take the smallest that is, of what is felt most.
        worst = int(np.argmax(sensitivity * most))
        ratio[worst] = max(ratio[worst], least[worst])
    predicted = error - float(ratio @ (sensitivity if sensitivity is not None else np.zeros_like(ratio)))
    return Cut(use * (1 - ratio), ratio, "proportional" if sensitivity is None else "model", predicted)


def _solve(
    error: float, most: FloatArray, cost: FloatArray, sensitivity: FloatArray, gains: Gains
) -> FloatArray:
    movable = most > 1e-6
    ratio = np.zeros_like(most)
    if movable.any():
        rows = np.vstack([sensitivity[movable], np.diag(np.sqrt(gains.effort * cost[movable]))])
        goal = np.concatenate([[error + gains.margin], np.zeros(movable.sum())])
        ratio[movable] = lsq_linear(rows, goal, bounds=(0.0, most[movable])).x
    return ratio


def give_back(
    target_cores: float, full_cores: float, room_cores: float, step_ratio: float, step_min_cores: float
) -> float:
    """The next higher limit of a held peer: a part of what it has, within the room there is.

    Never lower than it is, never above `full_cores`, from which on the limit no longer binds.
    """
    step = max(step_ratio * target_cores, step_min_cores)
    return min(max(target_cores, min(target_cores + step, room_cores)), full_cores)


class Sensitivity:
    """How much one victim's error falls per part cut of each peer: recursive least squares.

    Peers come and go, so the estimate is keyed by name: a new peer starts at the prior, weighed by its part
    of all the peers' use. Signs are constrained: more CPU for a batch peer never helps its victim.
    """

    PRIOR_VARIANCE = 1.0

    def __init__(self, gains: Gains) -> None:
        self._gains = gains
        self._peers: list[str] = []
        self._theta = np.empty(0)
        self._covariance = np.empty((0, 0))
        self._samples = 0
        self._error_power = 0.0
        self._change_power = 0.0

    @property
    def fit(self) -> float:
        """1 - (residual power / power of the changes seen), recent ones weighing more; at most 1."""
        if self._change_power <= 0:
            return -math.inf
        return 1 - self._error_power / self._change_power

    @property
    def trusted(self) -> bool:
        """Enough settled samples, and they fit."""
        return self._samples >= self._gains.fit_samples and self.fit >= self._gains.fit_min

    def of(self, peers: list[str], use_cores: FloatArray) -> FloatArray | None:
        """theta of these peers, or None while the model is not to be trusted."""
        self._know(peers, use_cores)
        if not self.trusted:
            return None
        theta: FloatArray = self._theta[[self._peers.index(peer) for peer in peers]]
        return theta

    def learn(self, ratio: dict[str, float], error_change: float) -> None:
        """One settled sample: the parts cut of each peer (negative: given back), and what e did then."""
        known = [peer for peer in ratio if peer in self._peers]
        if not known or not math.isfinite(error_change):
            return
        x = np.zeros(len(self._peers))
        for peer in known:
            x[self._peers.index(peer)] = ratio[peer]
        if not x.any():
            return
        forgetting = self._gains.forgetting
        innovation = -error_change - float(x @ self._theta)
        self._error_power = forgetting * self._error_power + innovation**2
        self._change_power = forgetting * self._change_power + error_change**2
        weighted = self._covariance @ x
        kalman = weighted / (forgetting + float(x @ weighted))
        self._theta = np.maximum(self._theta + kalman * innovation, 0.0)
        grown = (self._covariance - np.outer(kalman, weighted)) / forgetting
        # Without news along an axis forgetting would blow its variance up without end.
        self._covariance = grown * min(1.0, self.PRIOR_VARIANCE / max(float(grown.diagonal().max()), 1e-12))
        self._samples += 1

    def _know(self, peers: list[str], use_cores: FloatArray) -> None:
        total = max(float(use_cores.sum()), 1e-9)
        new = [(peer, float(use) / total) for peer, use in zip(peers, use_cores, strict=True)]
        new = [(peer, share) for peer, share in new if peer not in self._peers]
        gone = [n for n, peer in enumerate(self._peers) if peer not in peers]
        if gone and len(self._peers) - len(gone) + len(new) > 64:
            self._drop(gone)
        if new:
            size = len(self._peers) + len(new)
            covariance = np.eye(size) * self.PRIOR_VARIANCE
            covariance[: len(self._peers), : len(self._peers)] = self._covariance
            self._covariance = covariance
            prior = [self._gains.prior_sensitivity * share for _, share in new]
            self._theta = np.concatenate([self._theta, prior])
            self._peers += [peer for peer, _ in new]

    def _drop(self, rows: list[int]) -> None:
        keep = [n for n in range(len(self._peers)) if n not in rows]
        self._peers = [self._peers[n] for n in keep]
        self._theta = self._theta[keep]
        self._covariance = self._covariance[np.ix_(keep, keep)]
