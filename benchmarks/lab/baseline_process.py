"""A baseline at work on real cgroups: `python -m benchmarks.lab.baseline_process CONFIG.json`, until SIGTERM.

It writes the ready file when the plant is open and the service is scraped. It starts the baseline as soon as
the generator's head line tells when the load starts, which is a moment before that. After SIGTERM it writes
nothing more and leaves everything as it is: the stage puts it back.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.lab.baselines import make
from benchmarks.lab.plant import Baseline, Plant
from benchmarks.lab.real_plant import RealPlant
from benchmarks.lab.run import Caps

_WAIT_SECONDS = 0.02


@dataclass(frozen=True)
class Config:
    """What the process needs. `online` and `peers` are groups by the scenario's names (the victim is among
    the online ones). `full_rate_per_second` is the victim's request rate that would fill the whole machine.
    `requests_file` is the generator's output; `caps` are for "oracle"."""

    baseline: str
    victim: str
    slo_seconds: float
    online: dict[str, str]
    peers: dict[str, str]
    metrics_url: str
    full_rate_per_second: float
    requests_file: str
    ready_file: str
    may_reweight: bool = True
    metric: str = "http_request_duration_seconds"
    caps: Caps | None = None

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Config:
        """Raises OSError, or TypeError and ValueError for what is not such a file."""
        data: dict[str, Any] = json.loads(path.read_text())
        if data.get("caps") is not None:
            data["caps"] = tuple((float(at), dict(cores)) for at, cores in data["caps"])
        return cls(**data)


class _Stop(threading.Event):
    """Set by SIGTERM and SIGINT."""

    def __init__(self) -> None:
        super().__init__()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.set())


def start_of_load(file: Path, stop: threading.Event) -> float | None:
    """CLOCK_MONOTONIC seconds at which the load starts, from the generator's head line, waited for; None when
    stopped before. Raises ValueError or KeyError when the first line is no head."""
    while not stop.is_set():
        with suppress(FileNotFoundError), open(file) as opened:
            head = opened.readline()
            if head.endswith("\n"):
                return float(json.loads(head)["start_at_seconds"])
        stop.wait(_WAIT_SECONDS)
    return None


def control(
    baseline: Baseline,
    plant: Plant,
    start_at_seconds: float,
    stop: threading.Event,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Start the baseline and step it at its interval until stopped. A step that comes late is not made up."""
    next_at = clock()
    baseline.start(plant, next_at - start_at_seconds)
    while not stop.wait(max(0.0, next_at + baseline.interval_seconds - clock())):
        now = clock()
        baseline.step(plant, now - start_at_seconds)
        next_at = max(next_at + baseline.interval_seconds, now)


def main() -> None:
    stop = _Stop()
    config = Config.read(Path(sys.argv[1]))
    baseline = make(config.baseline, config.caps)
    with RealPlant(
        victim=config.victim,
        slo_seconds=config.slo_seconds,
        online=config.online,
        peers=config.peers,
        metrics_url=config.metrics_url,
        metric=config.metric,
        full_rate_per_second=config.full_rate_per_second,
        may_reweight=config.may_reweight,
    ) as plant:
        Path(config.ready_file).touch()
        start_at = start_of_load(Path(config.requests_file), stop)
        if start_at is not None:
            control(baseline, plant, start_at, stop)


if __name__ == "__main__":
    main()
