"""Which peer is to blame: suspects ranked by what needs no hardware counters, and the test of a short cut.

The victim's harm v (the part of its time in which it waits for CPU) is held against the CPU use u_j of every
peer, tick by tick. No single method sees all, so five pieces of evidence are taken, each 0 to 1
(papers.md 4.2, after CPI2, EuroSys 2013):

*share*        who ran while the victim waited: sum(v u_j) / sum(v sum(u)). All there is against a steady hog.
*shift*        who wanted more CPU when the harm began: the rise of u_j at the onset, as a part of all rises,
               the victim's own load among them.
*coincidence*  the CPI2 score: how far the peer's CPU time fell into moments worse than usual.
*correlation*  of differences, the harm up to two ticks later than the use, the victim's load regressed out of
               both. Only where it is significant among so many peers (Bonferroni); else 0.
*explained*    the part of v's variance that non-negative regression on load and all peers lays on this one.

A peer whose use falls whenever the victim waits gives way to it: its share is discounted by that correlation.
The score is 1 - prod(1 - weight * evidence): any one piece can accuse, several strengthen each other, and
none proves anything. It only ranks whom to test; papers.md 1.4 tells how little passive ranking is worth
alone. What decides is whether the victim is better off while the suspect is held back: `lowered`, `raised`,
`draining`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.special import stdtrit

from models.container import FloatArray

WEIGHTS: Mapping[str, float] = {
    "share": 0.4,
    "shift": 0.6,
    "coincidence": 0.4,
    "correlation": 0.7,
    "explained": 0.5,
}
"""How far each piece of evidence alone can accuse. A share says only who was there; what moves with the harm
says more."""

LAGS = 3  # ticks: a queue begins to form within half a second
SIGNIFICANCE = 0.05
LEAST_TICKS = 8
LEAST_CHANGES = 6  # three bursts
KNOWN_TO = 0.02  # the part of itself to which a signal is known at best
TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Ranking:
    """Scores and evidence of each peer, in the order given; all in [0, 1]."""

    score: FloatArray
    evidence: Mapping[str, FloatArray]

    def spread(self, peers: NDArray[np.intp], count: int) -> Ranking:
        """The same over `count` peers, of which those at `peers` were ranked; the others have no score."""

        def over_all(values: FloatArray) -> FloatArray:
            column = np.zeros(count)
            column[peers] = values
            return column

        return Ranking(over_all(self.score), {n: over_all(v) for n, v in self.evidence.items()})

    def numbers(self, peer: int) -> dict[str, float]:
        """One peer's score with what it was made of, for people."""
        parts = {name: round(float(values[peer]), 3) for name, values in self.evidence.items()}
        return {"score": round(float(self.score[peer]), 3), **parts}


def rank(harm: FloatArray, load_cores: FloatArray, use_cores: FloatArray) -> Ranking:
    """Rank peers. All by tick, oldest first: `harm` (ticks,) >= 0, `load_cores` (ticks,) what the victim
    used, `use_cores` (ticks, peers). Ticks where harm or load are not known (NaN) are left out; a peer's
    unknown use counts as none. The scores do not change with the unit of harm or of CPU.
    """
    known = ~(np.isnan(harm) | np.isnan(load_cores))
    v = np.maximum(harm[known].astype(float), 0.0)
    load = load_cores[known].astype(float)
    use = np.nan_to_num(use_cores[known].astype(float))
    start = onset(v)
    along, against = _correlation(v, load, use)
    evidence = {
        "share": _share(v[start:], use[start:]) * (1 - against),
        "shift": _shift(load, use, start),
        "coincidence": _coincidence(v, use),
        "correlation": along,
        "explained": _explained(v, load, use),
    }
    clear = np.ones(use.shape[1])
    for name, values in evidence.items():
        clear *= 1 - WEIGHTS[name] * values
    return Ranking(1 - clear, evidence)


def onset(harm: FloatArray) -> int:
    """The tick at which the harm began: the split that best tells a lower past from a higher present
    (the largest standardised difference of means); 0 where there is none."""
    count = len(harm)
    if count < LEAST_TICKS:
        return 0
    before = np.arange(1, count)
    total = np.cumsum(harm)
    rise = (total[-1] - total[:-1]) / (count - before) - total[:-1] / before
    contrast = rise * np.sqrt(before * (count - before))
    best = int(np.argmax(contrast))
    return best + 1 if contrast[best] > TINY else 0


def _share(v: FloatArray, use: FloatArray) -> FloatArray:
    weighted = v @ use
    if weighted.sum() <= TINY:  # no harm is known: who is there at all
        weighted = use.sum(axis=0)
    share: FloatArray = weighted / max(float(weighted.sum()), TINY)
    return share


def _shift(load: FloatArray, use: FloatArray, start: int) -> FloatArray:
    count, peers = use.shape
    if not 0 < start < count:
        return np.zeros(peers)
    wanted = np.column_stack([use, load])
    before, after = wanted[:start], wanted[start:]
    rise = after.mean(axis=0) - before.mean(axis=0)
    # Twice the standard error of that difference is chance.
    error = np.sqrt(before.var(axis=0) / len(before) + after.var(axis=0) / len(after))
    rise = np.where(rise > 2 * error, rise, 0.0)
    # Little that is new on a busy node explains little.
    floor = 0.1 * float(after.mean(axis=0).sum())
    part: FloatArray = rise[:peers] / max(float(rise.sum()), floor, TINY)
    return part


def _coincidence(v: FloatArray, use: FloatArray) -> FloatArray:
    usual = float(v.mean()) if len(v) else 0.0
    if usual <= TINY:
        return np.zeros(use.shape[1])
    blame = np.where(v > usual, 1 - usual / np.maximum(v, usual), v / usual - 1)
    score: FloatArray = blame @ use / np.maximum(use.sum(axis=0), TINY)
    return np.clip(score, 0.0, 1.0)


def _correlation(v: FloatArray, load: FloatArray, use: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How far each peer's use moves along with the harm, and how far against it; 0 where insignificant."""
    peers = use.shape[1]
    along, against = np.zeros(peers), np.zeros(peers)
    if len(v) < LEAST_TICKS + LAGS or not peers:
        return along, against
    changes = np.diff(np.column_stack([v, load, use]), axis=0)
    least = 0.02 * np.abs(changes[:, 2:]).max(axis=0)
    for lag in range(LAGS):
        y = changes[lag:, 0]
        early = changes[: len(changes) - lag]
        # Load now for the harm, load then for the use.
        y = _without(y[:, np.newaxis], changes[lag:, 1])[:, 0]
        x = _without(early[:, 2:], early[:, 1])
        r = (y @ x) / np.maximum(np.linalg.norm(y) * np.linalg.norm(x, axis=0), TINY)
        r[np.sqrt((x**2).mean(axis=0)) <= least * 0.1] = 0.0  # rounding is left of a use that the load fixes
        r[np.abs(r) < _critical(np.minimum(_effective(y[:, np.newaxis]), _effective(x)), peers * LAGS)] = 0.0
        along = np.maximum(along, r)
        if lag == 0:
            against = np.maximum(-r, 0.0)
    # What swings with a period of a few ticks is against the harm now and along with it half a period later.
    return np.clip(along - against, 0.0, 1.0), np.clip(against, 0.0, 1.0)


def _without(values: FloatArray, load: FloatArray) -> FloatArray:
    """The residual of each column after least squares on the load."""
    centred: FloatArray = values - values.mean(axis=0)
    driver = load - load.mean()
    power = float(driver @ driver)
    if power <= TINY * len(load):
        return centred
    residual: FloatArray = centred - np.outer(driver, driver @ centred / power)
    return residual


def _effective(changes: FloatArray) -> FloatArray:
    """How many changes say something (the participation ratio): a burst among many quiet ticks is two jumps,
    however long the quiet lasted. A third of the ticks for a normal distribution."""
    fourth = (changes**4).sum(axis=0)
    number: FloatArray = (changes**2).sum(axis=0) ** 2 / np.maximum(fourth, TINY**2)
    return number


def _critical(samples: FloatArray, tests: int) -> FloatArray:
    """The correlation that chance exceeds in one of 20 such families of tests (t distribution, two-sided)."""
    freedom = np.maximum(samples - 3, 1.0)
    t = stdtrit(freedom, 1 - SIGNIFICANCE / (2 * max(tests, 1)))
    # Two bursts may coincide; of so few, no correlation is significant.
    critical: FloatArray = np.where(samples < LEAST_CHANGES, np.inf, t / np.sqrt(freedom + t**2))
    return critical


def _explained(v: FloatArray, load: FloatArray, use: FloatArray) -> FloatArray:
    """b_j cov(u_j, v) / var(v) of the non-negative regression: over all regressors that adds up to R^2."""
    peers = use.shape[1]
    if len(v) < max(LEAST_TICKS, peers + 3):
        return np.zeros(peers)
    y = v - v.mean()
    power = float(y @ y)
    columns = np.column_stack([use, load])
    columns = columns - columns.mean(axis=0)
    norm = np.linalg.norm(columns, axis=0)
    moving = norm > 1e-6 * max(float(norm.max()), TINY)
    if power <= TINY or not moving.any():
        return np.zeros(peers)
    x = columns[:, moving] / norm[moving]
    solution, _ = nnls(x, y)
    part = np.zeros(peers + 1)
    part[moving] = solution * np.maximum(x.T @ y, 0.0) / power
    return np.clip(part[:peers], 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a cut has done to one signal: `z` is the improvement in standard errors, `gain_ratio` as a part of
    what the signal was. Both 0 where nothing is known, negative where it got worse."""

    z: float
    gain_ratio: float


NOTHING = Effect(0.0, 0.0)


def lowered(before: FloatArray, during: FloatArray) -> Effect:
    """How far a signal that should fall has fallen: its level during a probe against where it stood when the
    probe began: the mean before, or, where it rose (a queue that grew), the end of the line through it. The
    rise is not carried on from there: one that would have ended by itself proves nothing."""
    y, late = _known(before), _known(during)
    if len(y) < 2 or len(late) < 2:
        return NOTHING
    ticks = np.arange(len(y)) - (len(y) - 1) / 2
    slope = max(0.0, float(ticks @ y) / float(ticks @ ticks))
    level = float(y.mean()) + slope * ticks[-1]
    noise = _variance(y - slope * ticks) / len(y) + _variance(late) / len(late)
    return _effect(level - float(late.mean()), noise, level)


def raised(before: FloatArray, during: FloatArray) -> Effect:
    """How far a signal that should rise has risen: the CPU that a starved victim gets."""
    y, late = _known(before), _known(during)
    if len(y) < 2 or len(late) < 2:
        return NOTHING
    noise = _variance(y) / len(y) + _variance(late) / len(late)
    return _effect(float(late.mean() - y.mean()), noise, float(y.mean()))


def draining(during: FloatArray) -> Effect:
    """How surely a signal falls: the slope in standard errors, and the part of it that is gone since the
    first value. A queue that drains is still long, but it gets shorter."""
    y = _known(during)
    if len(y) < 4:
        return NOTHING
    ticks = np.arange(len(y)) - (len(y) - 1) / 2
    slope = float(ticks @ y) / float(ticks @ ticks)
    noise = _variance(y - y.mean() - slope * ticks) / float(ticks @ ticks)
    fallen = -slope * (len(y) - 1)
    z = -slope / max(float(np.sqrt(noise)), KNOWN_TO * abs(float(y.mean())) / len(y), TINY)
    return Effect(z, fallen / max(float(y.mean()) + fallen / 2, TINY))


def _effect(gain: float, noise: float, level: float) -> Effect:
    error = max(float(np.sqrt(noise)), KNOWN_TO * abs(level), TINY)
    return Effect(gain / error, gain / max(abs(level), TINY))


def _known(values: FloatArray) -> FloatArray:
    known: FloatArray = values[~np.isnan(values)].astype(float)
    return known


def _variance(values: FloatArray) -> float:
    return float(values.var(ddof=1))
