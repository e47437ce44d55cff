"""How bold a cut is, learnt from what came of earlier ones.

A step is made `factor` times as large as the gains say. Which factor pays is learnt per workload and per
severity of the error e = ln(signal / target): a discounted bandit over three factors, the smallest, 1 and the
largest that the bounds allow. For each it keeps a discounted count n and sum s of rewards, and takes the one
with the highest upper confidence bound

    (s + w * (b - RELUCTANCE * |ln factor|)) / (n + w)  +  exploration * NOISE / sqrt(n + w)

b is the mean reward of that severity, w the weight of the prior: what has not been tried is expected to do as
the rest does, and a little worse the further it is from 1. Unlearnt, it therefore takes 1, which is fixed
gains. Discounting forgets what a workload no longer does, and lets the others be tried anew. There is no
chance in it: the same rewards in the same order give the same factors.

Whatever it was told or loaded, it answers with one of its three factors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.container import FloatArray

VERSION = 1
SEVERITY_EDGES = (0.5, 1.5)  # in e: 1.6 and 4.5 times the target
SEVERITIES = ("slight", "clear", "severe")
MOST_WORKLOADS = 256  # the one rewarded longest ago makes room
LARGEST_REWARD = 1e3

# A reward is about minus the part of the time spent in violation: between -1 and 0, and as noisy as that.
NOISE = 0.3
RELUCTANCE = 0.05


@dataclass(frozen=True, slots=True)
class LearnerSettings:
    """The bounds of the factor, and how it learns; config/default.yaml explains each where it is set."""

    factor_min: float = 0.5
    factor_max: float = 2.0
    exploration: float = 0.5
    prior_samples: float = 4.0
    forgetting: float = 0.98

    @property
    def factors(self) -> tuple[float, ...]:
        """What is chosen from; 1 is always among them."""
        return tuple(sorted({self.factor_min, 1.0, self.factor_max}))


@dataclass(slots=True)
class _Table:
    """Of one workload: discounted counts and sums of rewards, (severities, factors)."""

    counts: FloatArray
    sums: FloatArray


class Learner:
    """What is known of every workload. Keyed by its release, so a new one starts unlearnt; `cpu_model` is
    that of this node: what was learnt on another is not taken over."""

    def __init__(self, settings: LearnerSettings, cpu_model: str = "") -> None:
        self.settings, self.cpu_model = settings, cpu_model
        self.changes = 0  # how often anything was learnt or forgotten
        self._tables: dict[str, _Table] = {}

    def choose(self, workload: str, error: float) -> float:
        """The factor for a step of this workload at this error."""
        factors = self.settings.factors
        return factors[int(np.argmax(self._scores(workload, severity(error))))]

    def reward(self, workload: str, error: float, factor: float, reward: float) -> None:
        """What came of a step, per second. Of a factor that is none of these nothing is learnt."""
        if factor not in self.settings.factors or not math.isfinite(reward):
            return
        table = self._tables.pop(workload, None) or self._empty()
        self._tables[workload] = table  # the newest last
        if len(self._tables) > MOST_WORKLOADS:
            del self._tables[next(iter(self._tables))]
        row, column = severity(error), self.settings.factors.index(factor)
        for values in (table.counts, table.sums):
            values[row] *= self.settings.forgetting
        table.counts[row, column] += 1.0
        table.sums[row, column] += max(-LARGEST_REWARD, min(LARGEST_REWARD, reward))
        self.changes += 1

    def reset(self) -> list[str]:
        """Forget everything; the workloads that something was known of."""
        known = list(self._tables)
        self._tables.clear()
        self.changes += 1
        return known

    def reconfigure(self, settings: LearnerSettings) -> None:
        """Other settings from now on. What is known of other factors says nothing of these."""
        if settings.factors != self.settings.factors and self._tables:
            self.reset()
        self.settings = settings

    def table(self) -> list[dict[str, Any]]:
        """What is known, a row for each workload, severity and factor that was ever tried, for people."""
        rows: list[dict[str, Any]] = []
        for workload, table in self._tables.items():
            for number, name in enumerate(SEVERITIES):
                chosen = int(np.argmax(self._scores(workload, number)))
                for column, factor in enumerate(self.settings.factors):
                    count = float(table.counts[number, column])
                    if count > 0:
                        mean = float(table.sums[number, column]) / count
                        row = {"workload": workload, "severity": name, "factor": factor}
                        rows.append(row | {"samples": count, "mean_reward": mean, "chosen": column == chosen})
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Everything that `from_dict` needs, as plain JSON."""
        return {
            "version": VERSION,
            "cpu_model": self.cpu_model,
            "factors": list(self.settings.factors),
            "workloads": {
                name: {"counts": table.counts.tolist(), "sums": table.sums.tolist()}
                for name, table in self._tables.items()
            },
        }

    @classmethod
    def from_dict(cls, state: Any, settings: LearnerSettings, cpu_model: str = "") -> Learner:
        """The learner of a state. Raises ValueError, in one line, for one that is damaged or was learnt under
        other conditions."""
        learner = cls(settings, cpu_model)
        if not isinstance(state, Mapping) or state.get("version") != VERSION:
            raise ValueError(f"it is not of version {VERSION}")
        if state.get("cpu_model") != cpu_model:
            raise ValueError(f"it was learnt on another CPU ({state.get('cpu_model')})")
        if state.get("factors") != list(settings.factors):
            raise ValueError("it was learnt within other bounds")
        workloads = state.get("workloads")
        if not isinstance(workloads, Mapping) or len(workloads) > MOST_WORKLOADS:
            raise ValueError("it has no table of workloads, or too long a one")
        for name, table in workloads.items():
            if not isinstance(name, str) or not isinstance(table, Mapping):
                raise ValueError("a workload is not as it was written")
            counts, sums = learner._numbers(table.get("counts")), learner._numbers(table.get("sums"))
            # What was rewarded at most LARGEST_REWARD each time can't have a larger sum.
            if (counts < 0).any() or (np.abs(sums) > LARGEST_REWARD * counts * (1 + 1e-9)).any():
                raise ValueError(f"the numbers of {name!r} contradict each other")
            learner._tables[name] = _Table(counts, sums)
        return learner

    def _empty(self) -> _Table:
        shape = (len(SEVERITIES), len(self.settings.factors))
        return _Table(np.zeros(shape), np.zeros(shape))

    def _scores(self, workload: str, row: int) -> FloatArray:
        settings = self.settings
        table = self._tables.get(workload) or self._empty()
        counts, sums = table.counts[row], table.sums[row]
        total = float(counts.sum())
        usual = float(sums.sum()) / total if total > 0 else 0.0
        weight = settings.prior_samples
        expected = usual - RELUCTANCE * np.abs(np.log(settings.factors))
        means = (sums + weight * expected) / (counts + weight)
        scores: FloatArray = means + settings.exploration * NOISE / np.sqrt(counts + weight)
        return scores

    def _numbers(self, values: Any) -> NDArray[np.float64]:
        try:
            numbers = np.array(values, np.float64)
        except (TypeError, ValueError):
            numbers = np.empty(0)
        if numbers.shape != (len(SEVERITIES), len(self.settings.factors)) or not np.isfinite(numbers).all():
            raise ValueError("a table of numbers is not as it was written")
        return numbers


def severity(error: float) -> int:
    """The number of the severity that an error counts to."""
    return int(np.searchsorted(SEVERITY_EDGES, error, side="right"))
