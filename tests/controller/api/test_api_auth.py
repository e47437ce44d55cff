"""Who may ask for what."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from api_fake import FakeAgent

from controller.api.app import create_app
from controller.api.auth import Guard, TokenFile, is_loopback
from controller.api.errors import ApiError

HEALTH, READ, WRITE, NOWHERE = (
    ("GET", "/livez"),
    ("GET", "/api/v1/node"),
    ("POST", "/api/v1/restore"),
    ("GET", "/nowhere"),
)


@pytest.mark.parametrize(
    ("loopback", "what", "none", "wrong", "right"),
    [
        (True, HEALTH, 200, 200, 200),
        (True, READ, 200, 200, 200),
        (True, WRITE, 401, 401, 200),
        (True, NOWHERE, 404, 404, 404),
        (False, HEALTH, 200, 200, 200),
        (False, READ, 401, 401, 200),
        (False, WRITE, 401, 401, 200),
        (False, NOWHERE, 401, 401, 404),
    ],
)
async def test_who_may_do_what(
    aiohttp_client: Any, token_file: Path, bearer, loopback, what, none, wrong, right
) -> None:
    client = await aiohttp_client(create_app(FakeAgent(), Guard(loopback, TokenFile(token_file))))
    for headers, status in (
        ({}, none),
        ({"Authorization": "Bearer wrong"}, wrong),
        ({"Authorization": "Bearer"}, wrong),
        ({"Authorization": "Bearer s3cre\u0301t"}, wrong),
        ({"Authorization": "Basic s3cret"}, wrong),
        (bearer, right),
        ({"Authorization": "bearer  s3cret"}, right),
    ):
        response = await client.request(*what, headers=headers)
        assert response.status == status, headers
        if status == 401:
            assert response.headers["WWW-Authenticate"].startswith('Bearer realm="quotapilot"')
            assert response.content_type == "application/problem+json"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer s3cret"}])
async def test_without_a_token_there_are_no_writes(aiohttp_client: Any, problem, headers) -> None:
    client = await aiohttp_client(create_app(FakeAgent(), Guard(True, None)))
    document = await problem(await client.post("/api/v1/freeze", headers=headers), 403)
    assert "api.token_file" in document["detail"]
    assert (await client.get("/api/v1/node")).status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("127.0.0.1:8765", 200),
        ("127.0.0.53", 200),
        ("[::1]", 200),
        ("[::1]:8765", 200),
        ("evil.example", 403),
        ("localhost.evil.example:8765", 403),
        ("127.0.0.1.nip.io", 403),
        ("10.0.0.1", 403),
        ("localhost@evil.example", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
async def test_only_names_of_this_machine_on_loopback(client: TestClient, host, status) -> None:
    for path in ("/api/v1/node", "/livez"):
        assert (await client.get(path, headers={"Host": host})).status == status


async def test_any_name_on_another_address(aiohttp_client: Any, token_file: Path, bearer) -> None:
    client = await aiohttp_client(create_app(FakeAgent(), Guard(False, TokenFile(token_file))))
    response = await client.get("/api/v1/node", headers={**bearer, "Host": "node-1.example:8765"})
    assert response.status == 200


async def test_the_token_is_read_again_when_its_file_changes(
    client: TestClient, token_file: Path, bearer, problem
) -> None:
    async def restore() -> Any:
        return await client.post("/api/v1/restore", headers=bearer)

    assert (await restore()).status == 200
    swapped = token_file.with_name("new")
    swapped.write_text("another")
    swapped.replace(token_file)
    assert (await restore()).status == 401
    token_file.write_text("s3cret")
    os.utime(token_file, ns=(1, 1))
    assert (await restore()).status == 200
    token_file.write_text("")
    assert "is empty" in (await problem(await restore(), 503))["detail"]
    token_file.unlink()
    assert "can't be read" in (await problem(await restore(), 503))["detail"]


def test_a_file_that_changes_under_us_is_not_trusted(token_file: Path) -> None:
    tokens = TokenFile(token_file)
    assert tokens.token() == b"s3cret"
    token_file.write_text("two words")
    for _ in range(2):
        with pytest.raises(ApiError, match="more than one word"):
            tokens.token()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("127.evil.example", False),
    ],
)
def test_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
