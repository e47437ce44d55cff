"""A route as one row of a table, and the endpoint that serves a row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from controller.api.facade import Agent, Refused, UnknownContainer
from controller.api.inputs import Body, Param, read_body, read_query
from controller.api.jsontext import dumps
from controller.api.problems import Problem
from controller.config import ConfigError

AGENT: web.AppKey[Agent] = web.AppKey("agent", Agent)
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """One request with its query and body checked."""

    agent: Agent
    request: web.Request
    query: dict[str, Any]
    body: Any

    @property
    def container_id(self) -> str:
        """The id in the path."""
        return self.request.match_info["id"]


@dataclass(frozen=True, slots=True)
class Route:
    """What is served at a method and path: all that the endpoint and the document need to know.

    `handler` returns plain JSON, None for "no content", or a response of its own. `answer` names the schema
    of the JSON. `query` None: parameters are not looked at (probes and scrapers add theirs). `fails` are
    the errors that only this route has.
    """

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Any]]
    summary: str
    answer: str | None = None
    query: tuple[Param, ...] | None = ()
    body: Body | None = None
    media_type: str = JSON
    fails: tuple[int, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.method != hdrs.METH_GET


def add(app: web.Application, route: Route) -> None:
    """Serve a route. An id in a path may hold slashes, as they are or as %2F."""
    pattern = route.path.replace("{id}", "{id:.+}")
    if route.writes:
        app.router.add_route(route.method, pattern, _endpoint(route))
    else:
        # HEAD of an endless stream would never be answered.
        app.router.add_get(pattern, _endpoint(route), allow_head=route.media_type != "text/event-stream")


def _endpoint(route: Route) -> Handler:
    async def endpoint(request: web.Request) -> web.StreamResponse:
        query = read_query(request, route.query) if route.query is not None else {}
        body = await read_body(request, route.body) if route.body is not None else None
        try:
            answer = await route.handler(Call(request.app[AGENT], request, query, body))
        except UnknownContainer as error:
            raise Problem(404, f"there is no container {request.match_info['id']}") from error
        except Refused as error:
            raise Problem(409, str(error)) from error
        except ConfigError as error:
            raise Problem(
                422, "the configuration is refused; nothing was changed", errors=str(error).splitlines()
            ) from error
        if answer is None:
            return web.Response(status=204)
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.Response(body=dumps(answer).encode(), content_type=route.media_type)

    return endpoint
