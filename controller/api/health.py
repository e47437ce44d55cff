"""What probes and Prometheus ask."""

from __future__ import annotations

import math
from typing import Any

from aiohttp import web

from controller.api.problems import Problem
from controller.api.routing import Call


async def livez(call: Call) -> dict[str, Any]:
    """Whether the loop still turns."""
    if not call.agent.live():
        lag = call.agent.loop_lag_seconds()
        raise Problem(
            503, f"the loop is {lag:.1f} s late" if math.isfinite(lag) else "the loop has not ticked"
        )
    return {"status": "ok"}


async def readyz(call: Call) -> dict[str, Any]:
    """Whether the agent does its work."""
    if not call.agent.ready():
        raise Problem(503, "the control group tree is not found yet, or the first tick is not done")
    return {"status": "ok"}


async def metrics(call: Call) -> web.Response:
    """The metrics."""
    return web.Response(
        body=call.agent.metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    )
