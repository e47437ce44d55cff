"""The OpenAPI 3.1 document, built from the table of routes."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter

from controller import __version__
from controller.api import problems
from controller.api.auth import HEALTH_PATHS
from controller.api.inputs import Param
from controller.api.routing import Call, Route
from controller.api.schemas import SCHEMAS
from controller.config import Config

DOCUMENT: web.AppKey[dict[str, Any]] = web.AppKey("openapi", dict)

_REF = "#/components/schemas/"
_DESCRIPTION = (
    "Watches the containers of one node and shifts CPU to those that matter and are being hurt. "
    "Reads are open on loopback; writes need the bearer token of api.token_file. On any other address "
    "all but health needs it. Times are RFC 3339 in UTC, units stand in the names."
)
_ID: dict[str, Any] = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "The runtime's id or the configured name; its slashes may be sent as they are or as %2F.",
}
_LAST_EVENT_ID: dict[str, Any] = {
    "name": "Last-Event-ID",
    "in": "header",
    "schema": {"type": "string"},
    "description": "The id of the last event that was read.",
}


async def openapi(call: Call) -> dict[str, Any]:
    """The handler that serves the document."""
    return call.request.app[DOCUMENT]


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The document of the routes."""
    routes = tuple(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "quotapilot",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(routes),
            "responses": {f"Problem{status}": _problem(status) for status in _all_failures(routes)},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "security": _security(route),
        "responses": {
            **_success(route),
            **{str(n): {"$ref": f"#/components/responses/Problem{n}"} for n in _failures(route)},
        },
    }
    parameters = [_ID] if "{id}" in route.path else []
    parameters += [_parameter(param) for param in route.query or ()]
    if route.media_type == "text/event-stream":
        parameters.append(_LAST_EVENT_ID)
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        schema = {"$ref": _REF + route.body.name}
        operation["requestBody"] = {
            "required": not route.body.optional,
            "content": {media_type: {"schema": schema} for media_type in route.body.media_types},
        }
    return operation


def _success(route: Route) -> dict[str, Any]:
    if route.answer is not None:
        schema: dict[str, Any] = {"$ref": _REF + route.answer}
    elif route.media_type.startswith("text/"):
        schema = {"type": "string"}
    else:
        return {"204": {"description": "Taken"}}
    return {"200": {"description": route.summary, "content": {route.media_type: {"schema": schema}}}}


def _failures(route: Route) -> list[int]:
    found = {403, 500, *route.fails}
    if route.path not in HEALTH_PATHS:
        found |= {401, 503}
    if route.query is not None:
        found.add(400)
    if "{id}" in route.path:
        found.add(404)
    if route.writes:
        found.add(429)
    if route.body is not None:
        found |= {400, 408, 413, 415}
    return sorted(found)


def _all_failures(routes: Iterable[Route]) -> list[int]:
    return sorted({status for route in routes for status in _failures(route)})


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.path in HEALTH_PATHS:
        return []
    needed: dict[str, list[str]] = {"token": []}
    return [needed] if route.writes else [{}, needed]


def _problem(status: int) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": _REF + "Problem"}}},
    }
    if status == HTTPStatus.UNAUTHORIZED:
        response["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return response


def _parameter(param: Param) -> dict[str, Any]:
    return {"name": param.name, "in": "query", "schema": param.schema, "description": param.description}


def _schemas(routes: Iterable[Route]) -> dict[str, Any]:
    bodies = {route.body.name: route.body.adapter for route in routes if route.body is not None}
    found = dict(SCHEMAS)
    for name, adapter in {"Config": TypeAdapter(Config), **bodies}.items():
        mode: Any = "validation" if name in bodies else "serialization"
        schema = adapter.json_schema(mode=mode, ref_template=_REF + "{model}")
        found.update(schema.pop("$defs", {}))
        found[name] = schema
    return found
