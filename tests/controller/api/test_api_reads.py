"""Every route that only looks."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient
from api_fake import IDS, FakeAgent
from yarl import URL


async def test_index_names_the_api(client: TestClient) -> None:
    body = await (await client.get("/")).json()
    assert (await client.get(body["api"])).status == 200


async def test_health_is_ok_while_the_agent_is(client: TestClient) -> None:
    for path in ("/livez", "/readyz"):
        response = await client.get(path, params={"verbose": ""})
        assert response.status == 200
        assert await response.json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("lag", "says"), [(12.34, "the loop is 12.3 s late"), (float("inf"), "the loop has not ticked")]
)
async def test_livez_fails_with_the_lag(client: TestClient, agent: FakeAgent, problem, lag, says) -> None:
    agent.is_live, agent.lag_seconds = False, lag
    assert (await problem(await client.get("/livez"), 503))["detail"] == says


async def test_readyz_fails_before_the_first_tick(client: TestClient, agent: FakeAgent, problem) -> None:
    agent.is_ready = False
    await problem(await client.get("/readyz"), 503)
    assert (await client.get("/livez")).status == 200


async def test_metrics_are_prometheus_text(client: TestClient) -> None:
    response = await client.get("/metrics")
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "quotapilot_ticks_total" in await response.text()


async def test_node(client: TestClient) -> None:
    response = await client.get("/api/v1/node")
    assert response.headers["Cache-Control"] == "no-store"
    assert (await response.json())["name"] == "node-1"


async def test_head_is_answered_like_get_without_a_body(client: TestClient) -> None:
    response = await client.head("/api/v1/node")
    assert response.status == 200
    assert await response.read() == b""


async def test_a_number_that_json_does_not_have_is_null(client: TestClient, agent: FakeAgent) -> None:
    agent.lag_seconds = float("inf")
    assert (await (await client.get("/api/v1/node")).json())["loop_lag_seconds"] is None
    items = (await (await client.get("/api/v1/containers")).json())["items"]
    assert [item["cpu_wait_ratio"] for item in items] == [None] * len(IDS)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, list(IDS)),
        ({"tier": "offline"}, ["batch"]),
        ({"state": "normal", "tier": "online"}, [i for i in IDS if i != "batch"]),
        ({"state": "recovering"}, []),
    ],
)
async def test_containers_by_state_and_tier(client: TestClient, agent: FakeAgent, query, ids) -> None:
    agent.feed.append("tick", 0.0, {})
    body = await (await client.get("/api/v1/containers", params=query)).json()
    assert [item["id"] for item in body["items"]] == ids
    assert body["metadata"] == {"sequence": 1, "continue": None}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("web", {"id": "web"}),
        ("team/web", {"id": "team/web"}),
        ("team%2Fweb", {"id": "team/web"}),
        ("team%2Fweb%2Fprofile", {"id": "team/web/profile"}),
        ("web/profile", {"of": "web"}),
        ("team/web/profile", {"of": "team/web"}),
        ("team%2Fweb/profile", {"of": "team/web"}),
        ("team/web/profile/profile", {"of": "team/web/profile"}),
    ],
)
async def test_ids_may_have_slashes(client: TestClient, path, expected) -> None:
    response = await client.get(URL(f"/api/v1/containers/{path}", encoded=True))
    assert response.status == 200
    assert (await response.json()).items() >= expected.items()


@pytest.mark.parametrize("path", ["nobody", "nobody/profile", "a/b/c", "%2F", "%00", "..%2F..%2Fetc", "%0A"])
async def test_unknown_container(client: TestClient, problem, path) -> None:
    await problem(await client.get(URL(f"/api/v1/containers/{path}", encoded=True)), 404)


@pytest.mark.parametrize(
    ("path", "kind"), [("transitions", "transition"), ("revisions", "revision"), ("alerts", "alert")]
)
async def test_records(client: TestClient, agent: FakeAgent, path, kind) -> None:
    for n in range(5):
        agent.feed.append(kind, 1_700_000_000.0 + n, {"container": "web" if n % 2 else "batch", "n": n})

    async def get(**query) -> dict:
        response = await client.get(f"/api/v1/{path}", params=query)
        assert response.status == 200
        return await response.json()

    everything = await get()
    assert [item["n"] for item in everything["items"]] == [4, 3, 2, 1, 0]
    assert everything["items"][0] == {
        "seq": 5,
        "time": "2023-11-14T22:13:24.000Z",
        "container": "batch",
        "n": 4,
    }
    assert everything["metadata"] == {"sequence": 5, "continue": None}
    assert [item["n"] for item in (await get(container="web"))["items"]] == [3, 1]
    assert [item["n"] for item in (await get(after=3))["items"]] == [4, 3]
    assert (await get(after=5))["items"] == []

    page = await get(limit=2)
    assert [item["n"] for item in page["items"]] == [4, 3]
    page = await get(limit=2, **{"continue": page["metadata"]["continue"]})
    assert [item["n"] for item in page["items"]] == [2, 1]
    page = await get(limit=2, **{"continue": page["metadata"]["continue"]})
    assert [item["n"] for item in page["items"]] == [0]
    assert page["metadata"]["continue"] is None


async def test_active_alerts(client: TestClient, agent: FakeAgent, problem) -> None:
    agent.alerts = [{"kind": "exhausted", "container": name} for name in ("web", "batch", "web")]
    agent.feed.append("alert", 0.0, {"kind": "exhausted", "container": "gone"})

    async def get(**query) -> list[str]:
        body = await (await client.get("/api/v1/alerts", params=query)).json()
        return [item["container"] for item in body["items"]]

    assert await get(active="true") == ["web", "batch", "web"]
    assert await get(active="true", container="web", limit=1) == ["web"]
    assert await get(active="false") == ["gone"]
    await problem(await client.get("/api/v1/alerts", params={"active": "true", "after": 0}), 400)


async def test_config(client: TestClient, agent: FakeAgent) -> None:
    assert await (await client.get("/api/v1/config")).json() == agent.config()
