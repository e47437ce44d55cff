"""Every error as a problem document (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from controller.api.jsontext import dumps

MEDIA_TYPE = "application/problem+json"
_MAX_ERRORS = 50

logger = logging.getLogger(__name__)


class Problem(Exception):
    """A request that is answered with an error.

    `errors` has one line per thing that is wrong, where several can be; only the first 50 are told.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors[:_MAX_ERRORS])
        self.headers = dict(headers or {})

    def response(self) -> web.Response:
        """The problem as it is sent."""
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = self.errors
        return web.Response(
            status=self.status, body=dumps(document).encode(), content_type=MEDIA_TYPE, headers=self.headers
        )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns whatever a handler raises into a problem document; what nobody foresaw is logged, not shown."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except web.HTTPException as error:
        return _of_http_exception(request, error).response()
    except Exception:
        logger.exception("%s %s failed", request.method, request.raw_path)
        return Problem(500, "the agent failed to answer; its log says why").response()


def _of_http_exception(request: web.Request, error: web.HTTPException) -> Problem:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return Problem(
            405, f"{request.method} is not possible here, but {allowed}", headers={hdrs.ALLOW: allowed}
        )
    if isinstance(error, web.HTTPNotFound):
        return Problem(404, f"nothing is served at {request.path}; /api/v1/openapi.json lists what is")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return Problem(413, f"the body is larger than {request.client_max_size} bytes")
    return Problem(error.status, error.reason)
