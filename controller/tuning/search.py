"""The search: differential evolution within bounds, seeded, until its budget is spent or Ctrl-C."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import Bounds, differential_evolution

from controller.tuning.space import Key

Cost = Callable[[Sequence[float]], float]


@dataclass(frozen=True, slots=True)
class Progress:
    """After each evaluation."""

    evaluations: int
    cost: float
    best_cost: float
    elapsed_seconds: float


@dataclass(frozen=True, slots=True)
class Found:
    """The best values, their cost, and why the search ended: "budget", "converged" or "interrupted"."""

    values: tuple[float, ...]
    cost: float
    start_cost: float
    evaluations: int
    ended: str


class _Spent(Exception):
    """The budget is spent."""


def search(
    cost: Cost,
    keys: Sequence[Key],
    start: Sequence[float],
    seed: int,
    evaluations: int,
    seconds: float,
    clock: Callable[[], float],
    told: Callable[[Progress], None] = lambda progress: None,
) -> Found:
    """Lower `cost`, beginning with `start`, for at most so many evaluations and seconds of `clock`.

    Ctrl-C (KeyboardInterrupt) ends it with the best so far.
    """
    began = clock()
    best, best_cost, start_cost, count = tuple(start), math.inf, math.inf, 0

    def counted(values: Any, /) -> float:
        nonlocal best, best_cost, start_cost, count
        if count >= evaluations or (count and clock() - began >= seconds):
            raise _Spent
        found = cost(values)
        count += 1
        if count == 1:
            start_cost = found
        if found < best_cost:
            best, best_cost = tuple(float(value) for value in values), found
        told(Progress(count, found, best_cost, clock() - began))
        return found

    low, high = [key.low for key in keys], [key.high for key in keys]
    inside = np.clip(start, low, high)
    try:
        counted(start)  # what there is now, also where it is out of range
        differential_evolution(
            counted,
            Bounds(low, high),
            seed=seed,
            popsize=4,
            tol=0.01,
            polish=False,
            x0=inside,
            updating="immediate",
        )
        ended = "converged"
    except _Spent:
        ended = "budget"
    except KeyboardInterrupt:
        ended = "interrupted"
    return Found(best, best_cost, start_cost, count, ended)
