"""Who gets how much of a resource that is short."""

from __future__ import annotations

from collections.abc import Sequence


def water_fill(capacity: float, wants: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Weighted max-min fair shares of `capacity`: nobody gets more than wanted, and what one leaves the
    others share by weight. All is given out unless all wants are met.
    """
    if sum(wants) <= capacity:
        return list(wants)
    grants = [0.0] * len(wants)
    left, weight_left = capacity, float(sum(weights))
    for i in sorted(range(len(wants)), key=lambda i: wants[i] / weights[i]):
        grants[i] = min(wants[i], left * weights[i] / weight_left)
        left -= grants[i]
        weight_left -= weights[i]
    return grants
