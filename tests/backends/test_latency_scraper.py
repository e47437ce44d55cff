"""The scraper against real endpoints on loopback, well and ill."""

from __future__ import annotations

import asyncio
import gzip
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from backends.base import LatencySource
from backends.latency.push import PushedLatency
from backends.latency.scraper import Scraper
from backends.latency.sources import Latency
from models.container import Container, Scrape, Slo

P95 = Slo(0.25, 95.0)
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Application:
    """An endpoint whose answer a test changes while it is being scraped."""

    serve: Serve
    url: str = ""
    requests: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        return await self.serve(request)

    def container(self, **changes: object) -> Container:
        scrape = Scrape(self.url, "x", interval_seconds=0.01, timeout_seconds=2.0)
        return Container("web", "/web", 1, slo=P95, scrape=replace(scrape, **changes))  # type: ignore[arg-type]


def page(*counts: int) -> Serve:
    """A histogram that rises by so many requests in (0.1, 0.5] from one scrape to the next, then stands."""
    left = list(counts)

    async def serve(_: web.Request) -> web.Response:
        count = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(text=f'x_bucket{{le="0.1"}} 0\nx_bucket{{le="0.5"}} {count}\nx_count {count}\n')

    return serve


def rising(step: int) -> Serve:
    return page(*range(0, 10_000 * step, step))


def answer(text: str | bytes = "", **options: object) -> Serve:
    async def serve(_: web.Request) -> web.Response:
        body = text.encode() if isinstance(text, str) else text
        return web.Response(body=body, **options)  # type: ignore[arg-type]

    return serve


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    application = Application(rising(10))
    site = web.Application()
    site.router.add_get("/metrics", application.handle)
    server = TestServer(site)
    await server.start_server()
    application.url = str(server.make_url("/metrics"))
    yield application
    await server.close()


@pytest.fixture
async def scraper() -> AsyncIterator[Scraper]:
    scraper = Scraper(rng=random.Random(1), max_body_bytes=100_000)
    yield scraper
    await scraper.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


def quantile(source: LatencySource) -> float:
    return source.quantile_seconds("web", P95, time.monotonic())


async def test_a_sound_endpoint(application: Application, scraper: Scraper) -> None:
    scraper.watch([application.container(), Container("other", "/other", 2)])
    assert math.isnan(quantile(scraper))
    await until(lambda: not math.isnan(quantile(scraper)))
    assert quantile(scraper) == pytest.approx(0.1 + 0.4 * 0.95)
    assert scraper.source_states() == {"web": ("ok", "")}
    assert math.isnan(scraper.quantile_seconds("other", P95, time.monotonic()))
    assert math.isnan(scraper.quantile_seconds("web", P95, time.monotonic() + 60))


async def test_a_page_too_large_to_read_at_once_is_read_beside(application: Application) -> None:
    scraper = Scraper()
    filler = 'y{a="' + "x" * 60 + '"} 1\n'
    counts = iter(range(0, 100_000, 10))

    async def serve(_: web.Request) -> web.Response:
        count = next(counts)
        return web.Response(text=f'x_bucket{{le="0.5"}} {count}\nx_count {count}\n' + filler * 3000)

    application.serve = serve
    scraper.watch([application.container()])
    await until(lambda: not math.isnan(quantile(scraper)))
    await scraper.close()


async def test_a_restarted_application(application: Application, scraper: Scraper) -> None:
    application.serve = page(5000, 5000, 7)
    scraper.watch([application.container()])
    await until(lambda: not math.isnan(quantile(scraper)))
    assert quantile(scraper) == pytest.approx(0.1 + 0.4 * 0.95)


async def test_an_endpoint_without_the_metric_is_not_cut_off(
    application: Application, scraper: Scraper
) -> None:
    application.serve = answer("up 1\n")
    scraper.watch([application.container()])
    await until(lambda: application.requests > 5)
    assert scraper.source_states() == {"web": ("ok", "x is not there")}
    assert math.isnan(quantile(scraper))


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (answer("no", status=500), "HTTP status 500"),
        (answer("", status=302, headers={"Location": "/metrics"}), "HTTP status 302"),
        (answer("<html>welcome</html>"), "not the Prometheus text format"),
        (answer(b"\xff\xfe\x00"), "utf-8"),
        (answer('x_bucket{le="0.5"} -7\n'), "a count can't be"),
        (answer("y 1\n" * 50_000), "larger than 100000 bytes"),
        (answer(gzip.compress(b"x 1"), headers={"Content-Encoding": "gzip"}), "compressed"),
    ],
)
async def test_an_ill_endpoint_is_cut_off_and_says_why(
    application: Application, scraper: Scraper, serve: Serve, reason: str
) -> None:
    application.serve = serve
    scraper.watch([application.container()])
    await until(lambda: scraper.source_states()["web"].state == "open")
    assert reason in scraper.source_states()["web"].reason
    assert application.requests == 3
    assert math.isnan(quantile(scraper))


async def test_a_slow_endpoint_is_given_up(application: Application, scraper: Scraper) -> None:
    async def serve(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    application.serve = serve
    scraper.watch([application.container(timeout_seconds=0.02)])
    await until(lambda: scraper.source_states()["web"].state == "open")
    assert scraper.source_states()["web"].reason == "no whole answer within 0.02 s"


async def test_one_that_drips_is_given_up_too(application: Application, scraper: Scraper) -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b"# a\n")
            await asyncio.sleep(0.005)
        return response

    application.serve = serve
    scraper.watch([application.container(timeout_seconds=0.05)])
    await until(lambda: scraper.source_states()["web"].state == "open")
    assert scraper.source_states()["web"].reason == "no whole answer within 0.05 s"


async def test_a_dead_endpoint(scraper: Scraper) -> None:
    scraper.watch([Application(rising(1), url=f"http://127.0.0.1:{unused_port()}/").container()])
    await until(lambda: scraper.source_states()["web"].state == "open")
    assert "onnect" in scraper.source_states()["web"].reason


async def test_a_url_that_is_none_hurts_no_other(application: Application, scraper: Scraper) -> None:
    bad = replace(application.container(url="http://[::"), id="bad")
    scraper.watch([bad, application.container()])
    await until(lambda: scraper.source_states()["bad"].state == "open")
    await until(lambda: not math.isnan(quantile(scraper)))


async def test_a_cut_off_endpoint_is_probed_after_each_back_off_and_taken_back(
    application: Application,
) -> None:
    slept: list[float] = []
    now = [0.0]

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds
        await asyncio.sleep(0)

    scraper = Scraper(clock=lambda: now[0], sleep=sleep, rng=random.Random(1))

    async def serve(request: web.Request) -> web.StreamResponse:
        healed = rising(10)
        if application.requests > 8:
            application.serve = healed
        return await (healed if application.requests > 8 else answer("", status=503))(request)

    application.serve = serve
    scraper.watch([application.container()])
    await until(lambda: not math.isnan(scraper.quantile_seconds("web", P95, now[0])))
    assert scraper.source_states() == {"web": ("ok", "")}
    assert slept[1:3] == [pytest.approx(0.01)] * 2
    for nominal, waited in zip((1, 2, 4, 8, 16, 32), slept[3:9], strict=True):
        assert nominal / 2 <= waited <= nominal
    assert slept[9] == pytest.approx(0.01)
    await scraper.close()


async def test_watch_starts_keeps_and_stops(application: Application, scraper: Scraper) -> None:
    web_ = application.container()
    scraper.watch([web_])
    await until(lambda: not math.isnan(quantile(scraper)))
    scraper.watch([web_, Container("other", "/other", 2)])
    assert not math.isnan(quantile(scraper))

    scraper.watch([replace(web_, inode=2)])
    assert math.isnan(quantile(scraper))
    await until(lambda: not math.isnan(quantile(scraper)))

    scraper.watch([])
    assert scraper.source_states() == {}
    await scraper.close()
    requests = application.requests
    await asyncio.sleep(0.05)
    assert application.requests == requests
    scraper.watch([web_])
    await until(lambda: application.requests > requests)


# --- pushed and scraped together


async def test_what_was_pushed_wins_while_it_is_fresh(application: Application, scraper: Scraper) -> None:
    latency = Latency(PushedLatency(), scraper)
    latency.watch([application.container()])
    await until(lambda: not math.isnan(quantile(latency)))
    scraped = quantile(latency)
    latency.pushed.push("web", [7.0] * 5, time.monotonic() - 2.9)
    assert quantile(latency) == 7.0
    await until(lambda: quantile(latency) == pytest.approx(scraped))
    assert latency.source_states() == {"web": ("ok", "")}
    await latency.close()


async def test_a_new_container_does_not_inherit_what_an_earlier_one_pushed() -> None:
    latency = Latency(PushedLatency(), Scraper())
    first, second = Container("web", "/web", 1), Container("web", "/web", 2)
    now = time.monotonic()
    latency.watch([first])
    latency.pushed.push("web", [7.0] * 5, now)
    latency.watch([first])
    assert latency.quantile_seconds("web", P95, now) == 7.0
    latency.watch([second])
    assert math.isnan(latency.quantile_seconds("web", P95, now))
    latency.pushed.push("web", [7.0] * 5, now)
    latency.watch([])
    assert math.isnan(latency.quantile_seconds("web", P95, now))
    await latency.close()
