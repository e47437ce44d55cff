"""The handlers that change something, and the bodies they take."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from controller.api.inputs import Body
from controller.api.routing import Call

Latency = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class LatencySamples(_Body):
    """Latencies of requests just finished."""

    samples_seconds: list[Latency] = Field(min_length=1, max_length=10_000)


class FreezeRequest(_Body):
    """Why the node is frozen: one line, for the log and the transitions."""

    reason: str = Field(
        default="by an operator", min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$"
    )


LATENCY_BODY = Body("LatencySamples", TypeAdapter(LatencySamples))
FREEZE_BODY = Body("FreezeRequest", TypeAdapter(FreezeRequest), optional=True)
PATCH_BODY = Body(
    "ConfigPatch", TypeAdapter(dict[str, Any]), ("application/merge-patch+json", "application/json")
)


async def patch_config(call: Call) -> dict[str, Any]:
    """Change the configuration while running."""
    return call.agent.patch_config(call.body)


async def freeze(call: Call) -> dict[str, Any]:
    """Stop all writes to the kernel."""
    call.agent.freeze(call.body.reason)
    return call.agent.node()


async def thaw(call: Call) -> dict[str, Any]:
    """End the operator's freeze."""
    call.agent.thaw()
    return call.agent.node()


async def restore(call: Call) -> dict[str, Any]:
    """Give every limit back."""
    return call.agent.restore()


async def reset_learner(call: Call) -> dict[str, Any]:
    """Forget what was learnt."""
    return call.agent.reset_learner()


async def push_latency(call: Call) -> None:
    """Take latencies of an application."""
    call.agent.push_latency(call.container_id, call.body.samples_seconds)
