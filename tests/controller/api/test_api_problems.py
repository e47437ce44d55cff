"""The errors that no single route owns."""

from __future__ import annotations

import logging

import pytest
from aiohttp.test_utils import TestClient
from api_fake import FakeAgent


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("transitions?limit=0", "limit: '0' is not a whole number from 1 to 1000"),
        ("transitions?limit=1001", "limit: '1001' is not a whole number from 1 to 1000"),
        ("revisions?limit=many", "limit: 'many' is not a whole number from 1 to 1000"),
        ("alerts?after=-1", "after: '-1' is not a whole number from 0 on"),
        ("alerts?after=" + "9" * 5000, None),
        ("alerts?after=%D9%A3", None),
        ("alerts?active=yes", "active: 'yes' is neither true nor false"),
        (
            "containers?state=ill",
            "state: 'ill' is none of normal, pressured, throttling-peer, recovering, frozen-node",
        ),
        ("containers?tier=online&tier=offline", "tier: given 2 times"),
        ("containers?teir=online", "teir: unknown parameter; there is state, tier"),
        ("node?x=", "x: unknown parameter; there is none"),
    ],
)
async def test_a_bad_query(client: TestClient, problem, path, line) -> None:
    document = await problem(await client.get(f"/api/v1/{path}"), 400)
    assert len(document["errors"]) == 1
    assert line is None or document["errors"] == [line]


async def test_all_that_is_wrong_with_a_query_is_told(client: TestClient, problem) -> None:
    document = await problem(await client.get("/api/v1/alerts?limit=x&after=y&z=1"), 400)
    assert len(document["errors"]) == 3


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/", "/api/v1/containers/", "/api/v2/node"])
async def test_nothing_there(client: TestClient, problem, path) -> None:
    await problem(await client.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/api/v1/node", "GET, HEAD"),
        ("PUT", "/api/v1/config", "GET, HEAD, PATCH"),
        ("GET", "/api/v1/freeze", "DELETE, POST"),
        ("DELETE", "/api/v1/containers/team/web", "GET, HEAD"),
        ("OPTIONS", "/api/v1/restore", "POST"),
        ("HEAD", "/api/v1/events", "GET"),
    ],
)
async def test_not_that_way(client: TestClient, method, path, allow) -> None:
    response = await client.request(method, path)
    assert response.status == 405
    assert response.headers["Allow"] == allow
    assert response.content_type == "application/problem+json"


async def test_a_failure_is_logged_and_not_shown(
    client: TestClient, agent: FakeAgent, problem, caplog
) -> None:
    agent.broken = True
    document = await problem(await client.get("/api/v1/node"), 500)
    assert "secret" not in str(document)
    assert "secret inner workings" in caplog.text
    agent.broken = False
    assert (await client.get("/api/v1/node")).status == 200


async def test_writes_and_attempts_leave_a_line_in_the_log(client: TestClient, bearer, caplog) -> None:
    caplog.set_level(logging.INFO, "controller.api")
    await client.get("/api/v1/node")
    assert caplog.messages == []
    await client.post("/api/v1/restore", headers=bearer)
    await client.post("/api/v1/restore")
    assert caplog.messages == [
        "POST /api/v1/restore from 127.0.0.1: 200",
        "POST /api/v1/restore from 127.0.0.1: 401",
    ]
