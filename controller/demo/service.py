"""The online service of the demo: every request costs CPU and, if wanted, a wait for something downstream.

`GET /work` queues for one of a fixed number of threads, first come first served, burns its CPU and then waits
`downstream_ms` without using any. `GET /metrics` has the latency from arrival to completion as the Prometheus
histogram `http_request_duration_seconds`. `POST /control` with `cpu_ms` or `downstream_ms` changes them while
running. Listens on loopback; writes {"port", "iterations_per_ms"} to the port file when it is ready.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from controller.demo.descriptors import allow_many_connections
from controller.demo.work import burn, calibrate

# Quantiles are read from these, so they are narrow: steps of 1.25, one bound exactly at an SLO of 250 ms.
BUCKETS = tuple(round(0.25 * 1.25**step, 4) for step in range(-15, 18))
_BACKLOG = 4096


class LatencyMetrics:
    """Latencies as the Prometheus histogram `http_request_duration_seconds`, and the page that shows it."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        histogram = Histogram(
            "http_request_duration_seconds",
            "Time from a request's arrival to its completion.",
            registry=self._registry,
            buckets=BUCKETS,
        )
        self.observe = histogram.observe

    async def page(self, request: web.Request) -> web.Response:
        """The handler of GET /metrics."""
        return web.Response(body=generate_latest(self._registry), content_type="text/plain", charset="utf-8")


class Service:
    """The request handlers and the knobs they obey.

    `lognormal_sigma` 0 makes every request cost `cpu_ms`; above, costs are log-normal with that mean.
    """

    def __init__(
        self,
        *,
        cpu_ms: float,
        threads: int,
        iterations_per_ms: float,
        lognormal_sigma: float = 0.0,
        downstream_ms: float = 0.0,
        seed: int = 1,
    ) -> None:
        self.cpu_ms = cpu_ms
        self.downstream_ms = downstream_ms
        self._iterations_per_ms = iterations_per_ms
        self._sigma = lognormal_sigma
        self._random = random.Random(seed)
        self._pool = ThreadPoolExecutor(threads)
        self._metrics = LatencyMetrics()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/work", self._work)
        app.router.add_get("/metrics", self._metrics.page)
        app.router.add_post("/control", self._control)
        return app

    async def _work(self, request: web.Request) -> web.Response:
        arrived = time.monotonic()
        await asyncio.get_running_loop().run_in_executor(self._pool, burn, self._cost())
        if self.downstream_ms > 0:
            await asyncio.sleep(self.downstream_ms / 1000)
        self._metrics.observe(time.monotonic() - arrived)
        return web.Response(text="done\n")

    async def _control(self, request: web.Request) -> web.Response:
        try:
            wanted = {name: float(value) for name, value in dict(await request.json()).items()}
        except (ValueError, TypeError) as error:
            raise web.HTTPBadRequest(text=f"not an object of numbers: {error}\n") from error
        unknown = wanted.keys() - {"cpu_ms", "downstream_ms"}
        if unknown or any(not 0 <= value < math.inf for value in wanted.values()):
            raise web.HTTPBadRequest(text="only cpu_ms and downstream_ms, not negative\n")
        self.cpu_ms = wanted.get("cpu_ms", self.cpu_ms)
        self.downstream_ms = wanted.get("downstream_ms", self.downstream_ms)
        return web.json_response({"cpu_ms": self.cpu_ms, "downstream_ms": self.downstream_ms})

    def _cost(self) -> int:
        factor = self._random.lognormvariate(-(self._sigma**2) / 2, self._sigma) if self._sigma else 1.0
        return round(self.cpu_ms * factor * self._iterations_per_ms)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port-file", type=Path, required=True, help="written when the service is ready")
    parser.add_argument("--cpu-ms", type=float, default=12.0, help="mean CPU time of a request")
    parser.add_argument("--threads", type=int, default=8, help="requests worked on at a time")
    parser.add_argument("--lognormal-sigma", type=float, default=0.0, help="0: every request costs the same")
    parser.add_argument("--downstream-ms", type=float, default=0.0, help="wait without CPU in every request")
    parser.add_argument("--seed", type=int, default=1, help="of the costs")
    parser.add_argument("--iterations-per-ms", type=float, help="an earlier calibration; else calibrate now")
    return parser.parse_args()


def main() -> None:
    options = _arguments()
    allow_many_connections()
    speed = options.iterations_per_ms or calibrate()
    service = Service(
        cpu_ms=options.cpu_ms,
        threads=options.threads,
        iterations_per_ms=speed,
        lognormal_sigma=options.lognormal_sigma,
        downstream_ms=options.downstream_ms,
        seed=options.seed,
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    ready = options.port_file.with_suffix(".new")
    ready.write_text(json.dumps({"port": listener.getsockname()[1], "iterations_per_ms": speed}))
    ready.rename(options.port_file)
    web.run_app(service.app(), sock=listener, backlog=_BACKLOG, access_log=None, print=None)


if __name__ == "__main__":
    main()
