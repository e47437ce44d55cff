"""What the real engine shows, on a simulated node under pressure, is what the document promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from api_conforms import faults
from api_fake import FakeAgent

from backends.simulator import Hogs, OnlineService, SimulatedNode, poisson_arrivals
from controller import view
from controller.api.app import create_app
from controller.api.auth import Guard
from controller.api.openapi import document
from controller.api.routes import ROUTES
from controller.simulation import Loop
from tests.controller.policies import OFFLINE, ONLINE

DOCUMENT = document(ROUTES)


@dataclass
class EngineAgent(FakeAgent):
    """Shows a real engine; what the agent itself adds stays faked."""

    loop: Loop | None = None

    @property
    def engine(self) -> Any:
        assert self.loop is not None
        return self.loop.engine

    def node(self) -> dict[str, Any]:
        return view.node(self.engine) | {"loop_lag_seconds": 0.0, "config_problem": None}

    def containers(self) -> list[dict[str, Any]]:
        return view.containers(self.engine)

    def container(self, container_id: str) -> dict[str, Any]:
        return view.container(self.engine, container_id)

    def profile(self, container_id: str) -> dict[str, Any]:
        return view.container_profile(self.engine, container_id)

    def learner(self) -> dict[str, Any]:
        return view.learner(self.engine)

    def active_alerts(self) -> list[dict[str, Any]]:
        return self.engine.alerts.active()


@pytest.fixture(scope="module")
def hurt() -> Loop:
    """A web service that four busy loops hurt, long enough for claims and revisions."""
    node = SimulatedNode(2)
    node.add_container("web", "/web", OnlineService(poisson_arrivals([(0, 100)], 20, seed=1), 0.012))
    node.add_container("hogs", "/hogs", Hogs(4))
    return Loop(node, {"web": ONLINE, "hogs": OFFLINE}).run(12)


@pytest.fixture
async def engine_client(hurt: Loop, aiohttp_client: Any) -> TestClient:
    return await aiohttp_client(create_app(EngineAgent(feed=hurt.feed, loop=hurt), Guard(True, None)))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/livez",
        "/readyz",
        "/api/v1/node",
        "/api/v1/containers",
        "/api/v1/containers/web",
        "/api/v1/containers/hogs/profile",
        "/api/v1/transitions",
        "/api/v1/revisions",
        "/api/v1/alerts",
        "/api/v1/alerts?active=true",
        "/api/v1/config",
    ],
)
async def test_answers_are_what_the_document_says(engine_client: TestClient, path) -> None:
    answer = await (await engine_client.get(path)).json()
    for name in ("web", "hogs"):
        path = path.replace(name, "{id}")
    content = DOCUMENT["paths"][path.partition("?")[0]]["get"]["responses"]["200"]["content"]
    assert list(faults(DOCUMENT, content["application/json"]["schema"], answer)) == []


async def test_the_scene_has_something_to_show(engine_client: TestClient) -> None:
    async def get(path: str) -> Any:
        return await (await engine_client.get(f"/api/v1/{path}")).json()

    assert (await get("transitions"))["items"]
    assert (await get("revisions"))["items"]
    assert (await get("containers/web"))["claims"]
    assert (await get("containers/hogs"))["holds"]


async def test_problems_are_what_the_document_says(engine_client: TestClient) -> None:
    for path in ("/nowhere", "/api/v1/alerts?limit=x"):
        answer = await (await engine_client.get(path)).json(content_type=None)
        assert list(faults(DOCUMENT, {"$ref": "#/components/schemas/Problem"}, answer)) == []
