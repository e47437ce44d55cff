"""The table of all routes: what is served, and what the OpenAPI document says, both come from here."""

from __future__ import annotations

from typing import Any

from controller.api import health, reads, writes
from controller.api.events import events
from controller.api.inputs import Param
from controller.api.openapi import openapi
from controller.api.routing import Route
from controller.states import State

_SEQ: dict[str, Any] = {"type": "integer", "minimum": 0}

CONTAINER = Param("container", {"type": "string"}, "Only of the container of this id.")
LIMIT = Param(
    "limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "How many at most."
)
RECORDS = (
    CONTAINER,
    Param("after", _SEQ, "Only records with a higher sequence number."),
    LIMIT,
    Param("continue", _SEQ, "metadata.continue of the page before: goes on with the older records."),
)
ACTIVE = Param("active", {"type": "boolean", "default": False}, "Only the alerts that are on now.")
STATE = Param("state", {"type": "string", "enum": [state.value for state in State]}, "Only in this state.")
TIER = Param("tier", {"type": "string"}, "Only of this tier.")

# The id in a path takes all that is left of it, so a path that goes on after the id has to come first.
ROUTES: tuple[Route, ...] = (
    Route("GET", "/", reads.index, "Where to find the API", "Index", query=None),
    Route("GET", "/livez", health.livez, "Whether the loop turns", "Status", query=None, fails=(503,)),
    Route(
        "GET", "/readyz", health.readyz, "Whether the agent is at work", "Status", query=None, fails=(503,)
    ),
    Route("GET", "/metrics", health.metrics, "Metrics for Prometheus", query=None, media_type="text/plain"),
    Route("GET", "/api/v1/openapi.json", openapi, "This document", "Document"),
    Route("GET", "/api/v1/node", reads.node, "The node and the agent's health", "Node"),
    Route(
        "GET", "/api/v1/containers", reads.containers, "All containers", "ContainerList", query=(STATE, TIER)
    ),
    Route(
        "GET",
        "/api/v1/containers/{id}/profile",
        reads.profile,
        "A container's window statistics and forecast per metric",
        "Profile",
    ),
    Route(
        "POST",
        "/api/v1/containers/{id}/latency",
        writes.push_latency,
        "Latencies of requests just finished, from an application or its proxy",
        body=writes.LATENCY_BODY,
        fails=(409,),
    ),
    Route("GET", "/api/v1/containers/{id}", reads.container, "One container", "Container"),
    Route(
        "GET",
        "/api/v1/transitions",
        reads.transitions,
        "Changes of state, newest first",
        "TransitionList",
        query=RECORDS,
    ),
    Route(
        "GET",
        "/api/v1/revisions",
        reads.revisions,
        "Changes of limits, newest first",
        "RevisionList",
        query=RECORDS,
    ),
    Route(
        "GET", "/api/v1/alerts", reads.alerts, "Alerts, newest first", "AlertList", query=(*RECORDS, ACTIVE)
    ),
    Route(
        "GET",
        "/api/v1/events",
        events,
        "Transitions, revisions, alerts and ticks as server-sent events; resumes with Last-Event-ID",
        media_type="text/event-stream",
        fails=(503,),
    ),
    Route("GET", "/api/v1/learner", reads.learner, "What was learnt of steps that were taken", "Learner"),
    Route(
        "POST",
        "/api/v1/learner/reset",
        writes.reset_learner,
        "Forget what was learnt: steps are as large as the gains say, until it is learnt anew",
        "Forgotten",
    ),
    Route("GET", "/api/v1/config", reads.config, "The configuration in effect", "Config"),
    Route(
        "PATCH",
        "/api/v1/config",
        writes.patch_config,
        "Change the configuration while running (JSON merge patch); it is validated as a whole",
        "Config",
        body=writes.PATCH_BODY,
        fails=(409, 422),
    ),
    Route(
        "POST",
        "/api/v1/freeze",
        writes.freeze,
        "Freeze the node: nothing is written until it is thawed",
        "Node",
        body=writes.FREEZE_BODY,
        fails=(409,),
    ),
    Route("DELETE", "/api/v1/freeze", writes.thaw, "End the operator's freeze", "Node", fails=(409,)),
    Route(
        "POST",
        "/api/v1/restore",
        writes.restore,
        "Give every limit back to its base",
        "Restored",
        fails=(409,),
    ),
)
