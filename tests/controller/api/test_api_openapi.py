"""The document says what is served, no more and no less."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient
from api_fake import FakeAgent

from controller.api.app import create_app
from controller.api.auth import Guard
from controller.api.openapi import document
from controller.api.routes import ROUTES

DOCUMENT = document(ROUTES)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def values_of(key: str, inside: Any) -> Iterator[Any]:
    if isinstance(inside, dict):
        for name, value in inside.items():
            if name == key:
                yield value
            yield from values_of(key, value)
    elif isinstance(inside, list):
        for value in inside:
            yield from values_of(key, value)


def test_what_is_served_is_what_is_in_it() -> None:
    served = {
        (route.method, route.resource.canonical)
        for route in create_app(FakeAgent(), Guard(True, None)).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert served == {(method, path) for method, path, _ in operations()}


def test_every_reference_resolves() -> None:
    references = set(values_of("$ref", DOCUMENT))
    assert references
    for reference in references:
        here: Any = DOCUMENT
        assert reference.startswith("#/")
        for key in reference[2:].split("/"):
            here = here[key]


def test_every_component_is_used() -> None:
    used = set(values_of("$ref", DOCUMENT))
    for kind in ("schemas", "responses"):
        for name in DOCUMENT["components"][kind]:
            assert f"#/components/{kind}/{name}" in used


def test_its_shape() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))
    for method, path, operation in operations():
        assert operation["summary"]
        assert any(status.startswith("2") for status in operation["responses"])
        in_path = [p["name"] for p in operation.get("parameters", []) if p["in"] == "path"]
        assert in_path == (["id"] if "{id}" in path else [])
        for name, parameter in ((p["name"], p) for p in operation.get("parameters", [])):
            assert parameter["schema"]["type"] and parameter["description"], name
        if method != "GET":
            assert operation["security"] == [{"token": []}]
            assert {"401", "403"} <= operation["responses"].keys()
    assert DOCUMENT["components"]["securitySchemes"].keys() == {"token"}


def test_every_schema_lists_only_what_it_defines() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert set(schema.get("required", [])) <= set(schema.get("properties", {})), name


async def test_it_is_served_as_it_is(client: TestClient) -> None:
    response = await client.get("/api/v1/openapi.json")
    assert await response.json() == json.loads(json.dumps(DOCUMENT, allow_nan=False))


def test_the_names_in_the_contract_are_served() -> None:
    design = {
        *("/", "/livez", "/readyz", "/metrics"),
        *(f"/api/v1/{name}" for name in ("node", "containers", "containers/{id}", "containers/{id}/profile")),
        *(f"/api/v1/{name}" for name in ("transitions", "revisions", "alerts", "events", "config")),
        *(f"/api/v1/{name}" for name in ("freeze", "restore", "containers/{id}/latency", "openapi.json")),
        *(f"/api/v1/{name}" for name in ("learner", "learner/reset")),
    }
    assert {str(Path(path)) for path in DOCUMENT["paths"]} == design
