"""Scrapes the containers' Prometheus endpoints beside the control loop, which never waits for one."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from backends.latency.breaker import Breaker, SourceState
from backends.latency.endpoint import Endpoint
from backends.latency.prometheus import Reading
from models.container import Container, Scrape, Slo

MAX_BODY_BYTES = 8 * 2**20
_CHUNK_BYTES = 64 * 1024
# Reading one that is larger takes milliseconds, in which the control loop must be able to run.
_LARGE_PAGE = 128 * 1024
_HEADERS = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity"}


class ScrapeFailed(Exception):
    """The endpoint's answer is not a page of metrics. The text says what it was."""


@dataclass(slots=True)
class _Source:
    identity: tuple[int, str]
    scrape: Scrape
    endpoint: Endpoint
    breaker: Breaker
    task: asyncio.Task[None]


class Scraper:
    """One task for each container that has a `Scrape`. One that fails is cut off by a breaker of its own.

    `clock` must be the one that the loop's `now_seconds` comes from; `sleep` waits on it. Use from one event
    loop only.
    """

    def __init__(
        self,
        window_seconds: float = 1.0,
        stale_after_seconds: float = 3.0,
        min_samples: int = 5,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._window_seconds = window_seconds
        self._stale_after_seconds = stale_after_seconds
        self._min_samples = min_samples
        self._clock, self._sleep = clock, sleep
        self._rng = rng or random.Random()
        self._max_body_bytes = max_body_bytes
        self._sources: dict[str, _Source] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def watch(self, containers: Sequence[Container]) -> None:
        """Scrape these from now on, and no others. What is known of one that stays the same is kept.

        Must be called with the event loop running.
        """
        wanted = {c.id: (c.identity, c.scrape) for c in containers if c.scrape is not None}
        for container_id, source in list(self._sources.items()):
            if wanted.get(container_id) != (source.identity, source.scrape):
                self._stop(container_id)
        for container_id, (identity, scrape) in wanted.items():
            if container_id not in self._sources:
                self._start(container_id, identity, scrape)

    def quantile_seconds(self, container_id: str, slo: Slo, now_seconds: float) -> float:
        """See `LatencySource.quantile_seconds`. NaN for a container that is not scraped."""
        source = self._sources.get(container_id)
        return source.endpoint.quantile_seconds(slo, now_seconds) if source else math.nan

    def source_states(self) -> Mapping[str, SourceState]:
        """By container: whether its endpoint is asked as usual or cut off, and what is wrong with it."""
        return {container_id: source.breaker.state for container_id, source in self._sources.items()}

    async def close(self) -> None:
        """Stop all tasks and close all connections. The scraper can be used again after."""
        for container_id in list(self._sources):
            self._stop(container_id)
        await asyncio.gather(*self._stopping, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _start(self, container_id: str, identity: tuple[int, str], scrape: Scrape) -> None:
        endpoint = Endpoint(scrape, self._window_seconds, self._stale_after_seconds, self._min_samples)
        breaker = Breaker(self._rng)
        task = asyncio.get_running_loop().create_task(
            self._run(scrape, endpoint, breaker), name=f"scrape {container_id}"
        )
        self._sources[container_id] = _Source(identity, scrape, endpoint, breaker, task)

    def _stop(self, container_id: str) -> None:
        task = self._sources.pop(container_id).task
        # The event loop itself holds tasks only weakly.
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
        task.cancel()

    async def _run(self, scrape: Scrape, endpoint: Endpoint, breaker: Breaker) -> None:
        # Containers are often found together; their scrapes should not come together.
        await self._sleep(self._rng.uniform(0, scrape.interval_seconds))
        while True:
            due_at = self._clock() + scrape.interval_seconds
            try:
                reading = await _read(endpoint, await self._fetch(scrape))
                endpoint.accept(reading, self._clock())
                there = reading.counts or reading.quantiles
                breaker.succeeded("" if there else f"{scrape.metric} is not there")
            except Exception as error:
                # Whatever a foreign endpoint makes go wrong must end neither this task nor another's.
                breaker.failed(_reason(error, scrape), self._clock())
            now_seconds = self._clock()
            await self._sleep(max(due_at - now_seconds, breaker.wait_seconds(now_seconds)))

    async def _fetch(self, scrape: Scrape) -> str:
        timeout = aiohttp.ClientTimeout(total=scrape.timeout_seconds)
        async with self._open_session().get(scrape.url, timeout=timeout, allow_redirects=False) as response:
            if response.status != 200:
                raise ScrapeFailed(f"HTTP status {response.status}")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise ScrapeFailed("the answer is compressed, though it was asked not to be")
            body = bytearray()
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                body += chunk
                if len(body) > self._max_body_bytes:
                    raise ScrapeFailed(f"the answer is larger than {self._max_body_bytes} bytes")
        return body.decode("utf-8")

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=_HEADERS,
                # A small compressed answer can unpack to any size.
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                # One request per container at a time is limit enough.
                connector=aiohttp.TCPConnector(limit=0),
            )
        return self._session


async def _read(endpoint: Endpoint, text: str) -> Reading:
    if len(text) < _LARGE_PAGE:
        return endpoint.page.read(text)
    return await asyncio.to_thread(endpoint.page.read, text)


def _reason(error: Exception, scrape: Scrape) -> str:
    if isinstance(error, TimeoutError):
        return f"no whole answer within {scrape.timeout_seconds:g} s"
    return str(error) or type(error).__name__
