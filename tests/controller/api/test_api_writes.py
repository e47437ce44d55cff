"""Every route that changes something."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestClient
from api_fake import FakeAgent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.api import inputs

WRITES = [
    ("PATCH", "/api/v1/config"),
    ("POST", "/api/v1/freeze"),
    ("DELETE", "/api/v1/freeze"),
    ("POST", "/api/v1/restore"),
    ("POST", "/api/v1/learner/reset"),
    ("POST", "/api/v1/containers/web/latency"),
    ("POST", "/api/v1/containers/nobody/latency"),
]


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json"])
async def test_patch_config(client: TestClient, agent: FakeAgent, bearer, media_type) -> None:
    response = await client.patch(
        "/api/v1/config", data='{"dry_run": true}', headers={**bearer, "Content-Type": media_type}
    )
    assert response.status == 200
    assert await response.json() == agent.config()
    assert agent.settings.dry_run is True


async def test_a_refused_configuration_has_a_line_per_problem(
    client: TestClient, agent: FakeAgent, bearer, problem
) -> None:
    before = agent.settings
    response = await client.patch(
        "/api/v1/config", json={"dry_run": "maybe", "control": {"gian": 1}}, headers=bearer
    )
    errors = (await problem(response, 422))["errors"]
    assert len(errors) == 2
    assert any("dry_run" in line for line in errors)
    assert any("control.gian" in line for line in errors)
    assert agent.settings is before


@pytest.mark.parametrize("number", ["1e999", "1" * 400, "-" + "9" * 19, "NaN"])
async def test_a_number_beyond_all_use_is_no_configuration(
    client: TestClient, bearer, problem, number
) -> None:
    for patch in (f'{{"executor": {{"dead_band_cores": {number}}}}}', f'{{"node_name": {number}}}'):
        headers = {**bearer, "Content-Type": "application/json"}
        await problem(await client.patch("/api/v1/config", data=patch, headers=headers), 400)


async def test_the_learner_is_shown_and_reset(client: TestClient, agent: FakeAgent, bearer) -> None:
    assert (await (await client.get("/api/v1/learner")).json())["items"][0]["factor"] == 2.0
    response = await client.post("/api/v1/learner/reset", headers=bearer)
    assert response.status == 200
    assert await response.json() == {"forgotten": ["web"]}
    assert (await (await client.get("/api/v1/learner")).json())["items"] == []


async def test_freeze_and_thaw(client: TestClient, agent: FakeAgent, bearer) -> None:
    response = await client.post("/api/v1/freeze", json={"reason": "kernel update"}, headers=bearer)
    assert response.status == 200
    assert (await response.json())["mode"] == "frozen"
    assert agent.frozen == "kernel update"
    response = await client.delete("/api/v1/freeze", headers=bearer)
    assert (await response.json())["mode"] == "active"
    assert agent.frozen is None


@pytest.mark.parametrize("body", [{}, {"json": {}}])
async def test_a_freeze_needs_no_reason(client: TestClient, agent: FakeAgent, bearer, body) -> None:
    assert (await client.post("/api/v1/freeze", headers=bearer, **body)).status == 200
    assert agent.frozen == "by an operator"


async def test_restore(client: TestClient, bearer) -> None:
    response = await client.post("/api/v1/restore", headers=bearer)
    assert await response.json() == {"restored": ["batch"], "failed": []}


async def test_what_the_agent_refuses_is_a_conflict(
    client: TestClient, agent: FakeAgent, bearer, problem
) -> None:
    agent.refuses = "this is a dry run"
    document = await problem(await client.post("/api/v1/restore", headers=bearer), 409)
    assert document["detail"] == "this is a dry run"


async def test_push_latency(client: TestClient, agent: FakeAgent, bearer) -> None:
    for name in ("web", "team/web"):
        response = await client.post(
            f"/api/v1/containers/{name}/latency", json={"samples_seconds": [0, 0.25, 3600]}, headers=bearer
        )
        assert response.status == 204
        assert agent.pushed[name] == [0, 0.25, 3600]


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "null",
        "{}",
        "",
        "{",
        '{"samples_seconds": 1}',
        '{"samples_seconds": []}',
        '{"samples_seconds": [-0.1]}',
        '{"samples_seconds": [3600.1]}',
        '{"samples_seconds": [NaN]}',
        '{"samples_seconds": [Infinity]}',
        '{"samples_seconds": [1e999]}',
        '{"samples_seconds": [true]}',
        '{"samples_seconds": ["1"]}',
        '{"samples_seconds": [1], "sample": [1]}',
        '{"samples_seconds": [' + "1" * 5000 + "]}",
        '{"samples_seconds": [' + ", ".join(["1"] * 10_001) + "]}",
        "[" * 100_000,
        "[" * 500 + "]" * 500,
        '{"samples_seconds": ["\\ud800"]}',
        b"\xff\xfe",
    ],
)
async def test_bad_latencies(client: TestClient, agent: FakeAgent, bearer, problem, body) -> None:
    response = await client.post(
        "/api/v1/containers/web/latency", data=body, headers={**bearer, "Content-Type": "application/json"}
    )
    await problem(response, 400)
    assert agent.pushed == {}


async def test_many_wrong_values_are_told_in_part(client: TestClient, bearer, problem) -> None:
    response = await client.post(
        "/api/v1/containers/web/latency", json={"samples_seconds": [-1] * 10_000}, headers=bearer
    )
    assert len((await problem(response, 400))["errors"]) == 50


async def test_latency_of_an_unknown_container(client: TestClient, bearer, problem) -> None:
    response = await client.post(
        "/api/v1/containers/nobody/latency", json={"samples_seconds": [1]}, headers=bearer
    )
    await problem(response, 404)


@pytest.mark.parametrize("reason", ["", "two\nlines", "x" * 501, 7])
async def test_a_reason_is_one_line(client: TestClient, agent: FakeAgent, bearer, problem, reason) -> None:
    await problem(await client.post("/api/v1/freeze", json={"reason": reason}, headers=bearer), 400)
    assert agent.frozen is None


@pytest.mark.parametrize(
    ("method", "path", "header"),
    [
        ("PATCH", "/api/v1/config", "Accept-Patch"),
        ("POST", "/api/v1/freeze", "Accept"),
        ("POST", "/api/v1/containers/web/latency", "Accept"),
    ],
)
async def test_another_media_type(client: TestClient, bearer, problem, method, path, header) -> None:
    response = await client.request(method, path, data=FormData({"a": "b"}), headers=bearer)
    await problem(response, 415)
    assert "application/json" in response.headers[header]


async def test_a_body_over_a_mebibyte(client: TestClient, bearer, problem) -> None:
    response = await client.post(
        "/api/v1/containers/web/latency", json={"samples_seconds": [0.123] * 200_000}, headers=bearer
    )
    await problem(response, 413)


async def test_a_body_that_is_not_encoded_as_it_says(client: TestClient, bearer, problem) -> None:
    headers = {**bearer, "Content-Type": "application/json", "Content-Encoding": "gzip"}
    await problem(await client.post("/api/v1/freeze", data=b"not gzip", headers=headers), 400)


async def test_a_body_that_never_arrives(client: TestClient, bearer, problem, monkeypatch) -> None:
    monkeypatch.setattr(inputs, "BODY_SECONDS", 0.01)

    async def stalled():
        yield b"{"
        await asyncio.Event().wait()

    headers = {**bearer, "Content-Type": "application/json"}
    await problem(await client.post("/api/v1/freeze", data=stalled(), headers=headers), 408)


async def test_writes_under_way_are_counted(client: TestClient, bearer, problem) -> None:
    waiting = asyncio.Event()

    async def slow():
        yield b"{"
        await waiting.wait()
        yield b"}"

    headers = {**bearer, "Content-Type": "application/json"}
    slow_ones = [
        asyncio.create_task(client.post("/api/v1/freeze", data=slow(), headers=headers)) for _ in range(64)
    ]
    response = await client.post("/api/v1/restore", headers=bearer)
    while response.status == 200:  # until all of the slow ones have arrived
        response = await client.post("/api/v1/restore", headers=bearer)
    await problem(response, 429)
    assert response.headers["Retry-After"] == "1"
    assert (await client.get("/api/v1/node")).status == 200
    waiting.set()
    assert {(await task).status for task in slow_ones} == {200}
    assert (await client.post("/api/v1/restore", headers=bearer)).status == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["samples_seconds", "reason", "rules", "control", "tiers", "api", "tick", "latency"])
BODIES = JSON | st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=3), max_size=3)


@pytest.mark.parametrize(("method", "path"), WRITES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES)
async def test_no_body_breaks_a_write(
    client: TestClient, bearer: dict[str, str], method: str, path: str, body: Any
) -> None:
    response = await client.request(method, path, json=body, headers=bearer)
    assert response.status < 500, await response.text()
    await response.release()
