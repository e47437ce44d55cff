"""The load generator for a server that is not ours: a new TLS connection for every request, and metrics.

Run as `python -m benchmarks.lab.client PLAN.json CERTIFICATE PORT`. A server in its usual configuration
tells no latencies; what stands before it, a proxy or a mesh, does. Here the generator is that: GET /metrics
on PORT has the time from sending a request to its answer, connecting included.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path
from typing import IO

import aiohttp
from aiohttp import web

from controller.demo.descriptors import allow_many_connections
from controller.demo.load import Generator, Plan
from controller.demo.service import LatencyMetrics


class Client(Generator):
    """One run of a plan; see `Generator`."""

    def __init__(self, plan: Plan, out: IO[str], certificate: Path) -> None:
        super().__init__(plan, out)
        self._tls = ssl.create_default_context(cafile=str(certificate))
        self.metrics = LatencyMetrics()

    def connector(self) -> aiohttp.TCPConnector:
        """Never the same connection twice."""
        return aiohttp.TCPConnector(limit=0, force_close=True, ssl=self._tls)

    def answered(self, latency_seconds: float) -> None:
        """See `Generator`."""
        self.metrics.observe(latency_seconds)


async def run(client: Client, port: int) -> None:
    """Send the plan's requests; the metrics are there meanwhile."""
    app = web.Application()
    app.router.add_get("/metrics", client.metrics.page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await client.run()
    finally:
        await runner.cleanup()


def main() -> None:
    plan_file, certificate, port = sys.argv[1:]
    plan = Plan.read(Path(plan_file))
    allow_many_connections()
    with open(plan.out, "w") as out:
        asyncio.run(run(Client(plan, out, Path(certificate)), int(port)))


if __name__ == "__main__":
    main()
