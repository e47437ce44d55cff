"""A baseline at work on real cgroups: `python -m benchmarks.lab.baseline_process CONFIG.json`, until SIGTERM.

It writes the ready file when the plant is open and the service is scraped. It starts the baseline as soon as
the generator's head line tells when the load starts, which is a moment before that. After SIGTERM it writes
nothing more and leaves everything as it is: the stage puts it back.
"""

from __future__ import annotations

import json
import math
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
