"""The load generator: open loop, Poisson arrivals drawn beforehand, latency from the intended send time.

It never waits for an answer before it sends the next request, so a slow service cannot slow its load down.
Run as `python -m controller.demo.load PLAN.json`. The output is JSON lines: a head with the arrivals and with
`start_at_seconds` (CLOCK_MONOTONIC), the zero of the time axis for everybody; then one line per request as it
is answered, at the end those that never were (status 0).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

import aiohttp
import numpy as np

from controller.demo.descriptors import allow_many_connections
from models.container import FloatArray

_FLUSH_SECONDS = 0.5
_LEAD_SECONDS = 0.2
_COMMON_LEAD_SECONDS = 0.5  # on a full machine the others may see the file late
_START_CHECK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Rate:
    """A mean arrival rate that holds for some seconds."""

    seconds: float
    rate_per_second: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send, and where the output goes.

    `drain_seconds`: how long to wait after the last phase for answers still due. A request unanswered then
    has waited at least that long, so keep it above the SLO.
    `start_file`: where to read the start of the plan from (CLOCK_MONOTONIC seconds), waiting until it is
    there, so that several processes start together; None: as soon as we are ready.
    """

    url: str
    out: str
    seed: int
    phases: tuple[Rate, ...]
    drain_seconds: float = 2.0
    start_file: str | None = None

    @property
    def ends_at_seconds(self) -> float:
        """When the generator stops, from the start of the plan."""
        return sum(phase.seconds for phase in self.phases) + self.drain_seconds

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Raises OSError, or TypeError and ValueError for what is not a plan."""
        data: dict[str, Any] = json.loads(path.read_text())
        return cls(**{**data, "phases": tuple(Rate(**phase) for phase in data["phases"])})


def draw_arrivals(seed: int, phases: Sequence[Rate]) -> FloatArray:
    """Poisson arrival times in seconds from the start, ascending; the same seed gives the same times."""
    random = np.random.default_rng(seed)
    times: list[FloatArray] = []
    start = 0.0
    for phase in phases:
        count = random.poisson(phase.rate_per_second * phase.seconds)
        times.append(start + np.sort(random.random(count)) * phase.seconds)
        start += phase.seconds
    return np.concatenate(times) if times else np.empty(0)


def start_in(file: Path) -> float | None:
    """The start that a start file tells (CLOCK_MONOTONIC seconds); None before it is there."""
    try:
        return float(file.read_text())
    except FileNotFoundError:
        return None


def write_start(file: Path) -> float:
    """Let all who wait for the start file begin together, in a moment; the start."""
    start_at = time.monotonic() + _COMMON_LEAD_SECONDS
    part = file.with_suffix(".part")
    part.write_text(str(start_at))
    part.rename(file)
    return start_at


class Generator:
    """One run of a plan. Lines wait in memory and are written twice a second."""

    def __init__(self, plan: Plan, out: IO[str]) -> None:
        self._plan, self._out = plan, out
        self._lines: list[str] = []
        self._start_at = 0.0

    def connector(self) -> aiohttp.TCPConnector:
        """How requests are sent: over kept connections, as many as it takes."""
        return aiohttp.TCPConnector(limit=0)

    def answered(self, latency_seconds: float) -> None:
        """A request got a good answer, this long after it was sent."""

    async def run(self) -> None:
        arrivals = draw_arrivals(self._plan.seed, self._plan.phases)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=self.connector(), timeout=timeout) as session:
            # Only now, as nobody can tell how long the imports take on a busy machine.
            self._start_at = await self._start()
            head = {
                "start_at_seconds": self._start_at,
                "seed": self._plan.seed,
                "arrivals_seconds": arrivals.round(6).tolist(),
            }
            self._lines.append(json.dumps(head))
            self._flush()
            flusher = asyncio.create_task(self._flush_often())
            requests = []
            for intended in arrivals.tolist():
                await asyncio.sleep(intended - self._now())
                requests.append(asyncio.create_task(self._send(session, intended)))
            await asyncio.sleep(self._plan.ends_at_seconds - self._now())
            for request in requests:
                request.cancel()
            await asyncio.gather(*requests, return_exceptions=True)
            flusher.cancel()
        self._flush()

    async def _start(self) -> float:
        if self._plan.start_file is None:
            return time.monotonic() + _LEAD_SECONDS
        while (start_at := start_in(Path(self._plan.start_file))) is None:
            await asyncio.sleep(_START_CHECK_SECONDS)
        return start_at

    async def _send(self, session: aiohttp.ClientSession, intended: float) -> None:
        sent = self._now()
        status = 0
        try:
            async with session.get(self._plan.url) as response:
                await response.read()
                status = response.status
            if status == HTTPStatus.OK:
                self.answered(self._now() - sent)
        except aiohttp.ClientError:
            pass
        finally:
            self._lines.append(
                json.dumps(
                    {
                        "intended_seconds": round(intended, 6),
                        "latency_seconds": round(self._now() - intended, 6),
                        "send_lag_seconds": round(sent - intended, 6),
                        "status": status,
                    }
                )
            )

    async def _flush_often(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            self._flush()

    def _flush(self) -> None:
        if self._lines:
            self._out.write("\n".join(self._lines) + "\n")
            self._out.flush()
            self._lines.clear()

    def _now(self) -> float:
        return time.monotonic() - self._start_at


def main() -> None:
    plan = Plan.read(Path(sys.argv[1]))
    allow_many_connections()
    with open(plan.out, "w") as out:
        asyncio.run(Generator(plan, out).run())


if __name__ == "__main__":
    main()
