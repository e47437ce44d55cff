"""The event stream."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient
from api_fake import FakeAgent

from controller.api import events
from controller.feed import Feed


async def block(response: ClientResponse) -> list[str]:
    """The lines of the next block."""
    async with asyncio.timeout(5):
        return (await response.content.readuntil(b"\n\n")).decode().splitlines()[:-1]


async def event(response: ClientResponse) -> tuple[str, dict[str, Any], str | None]:
    """The next event: its name, data and id."""
    fields = dict(line.split(": ", 1) for line in await block(response))
    return fields["event"], json.loads(fields["data"]), fields.get("id")


async def ended(response: ClientResponse) -> bool:
    async with asyncio.timeout(5):
        return await response.content.read() == b""


def readers(feed: Feed) -> int:
    return len(feed._readers)


async def connect(client: TestClient, last_event_id: object = None) -> ClientResponse:
    headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
    response = await client.get("/api/v1/events", headers=headers)
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-store"
    return response


async def test_live(client: TestClient, agent: FakeAgent) -> None:
    agent.feed.append("transition", 0.0, {"old": True})
    stream = await connect(client)
    assert await block(stream) == ["retry: 3000", "id: 1"]
    agent.feed.append("tick", 1.5, {"lag": float("nan"), "text": "two\nlines"})
    assert await block(stream) == [
        "id: 2",
        "event: tick",
        'data: {"seq":2,"time":"1970-01-01T00:00:01.500Z","lag":null,"text":"two\\nlines"}',
    ]
    agent.feed.append("alert", 2.0, {"kind": "exhausted"})
    name, data, number = await event(stream)
    assert (name, data["kind"], number) == ("alert", "exhausted", "3")


async def test_resume_after_the_last_that_was_read(client: TestClient, agent: FakeAgent) -> None:
    for kind in ("transition", "revision", "tick", "alert"):
        agent.feed.append(kind, 0.0, {})
    stream = await connect(client, 1)
    assert await block(stream) == ["retry: 3000"]
    agent.feed.append("revision", 0.0, {})
    got = [await event(stream) for _ in range(3)]
    assert [(name, number) for name, _, number in got] == [
        ("revision", "2"),
        ("alert", "4"),
        ("revision", "5"),
    ]


@pytest.mark.parametrize("last", [1, 99, "x", "-1", "²", "9" * 5000])
async def test_reset_when_something_may_be_missing(client: TestClient, agent: FakeAgent, last) -> None:
    agent.feed = Feed(size=2)
    for _ in range(5):
        agent.feed.append("transition", 0.0, {})
    stream = await connect(client, last.encode().decode("latin-1") if last == "²" else last)
    assert await block(stream) == ["retry: 3000"]
    assert await event(stream) == ("reset", {"sequence": 5}, "5")
    agent.feed.append("transition", 0.0, {})
    assert (await event(stream))[2] == "6"


async def test_a_reader_that_fell_behind_is_told_and_cut_off(client: TestClient, agent: FakeAgent) -> None:
    agent.feed = Feed(queue_size=2)
    stream = await connect(client)
    await block(stream)
    for _ in range(3):
        agent.feed.append("transition", 0.0, {})
    assert (await event(stream))[0] == "lost"
    assert await ended(stream)
    assert readers(agent.feed) == 0
    again = await connect(client, 0)
    await block(again)
    assert [(await event(again))[2] for _ in range(3)] == ["1", "2", "3"]


async def test_ping_while_nothing_happens(client: TestClient, agent: FakeAgent, monkeypatch) -> None:
    monkeypatch.setattr(events, "PING_SECONDS", 0.01)
    stream = await connect(client)
    await block(stream)
    assert await block(stream) == [": ping"]
    assert await block(stream) == [": ping"]
    agent.feed.append("tick", 0.0, {})
    while (line := (await block(stream))[0]) == ": ping":
        pass
    assert line == "id: 1"


async def test_no_more_readers_than_there_is_room_for(
    client: TestClient, agent: FakeAgent, problem, monkeypatch
) -> None:
    monkeypatch.setattr(events, "MAX_READERS", 2)
    streams = [await connect(client) for _ in range(2)]
    response = await client.get("/api/v1/events")
    await problem(response, 503)
    assert response.headers["Retry-After"] == "5"
    streams[0].close()
    async with asyncio.timeout(5):
        while readers(agent.feed) == 2:
            await asyncio.sleep(0)
    await connect(client)


async def test_a_reader_that_takes_nothing_does_not_keep_its_place(
    client: TestClient, agent: FakeAgent, monkeypatch
) -> None:
    monkeypatch.setattr(events, "SEND_SECONDS", 0.05)
    await connect(client)  # and never reads
    agent.feed.append("transition", 0.0, {"large": "x" * 50_000_000})
    async with asyncio.timeout(20):
        while readers(agent.feed):
            await asyncio.sleep(0.001)


async def test_closing_the_server_ends_the_streams(client: TestClient, agent: FakeAgent) -> None:
    streams = [await connect(client) for _ in range(3)]
    for stream in streams:
        await block(stream)
    closing = asyncio.create_task(client.server.close())
    for stream in streams:
        assert await ended(stream)
    async with asyncio.timeout(5):
        await closing
    assert readers(agent.feed) == 0
