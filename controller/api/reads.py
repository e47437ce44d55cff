"""The handlers that only look."""

from __future__ import annotations

from typing import Any

from controller.api.jsontext import record_item
from controller.api.problems import Problem
from controller.api.routing import Call
from controller.feed import Kind


async def index(call: Call) -> dict[str, Any]:
    """Where to go from here."""
    return {"name": "quotapilot", "api": "/api/v1/openapi.json", "node": "/api/v1/node"}


async def node(call: Call) -> dict[str, Any]:
    """The node and how the agent fares on it."""
    return call.agent.node()


async def containers(call: Call) -> dict[str, Any]:
    """All containers, or those of a state or tier."""
    return _list(
        call, [item for item in call.agent.containers() if _matches(item, call.query, "state", "tier")]
    )


async def container(call: Call) -> dict[str, Any]:
    """One container."""
    return call.agent.container(call.container_id)


async def profile(call: Call) -> dict[str, Any]:
    """One container's portrait."""
    return call.agent.profile(call.container_id)


async def transitions(call: Call) -> dict[str, Any]:
    """Changes of state."""
    return _records(call, "transition")


async def revisions(call: Call) -> dict[str, Any]:
    """Changes of limits."""
    return _records(call, "revision")


async def alerts(call: Call) -> dict[str, Any]:
    """What the cluster or a person should know."""
    if not call.query["active"]:
        return _records(call, "alert")
    if "after" in call.query or "continue" in call.query:
        raise Problem(400, "active=true shows what is on now: it goes with container and limit only")
    found = [item for item in call.agent.active_alerts() if _matches(item, call.query, "container")]
    return _list(call, found[: call.query["limit"]])


async def learner(call: Call) -> dict[str, Any]:
    """What was learnt."""
    return call.agent.learner()


async def config(call: Call) -> dict[str, Any]:
    """The configuration in effect."""
    return call.agent.config()


def _records(call: Call, kind: Kind) -> dict[str, Any]:
    """A page of records, newest first; `continue` is set when older ones are left."""
    before, limit = call.query.get("continue"), call.query["limit"]
    feed = call.agent.feed
    kept = feed.newest(
        kind, container=call.query.get("container"), after=call.query.get("after"), limit=feed.size
    )
    found = [record for record in kept if before is None or record.seq < before]
    page = found[:limit]
    more = str(page[-1].seq) if len(found) > limit else None
    return _list(call, [record_item(record) for record in page], more)


def _list(call: Call, items: list[dict[str, Any]], more: str | None = None) -> dict[str, Any]:
    return {"items": items, "metadata": {"sequence": call.agent.feed.last_seq, "continue": more}}


def _matches(item: dict[str, Any], query: dict[str, Any], *names: str) -> bool:
    return all(name not in query or item.get(name) == query[name] for name in names)
