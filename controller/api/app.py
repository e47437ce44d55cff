"""The application: the routes, and what stands before each of them."""

from __future__ import annotations

import logging

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from controller.api import routing
from controller.api.auth import Guard, guarding
from controller.api.events import STREAMS, Streams
from controller.api.facade import Agent
from controller.api.limits import at_most
from controller.api.openapi import DOCUMENT, document
from controller.api.problems import problems
from controller.api.routes import ROUTES

MAX_BODY_BYTES = 1024**2
MAX_WRITES = 64

logger = logging.getLogger(__name__)


def create_app(agent: Agent, guard: Guard) -> web.Application:
    """The application that serves `agent` to whom `guard` lets in."""
    app = web.Application(
        client_max_size=MAX_BODY_BYTES, middlewares=[_audit, problems, guarding(guard), at_most(MAX_WRITES)]
    )
    app[routing.AGENT] = agent
    app[STREAMS] = Streams()
    app[DOCUMENT] = document(ROUTES)
    for route in ROUTES:
        routing.add(app, route)
    app.on_shutdown.append(app[STREAMS].close)
    app.on_response_prepare.append(_add_headers)
    return app


@web.middleware
async def _audit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Leaves a line in the log of every attempt to change something."""
    response = await handler(request)
    if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
        # Latencies are pushed all the time: they would drown what matters.
        level = logging.DEBUG if response.status == 204 else logging.INFO
        what = (request.method, request.raw_path, request.remote, response.status)
        logger.log(level, "%s %s from %s: %d", *what)
    return response


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
