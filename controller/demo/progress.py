"""An act while it runs, once a second, from what the generator and the observer have written so far."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from controller.demo.figures import p95
from controller.demo.records import JsonLines
from controller.demo.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Progress:
    """One look. `p95_seconds` is of the requests answered in the last second; NaN when there were none.

    Uses are means since the look before; NaN at the first. `offline_limit_cores` infinite: no limit.
    """

    controller: str
    seconds: float
    total_seconds: float
    phase: str
    p95_seconds: float
    offline_limit_cores: float
    offline_cores: float
    online_cores: float


Report = Callable[[Progress], None]


class Watcher:
    """Reads along. `start_at_seconds` (CLOCK_MONOTONIC) is the act's zero."""

    def __init__(
        self, controller: str, timeline: Timeline, start_at_seconds: float, requests: Path, observations: Path
    ) -> None:
        self._controller, self._timeline, self._start = controller, timeline, start_at_seconds
        self._requests, self._observations = JsonLines(requests), JsonLines(observations)
        self._answers: list[tuple[float, float]] = []
        self._row: dict[str, Any] | None = None

    def look(self, now_seconds: float) -> Progress:
        """The state of the act now (CLOCK_MONOTONIC)."""
        seconds = now_seconds - self._start
        before, rows = self._row, self._observations.read()
        self._row = rows[-1] if rows else before
        limit = self._row["offline_limit_cores"] if self._row else None
        return Progress(
            controller=self._controller,
            seconds=seconds,
            total_seconds=self._timeline.total_seconds,
            phase=self._timeline.phase_at(seconds).name,
            p95_seconds=self._p95(seconds),
            offline_limit_cores=math.inf if limit is None else float(limit),
            offline_cores=_cores(before, self._row, "offline"),
            online_cores=_cores(before, self._row, "online"),
        )

    def _p95(self, seconds: float) -> float:
        for record in self._requests.read():
            if record.get("status") == 200:
                latency = float(record["latency_seconds"])
                self._answers.append((record["intended_seconds"] + latency, latency))
        # The generator writes twice a second, so the last second of answers is not all there yet.
        self._answers = [answer for answer in self._answers if answer[0] > seconds - 1.5]
        return p95(np.array([latency for _, latency in self._answers]))


def _cores(before: dict[str, Any] | None, after: dict[str, Any] | None, group: str) -> float:
    if before is None or after is None or before is after:
        return math.nan
    used = after[f"{group}_usage_seconds"] - before[f"{group}_usage_seconds"]
    return float(used / (after["at_seconds"] - before["at_seconds"]))
