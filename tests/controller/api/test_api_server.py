"""Start and stop: addresses, tokens, certificates, and what a command asks of it."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from api_fake import FakeAgent

from controller.api import client
from controller.api.errors import ApiError
from controller.api.server import Address, serve
from controller.config import ApiConfig

CONFIG = ApiConfig(port=0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=node"
    )
    extra = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    try:
        subprocess.run([*command.split(), *extra], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return cert, key


def exposed(token_file: Path, certificate: tuple[Path, Path]) -> ApiConfig:
    cert, key = certificate
    return ApiConfig(host="0.0.0.0", port=0, token_file=str(token_file), tls_cert=str(cert), tls_key=str(key))


async def test_the_real_port_is_told(agent: FakeAgent) -> None:
    async with serve(agent, CONFIG) as address:
        assert address.host == "127.0.0.1"
        assert address.port > 0
        assert (await client.get(address.url, "/api/v1/node"))["name"] == "node-1"
    with pytest.raises(ApiError, match="no agent answers at"):
        await client.get(address.url, "/api/v1/node")


def test_urls() -> None:
    assert Address("127.0.0.1", 1, tls=False).url == "http://127.0.0.1:1"
    assert Address("::1", 2, tls=True).url == "https://[::1]:2"


async def test_a_port_that_is_taken(agent: FakeAgent) -> None:
    async with serve(agent, CONFIG) as address:
        with pytest.raises(
            ApiError, match=rf"api: can't listen on 127\.0\.0\.1 port {address.port}: "
        ) as caught:
            async with serve(agent, ApiConfig(port=address.port)):
                pass
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"), [(None, "can't be read"), ("\n", "is empty"), ("a b", "holds more than one word")]
)
async def test_a_token_file_that_is_no_use(agent: FakeAgent, tmp_path: Path, content, says) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ApiError, match=says) as caught:
        async with serve(agent, ApiConfig(port=0, token_file=str(path))):
            pass
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_an_address_that_only_looks_like_loopback(agent: FakeAgent) -> None:
    with pytest.raises(ApiError, match="is not loopback"):
        async with serve(agent, ApiConfig(host="127.evil.example", port=0)):
            pass


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tls_cert": "/none"}, "go together"),
        ({"tls_cert": "/none", "tls_key": "/none"}, "can't be used for TLS"),
    ],
)
async def test_tls_files_that_are_no_use(agent: FakeAgent, given, says) -> None:
    with pytest.raises(ApiError, match=says):
        async with serve(agent, ApiConfig(port=0, **given)):
            pass


async def test_exposed_needs_tls_and_the_token(agent: FakeAgent, token_file: Path, certificate) -> None:
    trusted = ssl.create_default_context(cafile=str(certificate[0]))
    async with serve(agent, exposed(token_file, certificate)) as address:
        url = f"https://127.0.0.1:{address.port}"
        assert address.tls
        assert await client.get(url, "/livez", tls=trusted) == {"status": "ok"}
        with pytest.raises(ApiError, match=r"the agent refused \(401\)"):
            await client.get(url, "/api/v1/node", tls=trusted)
        assert await client.get(url, "/api/v1/node", token="s3cret", tls=trusted)
        with pytest.raises(ApiError, match="no trusted TLS connection"):
            await client.get(url, "/livez")
        with pytest.raises(ApiError):
            await client.get(url.replace("https", "http"), "/livez")


async def test_streams_do_not_hold_up_the_end(agent: FakeAgent) -> None:
    async with aiohttp.ClientSession() as session:
        async with serve(agent, CONFIG) as address:
            stream = await session.get(f"{address.url}/api/v1/events")
            assert await stream.content.readline() == b"retry: 3000\n"
        assert (await stream.content.read()).endswith(b"\n\n")


async def test_the_client_posts(agent: FakeAgent, token_file: Path) -> None:
    async with serve(agent, ApiConfig(port=0, token_file=str(token_file))) as address:
        latency = "/api/v1/containers/web/latency"
        assert await client.post(address.url, latency, {"samples_seconds": [0.1]}, token="s3cret") is None
        assert agent.pushed == {"web": [0.1]}
        answer = await client.post(f"{address.url}/", "/api/v1/restore", token="s3cret")
        assert answer["restored"] == ["batch"]


async def test_a_problem_is_one_line_to_the_client(agent: FakeAgent, token_file: Path) -> None:
    async with serve(agent, ApiConfig(port=0, token_file=str(token_file))) as address:
        with pytest.raises(ApiError) as caught:
            await client.post(address.url, "/api/v1/freeze", {"reason": 1, "why": 2}, token="s3cret")
    text = str(caught.value)
    assert text.startswith("the agent refused (400): the body is not what is expected here: reason: ")
    assert "why: " in text
    assert "\n" not in text


async def test_nobody_there() -> None:
    with pytest.raises(ApiError) as caught:
        await client.get("http://127.0.0.1:1", "/api/v1/node")
    assert str(caught.value) == "no agent answers at http://127.0.0.1:1: is `quotapilot run` running?"


@pytest.mark.parametrize("url", ["", "127.0.0.1:8765", "ftp://127.0.0.1", "http://", "http://[::1"])
async def test_not_a_url(url: str) -> None:
    with pytest.raises(ApiError) as caught:
        await client.get(url, "/api/v1/node")
    assert "\n" not in str(caught.value)


async def test_somebody_else_there(aiohttp_server) -> None:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html", status=502)

    app = web.Application()
    app.router.add_get("/{path:.*}", page)
    server = await aiohttp_server(app)
    with pytest.raises(ApiError, match="answered 502, but not with JSON"):
        await client.get(str(server.make_url("/")), "/api/v1/node")
