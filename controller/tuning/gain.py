"""What was won, on what the search did not see: paired differences, with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Gain:
    """Cost before less cost after, in violation seconds a run, with its 95 % interval, over so many pairs."""

    mean: float
    low: float
    high: float
    pairs: int

    @property
    def proven(self) -> bool:
        """Whether the whole interval is a gain."""
        return self.low > 0


def gain_of(before: Sequence[float], after: Sequence[float], seed: int) -> Gain:
    """The gain of pairs of runs that had the same arrivals."""
    differences = np.asarray(before) - np.asarray(after)
    draws = np.random.default_rng(seed).integers(0, len(differences), (RESAMPLES, len(differences)))
    low, high = np.percentile(differences[draws].mean(axis=1), [2.5, 97.5])
    return Gain(float(differences.mean()), float(low), float(high), len(differences))
