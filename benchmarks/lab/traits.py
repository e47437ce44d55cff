"""What the simulator must be told of this kernel and these programs, and how it is measured on real runs.

The figures are in traits.json, beside this file, with the runs that they come from. They are measured by
`python -m benchmarks.lab.compare --measure`, never set by hand.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from benchmarks.lab.run import Run
from benchmarks.lab.scenario import Scenario

FILE = Path(__file__).with_name("traits.json")
_WEIGHTS_ONLY = ("idle", "shares")
_FINE_ENOUGH = 0.02

Pair = tuple[Run, Scenario]


@dataclass(frozen=True)
class Traits:
    """CPU milliseconds per request beside the work itself: of the service (HTTP, event loop, threads; the
    request waits for it) and of the load generator (in a group of its own). `stacked_ratio` and
    `sleeper_bonus_ratio` are those of `backends.simulator.scheduler.Behaviour`. All 0: an ideal machine.
    """

    service_ms: float = 0.0
    generator_ms: float = 0.0
    stacked_ratio: float = 0.0
    sleeper_bonus_ratio: float = 0.0


def kept_traits(file: Path = FILE) -> Traits:
    """As last measured. Raises OSError, or KeyError, TypeError and ValueError for a file that is none."""
    return Traits(**json.loads(file.read_text())["traits"])


def keep_traits(traits: Traits, told: dict[str, Any], file: Path = FILE) -> None:
    """Write them, with what is told of how they were measured."""
    rounded = {name: round(value, 3) for name, value in asdict(traits).items()}
    file.write_text(json.dumps({"traits": rounded, **told}, indent=2) + "\n")


def measure(runs: Sequence[Pair], simulate: Callable[[Pair, Traits], Run]) -> Traits:
    """The traits with which the simulation is nearest to real runs.

    The costs per request come from what "alone" used. How groups share the CPUs comes from what the peers got
    without control, how threads stack from the victim's p95 where nothing but weights holds the peers back
    (each the least sum of |ln(simulated / real)| in the surge). Raises ValueError where one of these
    controllers was not run.
    """
    by = {
        "alone": [pair for pair in runs if pair[0].controller == "alone" and _is_plain(pair[1])],
        "none": [pair for pair in runs if pair[0].controller == "none" and pair[1].answer == "cut"],
        "idle or shares": [pair for pair in runs if pair[0].controller in _WEIGHTS_ONLY],
    }
    if missing := [name for name, pairs in by.items() if not pairs]:
        raise ValueError(f"no runs of {', '.join(missing)}: they are needed to measure the traits")
    traits = Traits(
        service_ms=max(0.0, median(_service_ms(pair) for pair in by["alone"])),
        generator_ms=max(0.0, median(_generator_ms(pair) for pair in by["alone"])),
    )
    for name, pairs, figure, most in (
        ("sleeper_bonus_ratio", by["none"], peers_cores, 1.0),
        ("stacked_ratio", by["idle or shares"], surge_p95_seconds, 0.95),
    ):
        traits = _nearest(traits, name, pairs, figure, most, simulate)
    return traits


def surge_p95_seconds(pair: Pair) -> float:
    """The victim's p95 over all requests of the surge."""
    run, (start, end) = pair[0], pair[1].surge_seconds
    sent = run.requests.intended_seconds
    return float(np.percentile(run.requests.latency_seconds[(sent >= start) & (sent < end)], 95))


def peers_cores(pair: Pair) -> float:
    """The CPU that all peers got in the surge."""
    run, scenario = pair
    names = [peer.name for peer in scenario.peers]
    return sum(_used(run, name, *scenario.surge_seconds) for name in names) / float(
        np.diff(scenario.surge_seconds)[0]
    )


def _nearest(
    traits: Traits,
    name: str,
    pairs: Sequence[Pair],
    figure: Callable[[Pair], float],
    most: float,
    simulate: Callable[[Pair, Traits], Run],
) -> Traits:
    def error(value: float) -> float:
        tried = replace(traits, **{name: float(value)})
        return sum(abs(math.log(figure((simulate(pair, tried), pair[1])) / figure(pair))) for pair in pairs)

    found = minimize_scalar(error, bounds=(0.0, most), method="bounded", options={"xatol": _FINE_ENOUGH})
    return replace(traits, **{name: float(found.x)})


def _is_plain(scenario: Scenario) -> bool:
    """One service of ours, that is never told anything and costs the same for each request."""
    victim = scenario.victim
    return len(scenario.online) == 1 and victim.server == "own" and not victim.changes and not victim.sigma


def _service_ms(pair: Pair) -> float:
    run, scenario = pair
    return _per_request_ms(run, scenario, scenario.victim.name) - scenario.victim.cpu_ms


def _generator_ms(pair: Pair) -> float:
    return _per_request_ms(pair[0], pair[1], "load")


def _per_request_ms(run: Run, scenario: Scenario, group: str) -> float:
    start, end = scenario.warm_up_seconds, scenario.seconds
    sent = run.requests.intended_seconds
    return 1000 * _used(run, group, start, end) / np.count_nonzero((sent >= start) & (sent < end))


def _used(run: Run, group: str, start: float, end: float) -> float:
    return float(np.diff(np.interp([start, end], run.at_seconds, run.groups[group].usage_seconds))[0])
