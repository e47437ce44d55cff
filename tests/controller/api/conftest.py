"""A fake agent, and a client of the application that serves it on loopback."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient
from api_fake import FakeAgent

from controller.api.app import create_app
from controller.api.auth import Guard, TokenFile

TOKEN = "s3cret"
Client = TestClient[Any, Any]


@pytest.fixture
def agent() -> FakeAgent:
    return FakeAgent()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture
def bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def client(agent: FakeAgent, token_file: Path, aiohttp_client: Any) -> Client:
    """Reads need nothing; writes need `bearer`."""
    return await aiohttp_client(create_app(agent, Guard(True, TokenFile(token_file))))


@pytest.fixture
def problem() -> Callable[[ClientResponse, int], Awaitable[dict[str, Any]]]:
    """Checks that a response is a problem document of a status, and gives it."""

    async def check(response: ClientResponse, status: int) -> dict[str, Any]:
        assert response.status == status, await response.text()
        assert response.content_type == "application/problem+json"
        document = await response.json(content_type=None)
        assert document["status"] == status
        assert document["type"] == "about:blank"
        assert document["title"] and document["detail"]
        return document

    return check
