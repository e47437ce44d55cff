"""The traces: real load over time, read from the data beside the checkout (see its README for origins)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from models.container import FloatArray

LONGEST_GAP_SECONDS = 10.0
# Half is for choosing constants, the other is held out. Each half has every kind of trace.
TUNING = (
    "diurnal",
    "bursty",
    "diurnal-cpu",
    "bursty-cpu",
    "colocation-1-memcache",
    "colocation-1-cassandra",
)
CPU_TICK_SECONDS = 0.25
CPU_SECONDS_PER_REQUEST = 0.01
CPU_TRACE_SECONDS = 1200


class NoData(Exception):
    """The traces are not where they were looked for."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A demand over time, without gaps: requests per second, or cores."""

    name: str
    times: FloatArray
    values: FloatArray

    @property
    def step_seconds(self) -> float:
        """The mean time between two values."""
        return float(np.diff(self.times).mean())

    @property
    def tuning(self) -> bool:
        """Whether constants may be chosen by it."""
        return self.name in TUNING


def load(data: Path) -> list[Trace]:
    """All traces below `data`. Raises NoData, naming what is missing."""
    if not data.is_dir():
        raise NoData(f"{data} is not there; name the directory of the traces with --data")
    requests = _requests(data / "autothrottle-traces")
    colocation = _colocation(data / "prm-colocation" / "example.csv")
    return [*requests, *map(_as_cpu, requests), *colocation]


def _as_cpu(requests: Trace) -> Trace:
    """What the engine would see of these requests: CPU use per tick, in cores, in the trace's own time.

    The rates are real, what happens within a second is not: arrivals are drawn as a Poisson process, and each
    takes an exponentially distributed 10 ms of CPU. A second of one trace is thus four noisy ticks.
    """
    rng = np.random.default_rng(1)
    ticks = round(1 / CPU_TICK_SECONDS)
    arrivals = rng.poisson(np.repeat(requests.values[:CPU_TRACE_SECONDS], ticks) / ticks)
    seconds = rng.gamma(np.maximum(arrivals, 1e-9), CPU_SECONDS_PER_REQUEST) * (arrivals > 0)
    times = np.arange(len(seconds), dtype=np.float64) * CPU_TICK_SECONDS
    return Trace(f"{requests.name}-cpu", times, seconds / CPU_TICK_SECONDS)


def _requests(directory: Path) -> list[Trace]:
    """Requests per second, one a line, one line a second."""
    traces = []
    for name in ("diurnal", "diurnal-2", "noisy", "bursty"):
        path = directory / f"{name}.txt"
        if not path.is_file():
            raise NoData(f"{path} is not there")
        values = np.loadtxt(path, dtype=np.float64)
        traces.append(Trace(name, np.arange(len(values), dtype=float), values))
    return traces


def _colocation(path: Path) -> list[Trace]:
    """Per cent of a core of three services side by side; the parts before and after its gap of 79 minutes."""
    if not path.is_file():
        raise NoData(f"{path} is not there")
    with path.open(encoding="utf-8", newline="") as file:
        names, *rows = list(csv.reader(file))
    times = np.array([datetime.fromisoformat(row[0]).timestamp() for row in rows])
    cores = np.array([[float(cell) for cell in row[1:]] for row in rows]) / 100
    ends = [*np.flatnonzero(np.diff(times) > LONGEST_GAP_SECONDS) + 1, len(times)]
    traces, start = [], 0
    for number, end in enumerate(ends, 1):
        for column, name in enumerate(names[1:]):
            values = cores[start:end, column]
            if values.any():  # a service that did not run yet says nothing
                traces.append(Trace(f"colocation-{number}-{name.lower()}", times[start:end], values))
        start = end
    return traces
