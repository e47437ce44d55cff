"""The event stream: what happens, as it happens, as server-sent events.

A reader that comes back with the id it saw last gets what it missed; `reset` tells it that some of that is no
longer kept, `lost` that it read too slowly and is cut off. After either it should read the lists anew.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import hdrs, web

from controller.api.jsontext import dumps, record_item
from controller.api.problems import Problem
from controller.api.routing import Call
from controller.feed import Feed, Reader, Record

MAX_READERS = 100
PING_SECONDS = 15.0
SEND_SECONDS = 10.0
RETRY_MS = 3000

_HEADERS = {hdrs.CONTENT_TYPE: "text/event-stream", "X-Accel-Buffering": "no"}


class Streams:
    """The streams that are open, so that they can be counted, and ended with the server."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False

    async def close(self, _app: web.Application) -> None:
        """End all streams: they never end by themselves, and the server would wait for them."""
        self._closing = True
        for task in self._tasks:
            task.cancel()

    async def run(self, request: web.Request, feed: Feed) -> web.StreamResponse:
        """Stream until the reader goes, is lost, or the server closes. Raises Problem 503 when full."""
        if self._closing or len(self._tasks) >= MAX_READERS:
            raise Problem(
                503,
                f"{MAX_READERS} readers are connected, no more are served",
                headers={hdrs.RETRY_AFTER: "5"},
            )
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        # Both before the first await, so that no record falls between what was missed and what is live.
        reader = feed.subscribe()
        opening = _opening(feed, request.headers.get("Last-Event-ID"))
        response = web.StreamResponse(headers=_HEADERS)
        try:
            await response.prepare(request)
            await _send(response, opening)
            await _follow(response, reader)
        except (ConnectionError, TimeoutError):
            # The reader is gone, or takes nothing any more: a stalled socket must not keep its place.
            if request.transport is not None:
                request.transport.abort()
        except asyncio.CancelledError:
            if not self._closing:
                raise
            task.uncancel()
        finally:
            feed.unsubscribe(reader)
            self._tasks.discard(task)
        return response


STREAMS: web.AppKey[Streams] = web.AppKey("streams", Streams)


async def events(call: Call) -> web.StreamResponse:
    """The handler of the stream."""
    return await call.request.app[STREAMS].run(call.request, call.agent.feed)


def _opening(feed: Feed, last_event_id: str | None) -> str:
    """What a reader gets first: how to come back, and what it missed."""
    retry = f"retry: {RETRY_MS}\n"
    if not last_event_id:
        # An id alone is no event, but lets a reader resume that is cut off before the first one.
        return f"{retry}id: {feed.last_seq}\n\n"
    known = last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) <= 18
    missed = feed.since(int(last_event_id)) if known else None
    if missed is None:
        reset = _message("reset", {"sequence": feed.last_seq}, feed.last_seq)
        return f"{retry}\n{reset}"
    return f"{retry}\n" + "".join(_record(record) for record in missed)


async def _follow(response: web.StreamResponse, reader: Reader) -> None:
    while True:
        try:
            async with asyncio.timeout(PING_SECONDS):
                record = await reader.queue.get()
        except TimeoutError:
            await _send(response, ": ping\n\n")
            continue
        if reader.lost:
            # What is left in the queue is in the rings too: the reader gets it when it comes back.
            await _send(response, _message("lost", {}))
            return
        await _send(response, _record(record))


async def _send(response: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await response.write(text.encode())


def _record(record: Record) -> str:
    return _message(record.kind, record_item(record), record.seq)


def _message(event: str, data: dict[str, Any], event_id: int | None = None) -> str:
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}event: {event}\ndata: {dumps(data)}\n\n"
