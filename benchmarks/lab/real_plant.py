"""The plant on real cgroups: what a baseline sees and moves of a scenario's groups.

Limits go through the same backend as quotapilot's; counters are the observer's reader; latency is the
service's own Prometheus histogram, scraped four times a second as quotapilot does. `Gone` and `Refused` of
the backend reach the baseline: a group that has vanished ends the run.
"""

from __future__ import annotations

import math
import os
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from backends.cgroup import CgroupNode, open_node
from backends.cgroup.layout import Layout
from backends.cgroup.parse import parse_int, parse_throttling
from backends.latency.histogram import RecentRequests, bucket_quantile
from backends.latency.prometheus import Page, Reading
from controller.demo.observer import GroupReader, MachineReader
from controller.demo.playground import USUAL_SHARES

SCRAPE_SECONDS = 0.25
LONGEST_WINDOW_SECONDS = 60.0
_STALE_SECONDS = 3.0
_TIMEOUT_SECONDS = 1.0
_USUAL_WEIGHT = 100  # what v2 has for v1's 1024 shares, as in the tree that the stage makes


class ServiceLatency:
    """What a service's metrics have told of the last minute. For one writer and one reader, in two threads.

    A window is as long as the scrapes are apart at least. Raises nothing: without news for three seconds
    everything is NaN.
    """

    def __init__(self) -> None:
        self._requests = RecentRequests(LONGEST_WINDOW_SECONDS, _STALE_SECONDS)
        self._totals: deque[tuple[float, float]] = deque()
        self._lock = threading.Lock()

    def add(self, reading: Reading, now_seconds: float) -> None:
        """Take in a scraped page."""
        total = sum(counts.get(math.inf, 0.0) for counts in reading.counts.values())
        with self._lock:
            self._requests.add(reading, now_seconds)
            self._totals.append((now_seconds, total))
            while self._totals[0][0] < now_seconds - LONGEST_WINDOW_SECONDS:
                self._totals.popleft()

    def quantile_seconds(self, window_seconds: float, percentile: float, now_seconds: float) -> float:
        """The percentile of the requests answered in the window; NaN with none."""
        part = min(1.0, max(window_seconds, SCRAPE_SECONDS) / LONGEST_WINDOW_SECONDS)
        with self._lock:
            if self._is_stale(now_seconds):
                return math.nan
            return bucket_quantile(percentile, self._requests.counts(part))

    def rate_per_second(self, window_seconds: float, now_seconds: float) -> float:
        """Requests answered a second over about the window; NaN before the second scrape."""
        with self._lock:
            if self._is_stale(now_seconds) or len(self._totals) < 2:
                return math.nan
            newest_at, newest = self._totals[-1]
            # The scrape nearest to the window's begin.
            at, total = min(
                list(self._totals)[:-1], key=lambda seen: abs(newest_at - window_seconds - seen[0])
            )
        return max(0.0, newest - total) / (newest_at - at)

    def _is_stale(self, now_seconds: float) -> bool:
        return not self._totals or now_seconds - self._totals[-1][0] > _STALE_SECONDS


class Scraping:
    """A thread that scrapes one metric of an endpoint into a `ServiceLatency`; a context."""

    def __init__(self, url: str, metric: str, into: ServiceLatency) -> None:
        self._url, self._page, self._into = url, Page(metric), into
        # No proxy: the endpoint is on loopback, whatever the environment says.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scrape", daemon=True)

    def __enter__(self) -> Scraping:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        due_at = time.monotonic()
        while not self._stop.wait(max(0.0, due_at - time.monotonic())):
            due_at = max(due_at + SCRAPE_SECONDS, time.monotonic())
            try:
                with self._opener.open(self._url, timeout=_TIMEOUT_SECONDS) as answer:
                    reading = self._page.read(answer.read().decode())
            except (OSError, ValueError):
                continue  # overloaded, or not there yet: it goes stale by itself
            self._into.add(reading, time.monotonic())


class RealPlant:
    """See `benchmarks.lab.plant.Plant`. `online` and `peers` are groups by name, `victim` one of `online`.

    A context: on leaving files are closed and scraping ends; nothing is written. Entering raises LayoutError
    or OSError where a group is not there.
    """

    def __init__(
        self,
        *,
        victim: str,
        slo_seconds: float,
        online: dict[str, str],
        peers: dict[str, str],
        metrics_url: str,
        metric: str,
        full_rate_per_second: float,
        may_reweight: bool,
        open_node: Callable[[], CgroupNode] = open_node,
    ) -> None:
        self.victim, self.slo_seconds, self.may_reweight = victim, slo_seconds, may_reweight
        self.online, self.peers = tuple(online), tuple(peers)
        self.cpus = os.cpu_count() or 1
        self._groups = {**online, **peers}
        self._full_rate = full_rate_per_second
        self._latency = ServiceLatency()
        self._scraping = Scraping(metrics_url, metric, self._latency)
        self._open_node = open_node
        self._closing = ExitStack()

    def __enter__(self) -> RealPlant:
        with self._closing as closing:
            self._node = self._open_node()
            closing.callback(self._node.close)
            self.cpus = self._node.cpus
            layout = self._node.layout
            self._readers = {name: GroupReader(layout, group) for name, group in self._groups.items()}
            for reader in self._readers.values():
                closing.callback(reader.close)
            self._machine = MachineReader()
            self._is_v2 = layout.cpu.is_v2
            self._directories = {name: _directory(layout, group) for name, group in self._groups.items()}
            closing.enter_context(self._scraping)
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def usage_seconds(self, name: str) -> float:
        """See `Plant`."""
        return float(self._readers[name].read()["usage_seconds"] or 0.0)

    def busy_seconds(self) -> float:
        """See `Plant`. In the clock ticks of /proc/stat, 10 ms."""
        return float(self._machine.read()["busy_seconds"] or 0.0)

    def throttling(self, name: str) -> tuple[int, int]:
        """See `Plant`."""
        counted = parse_throttling((self._directories[name] / "cpu.stat").read_bytes())
        return counted.periods, counted.throttled_periods

    def latency_seconds(self, window_seconds: float, percentile: float) -> float:
        """See `Plant`. A window is a quarter of a second at least, a minute at most."""
        return self._latency.quantile_seconds(window_seconds, percentile, time.monotonic())

    def load_ratio(self) -> float:
        """See `Plant`. By the requests answered; 0 while that is not known."""
        rate = self._latency.rate_per_second(1.0, time.monotonic())
        return 0.0 if math.isnan(rate) else rate / self._full_rate

    def limit_cores(self, name: str) -> float:
        """See `Plant`."""
        return self._node.limit(self._groups[name]).cores

    def set_limit(self, name: str, cores: float) -> None:
        """See `Plant`."""
        found = self._node.limit(self._groups[name])
        wanted = found.with_cores(cores)
        if wanted != found:
            self._node.set_limit(self._groups[name], wanted)

    def set_shares(self, name: str, shares: int) -> None:
        """See `Plant`. On v2 the weight in proportion."""
        if not self.may_reweight:
            return
        if self._is_v2:
            self._write(name, "cpu.weight", weight_of_shares(shares))
        else:
            self._write(name, "cpu.shares", shares)

    def set_idle(self, name: str, idle: bool) -> None:
        """See `Plant`."""
        if self.may_reweight:
            self._write(name, "cpu.idle", int(idle))

    def _write(self, name: str, file: str, value: int) -> None:
        path = self._directories[name] / file
        if parse_int(path.read_bytes()) != value:
            # Not write_text: it would try to create a file that the kernel does not offer, and say EACCES.
            fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
            try:
                os.write(fd, b"%d\n" % value)
            finally:
                os.close(fd)


def weight_of_shares(shares: int) -> int:
    """cpu.weight for cpu.shares: in proportion, 100 for 1024, at least 1."""
    return max(1, round(shares * _USUAL_WEIGHT / USUAL_SHARES))


def _directory(layout: Layout, group: str) -> Path:
    return Path(layout.cpu.point) / group.lstrip("/")
