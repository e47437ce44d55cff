"""How many writes may be under way at once."""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from controller.api.problems import Problem


def at_most(limit: int) -> Middleware:
    """Refuses a write (429) while `limit` others are under way.

    Only writes have a body to wait for; a read is answered in one go and can't pile up.
    """
    under_way = 0

    @web.middleware
    async def limited(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal under_way
        if request.method in (hdrs.METH_GET, hdrs.METH_HEAD):
            return await handler(request)
        if under_way >= limit:
            raise Problem(429, f"{limit} writes are under way", headers={hdrs.RETRY_AFTER: "1"})
        under_way += 1
        try:
            return await handler(request)
        finally:
            under_way -= 1

    return limited
