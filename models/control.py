"""The control-loop model: which small step to take now.

The error of a victim is e = ln(signal / target): 0 at the target, 0.7 at twice it. A cut takes from each peer
j a part x_j of the CPU it uses, within the step bounds and down to its floor. Two ways to choose x:

*Model.* e falls by theta_j * x_j, where theta_j >= 0 is how sensitive the victim is to that peer, estimated
online by recursive least squares with forgetting, on settled samples only (`Sensitivity`). The step solves

    minimise  (e + margin - sum theta_j x_j)^2 + effort * sum cost_j x_j^2,   low <= x_j <= step_max

with scipy's bounded least squares: peers that the victim feels are cut, others are left alone, and a cut of a
more important peer costs more.

*Proportional*, while the model fits poorly, or knows of no peer that matters: x_j = gain * e within
[step_min, step_max], the same for each.

In steady state e <= 0 and nothing is cut. Into load the step grows with the error up to step_max, so that a
deep violation is answered boldly and a slight one gently. A step that would be smaller than `step_min_cores`
is made that large, or not at all where the peer has less to give: the executor's dead band would swallow it.
Out of load `give_back` returns a little at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import lsq_linear

from models.container import FloatArray

LARGEST_ERROR = 5.0  # 150 times the target: beyond that a larger error says no more


@dataclass(frozen=True, slots=True)
class Gains:
    """The gains of a cut; config/default.yaml explains each where it is set."""

    model: Literal["auto", "prior", "proportional"] = "auto"
    gain: float = 0.8
    margin: float = 0.2
    step_min_ratio: float = 0.1
    step_max_ratio: float = 0.6
    step_min_cores: float = 0.02
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
    is not to be trusted. All arrays have one entry per peer. A peer whose ratio is 0 is left as it is; one
    that uses nothing, or nothing that is known (NaN), has nothing to give.
    """
    use = np.nan_to_num(use_cores, posinf=0.0)
    step_min, most = _bounds(use, floor_cores, gains)
    error = min(error, LARGEST_ERROR)
    felt = np.zeros_like(use) if sensitivity is None else sensitivity * most
    ratio = np.zeros_like(use)
    method: Literal["model", "proportional"] = "model" if felt.any() else "proportional"
    if error > 0 and method == "proportional":
        ratio = np.clip(gains.gain * error, step_min, most)
    elif error > 0 and sensitivity is not None:
        ratio = np.clip(_solve(error, most, cost, sensitivity, gains), 0.0, most)
        ratio[ratio < step_min / 2] = 0.0
        ratio = np.where(ratio > 0, np.maximum(ratio, step_min), 0.0)
        # Where even the best step is too small to be felt, take the smallest that is, of what is felt most.
        worst = int(np.argmax(felt))
        ratio[worst] = max(ratio[worst], step_min[worst])
    predicted = error if sensitivity is None else error - float(ratio @ sensitivity)
    return Cut(np.maximum(use * (1 - ratio), floor_cores), ratio, method, predicted)


def _bounds(use: FloatArray, floor: FloatArray, gains: Gains) -> tuple[FloatArray, FloatArray]:
    """The smallest and the largest part of its use that each peer can give in one step; 0 for nothing."""
    gives = np.minimum(gains.step_max_ratio * use, use - floor)
    gives[gives < gains.step_min_cores] = 0.0
    some = np.maximum(use, 1e-9)
    most = np.maximum(gives, 0.0) / some
    step_min = np.maximum(gains.step_min_ratio, gains.step_min_cores / some)
    return np.minimum(step_min, most), most


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
    target_cores: float,
    full_cores: float,
    room_cores: float,
    step_ratio: float,
    step_min_cores: float,
    approach_ratio: float,
) -> float:
    """The next higher limit of a held peer: a part of what it has, or of the way to what there is room for,
    whichever is more.

    Never lower than it is, and not raised above `full_cores`, from which on the limit no longer binds.
    """
    most = min(room_cores, full_cores)
    step = max(step_ratio * target_cores, approach_ratio * (most - target_cores), step_min_cores)
    return max(target_cores, min(target_cores + step, most))


class Sensitivity:
    """How much one victim's error falls per part cut of each peer: recursive least squares.

    Peers come and go, so the estimate is keyed by name: a new peer starts at the prior, weighed by its part
    of all the peers' use. Signs are constrained: more CPU for a batch peer never helps its victim.

    At most `MAX_PEERS` are told apart: the settled samples of one pressure are far too few for more, and the
    covariance grows with the square. With more peers at once the model is not to be trusted.
    """

    MAX_PEERS = 64
    # In units of the noise: theta is unknown to about 1 before anything is seen, and e, after a step has
    # settled, is known to about 0.3.
    PRIOR_VARIANCE = 10.0

    def __init__(self, gains: Gains) -> None:
        self.gains = gains
        self._row: dict[str, int] = {}
        self._theta = np.empty(0)
        self._covariance = np.empty((0, 0))
        self._samples = 0
        self._error_power = 0.0
        self._change_power = 0.0

    def __len__(self) -> int:
        """The number of peers kept in mind."""
        return len(self._row)

    @property
    def fit(self) -> float:
        """1 - (residual power / power of the changes seen), recent ones weighing more; at most 1."""
        if self._change_power <= 0:
            return -math.inf
        return 1 - self._error_power / self._change_power

    @property
    def trusted(self) -> bool:
        """Enough settled samples, and they fit."""
        return self._samples >= self.gains.fit_samples and self.fit >= self.gains.fit_min

    def of(self, peers: list[str], use_cores: FloatArray) -> FloatArray | None:
        """theta of these peers, or None while the model is not to be trusted.

        With `gains.model` "prior" it is always the prior, with "proportional" always None.
        """
        if len(peers) > self.MAX_PEERS or self.gains.model == "proportional":
            return None
        if self.gains.model == "prior":
            return self.gains.prior_sensitivity * _share(use_cores)
        self._know(peers, use_cores)
        if not self.trusted:
            return None
        theta: FloatArray = self._theta[[self._row[peer] for peer in peers]]
        return theta

    def learn(self, ratio: dict[str, float], error_change: float) -> None:
        """One settled sample: the parts cut of each peer (negative: given back), and what e did then."""
        x = np.zeros(len(self._row))
        for peer, part in ratio.items():
            if peer in self._row:
                x[self._row[peer]] = part
        if not x.any() or not np.isfinite(x).all() or not math.isfinite(error_change):
            return
        forgetting = self.gains.forgetting
        innovation = -error_change - float(x @ self._theta)
        self._error_power = forgetting * self._error_power + innovation**2
        self._change_power = forgetting * self._change_power + error_change**2
        weighted = self._covariance @ x
        kalman = weighted / (forgetting + float(x @ weighted))
        self._theta = np.maximum(self._theta + kalman * innovation, 0.0)
        grown = (self._covariance - np.outer(kalman, weighted)) / forgetting
        # Without news of a peer, forgetting would blow its variance up without end. Each is held by itself:
        # scaled down together, those with news would be taken for certain, and never change again.
        held = np.sqrt(np.minimum(1.0, self.PRIOR_VARIANCE / np.maximum(grown.diagonal(), 1e-12)))
        bounded = grown * np.outer(held, held)
        self._covariance = (bounded + bounded.T) / 2  # rounding must not bend it
        self._samples += 1

    def _know(self, peers: list[str], use_cores: FloatArray) -> None:
        share = _share(use_cores)
        new = {peer: float(part) for peer, part in zip(peers, share, strict=True) if peer not in self._row}
        if not new:
            return
        if len(self._row) + len(new) > self.MAX_PEERS:
            self._keep(set(peers))
        before, size = len(self._row), len(self._row) + len(new)
        covariance = np.eye(size) * self.PRIOR_VARIANCE
        covariance[:before, :before] = self._covariance
        self._covariance = covariance
        prior = [self.gains.prior_sensitivity * part for part in new.values()]
        self._theta = np.concatenate([self._theta, prior])
        self._row |= {peer: before + n for n, peer in enumerate(new)}

    def _keep(self, peers: set[str]) -> None:
        kept = [peer for peer in self._row if peer in peers]
        rows = [self._row[peer] for peer in kept]
        self._theta = self._theta[rows]
        self._covariance = self._covariance[np.ix_(rows, rows)]
        self._row = {peer: n for n, peer in enumerate(kept)}


def _share(use_cores: FloatArray) -> FloatArray:
    """Each peer's part of what all of them use."""
    use: FloatArray = np.nan_to_num(use_cores)
    return use / max(float(use.sum()), 1e-9)
