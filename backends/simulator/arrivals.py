"""Draw a service's load before the run: the same seed gives every controller the same load."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from models.container import FloatArray


def poisson_arrivals(rates: Sequence[tuple[float, float]], until_seconds: float, seed: int) -> FloatArray:
    """Ascending arrival times of a Poisson process whose rate is constant by parts.

    `rates`: (from seconds, requests per second), ascending; each holds until the next, the last until
    `until_seconds`. A trace of requests per second is `list(enumerate(trace))`.
    """
    rng = np.random.default_rng(seed)
    ends = [start for start, _ in rates[1:]] + [until_seconds]
    parts = []
    for (start, rate), end in zip(rates, ends, strict=True):
        length = max(0.0, min(end, until_seconds) - start)
        # Given their number, the arrivals of a Poisson process are spread evenly.
        parts.append(np.sort(start + length * rng.random(rng.poisson(rate * length))))
    return np.concatenate(parts) if parts else np.empty(0)


def lognormal_cpu_seconds(count: int, mean_seconds: float, variation: float, seed: int) -> FloatArray:
    """CPU seconds of `count` requests, log-normal, with this mean and this coefficient of variation."""
    sigma = math.sqrt(math.log1p(variation**2))
    mu = math.log(mean_seconds) - sigma**2 / 2
    return np.random.default_rng(seed).lognormal(mu, sigma, count)
