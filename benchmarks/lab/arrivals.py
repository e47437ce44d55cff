"""The arrivals of a scenario: what load its services get, from which seed, on every stage the same."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

from benchmarks.lab.scenario import Online, Scenario
from controller.demo.load import Rate

DATA_VARIABLE = "QUOTAPILOT_DATA"
_BESIDE_THE_CHECKOUT = Path(__file__).parents[3] / "shared" / "data"
# Services of one run must not get the same arrivals.
_SEEDS_APART = 100_003


def arrival_seed(seed: int, service: int) -> int:
    """The seed for `draw_arrivals` of the n-th online service of a scenario; the victim is number 0."""
    return seed + service * _SEEDS_APART


def data_file(name: str) -> Path:
    """A file of the data beside the checkout (../shared/data), or where QUOTAPILOT_DATA says.

    Raises ValueError when it is not there.
    """
    file = Path(os.environ.get(DATA_VARIABLE) or _BESIDE_THE_CHECKOUT) / name
    if not file.is_file():
        raise ValueError(f"{file} is not there: set {DATA_VARIABLE} to the directory that has {name}")
    return file


def phases(scenario: Scenario, online: Online, cpus: int) -> tuple[Rate, ...]:
    """The service's rates over the scenario. A load of 1 is what fills `cpus` CPUs at the CPU time that a
    request costs at the start. Raises ValueError for a trace that is not there or too short.
    """
    per_load = cpus * 1000 / online.request_ms
    if online.trace is not None:
        return _traced(scenario, online, per_load)
    steps = [(0.0, 0.0), *online.load, (scenario.seconds, 0.0)]
    spans = pairwise(steps)
    return tuple(Rate(end - start, load * per_load) for (start, load), (end, _) in spans if end > start)


def _traced(scenario: Scenario, online: Online, per_load: float) -> tuple[Rate, ...]:
    lines = [float(line) for line in data_file(str(online.trace)).read_text().split()]
    count = round(scenario.seconds / online.trace_line_seconds)
    used = lines[online.trace_from_line : online.trace_from_line + count]
    if len(used) < count or not any(used):
        raise ValueError(f"{scenario.name}: trace {online.trace} has no {count} lines from there on")
    scale = online.trace_peak_load * per_load / max(used)
    return tuple(Rate(online.trace_line_seconds, line * scale) for line in used)
