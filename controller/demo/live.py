"""An act as it runs, on the terminal; without a terminal, a plain line every two seconds."""

from __future__ import annotations

import math
from collections import deque
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from controller.demo.progress import Progress

_PLAIN_EVERY_SECONDS = 2.0
_HISTORY = 60
_BLOCKS = "▁▂▃▄▅▆▇█"
_LATENCY_RANGE = (0.01, 10.0)


class LiveView:
    """Give it to `run_act` as `progress`, inside its context. One act each."""

    def __init__(self, *, slo_seconds: float, cpus: int, console: Console | None = None) -> None:
        self._slo, self._cpus = slo_seconds, cpus
        self._console = console or Console()
        self._live: Live | None = None
        self._history: deque[Progress] = deque(maxlen=_HISTORY)
        self._next_line_at = -math.inf

    def __enter__(self) -> LiveView:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __call__(self, look: Progress) -> None:
        self._history.append(look)
        if self._live is not None:
            self._live.update(self._picture(look))
        elif look.seconds >= self._next_line_at:
            self._next_line_at = look.seconds + _PLAIN_EVERY_SECONDS - 0.5
            self._console.print(plain_line(look), highlight=False, soft_wrap=True)

    def _picture(self, look: Progress) -> Group:
        over = look.p95_seconds > self._slo
        table = Table.grid(padding=(0, 2))
        table.add_row(
            "online p95",
            Text(_ms(look.p95_seconds), "bold red" if over else "bold green"),
            Text(self._latencies()),
            f"SLO {_ms(self._slo)}",
        )
        limits = [min(past.offline_limit_cores, self._cpus) for past in self._history]
        table.add_row("offline limit", _limit(look), Text(self._levels(limits)), "")
        offline = [past.offline_cores for past in self._history]
        table.add_row("offline use", _cores(look.offline_cores), Text(self._levels(offline)), "")
        online = [past.online_cores for past in self._history]
        table.add_row("online use", _cores(look.online_cores), Text(self._levels(online)), "")
        done = min(max(0.0, look.seconds), look.total_seconds)
        head = f"{look.controller}: {look.phase}, {done:.0f} of {look.total_seconds:.0f} s"
        return Group(Text(head, "bold"), table)

    def _latencies(self) -> str:
        """On a logarithmic scale, as the interesting values are 40 ms, 250 ms and 10 s."""
        low, high = (math.log(bound) for bound in _LATENCY_RANGE)
        shares = [(math.log(max(past.p95_seconds, 1e-3)) - low) / (high - low) for past in self._history]
        return "".join(_block(share) for share in shares)

    def _levels(self, cores: list[float]) -> str:
        return "".join(_block(value / self._cpus) for value in cores)


def plain_line(look: Progress) -> str:
    """One look as a line of text."""
    return (
        f"{look.controller}: {look.seconds:5.1f} s {look.phase:<6}  p95 {_ms(look.p95_seconds):>9}  "
        f"offline limit {_limit(look)}, use {_cores(look.offline_cores)}  "
        f"online use {_cores(look.online_cores)}"
    )


def _block(share: float) -> str:
    if math.isnan(share):
        return " "
    return _BLOCKS[min(len(_BLOCKS) - 1, max(0, int(share * len(_BLOCKS))))]


def _ms(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds * 1000:,.0f} ms"


def _limit(look: Progress) -> str:
    return "none" if math.isinf(look.offline_limit_cores) else _cores(look.offline_limit_cores)


def _cores(cores: float) -> str:
    return "-" if math.isnan(cores) else f"{cores:.2f} cores"
