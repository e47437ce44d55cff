"""The JSON schemas of what is answered.

Objects that the agent fills may carry more than is named here, so that a reader is not broken by a new field.
"""

from __future__ import annotations

from typing import Any

from controller.states import State

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
TIME: Schema = {"type": "string", "format": "date-time"}
ANY_OBJECT: Schema = {"type": "object"}
STATE: Schema = {"type": "string", "enum": [state.value for state in State]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema, why: str) -> Schema:
    return {"anyOf": [schema, {"type": "null"}], "description": f"null: {why}"}


def _object(properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def _list_of(name: str) -> Schema:
    return _object({"items": _array(_ref(name)), "metadata": _ref("ListMetadata")})


def _record(properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    return _object({"seq": WHOLE, "time": TIME, **properties}, optional)


_MEASURED = "not measured yet, or not to be had"

SCHEMAS: dict[str, Schema] = {
    "Index": _object({"name": TEXT, "api": TEXT, "node": TEXT}),
    "Document": ANY_OBJECT,
    "Status": _object({"status": {"const": "ok"}}),
    "Node": _object(
        {
            "name": TEXT,
            "mode": {"type": "string", "enum": ["active", "dry-run", "frozen"]},
            "health": _object({"ok": FLAG, "reasons": _array(TEXT)}),
            "loop_lag_seconds": _or_null(NUMBER, "no tick yet"),
            "backend": TEXT,
            "cpus": WHOLE,
        }
    ),
    "Slo": _object({"latency_seconds": NUMBER, "percentile": NUMBER}),
    "Claim": _object(
        {"victim": TEXT, "peer": TEXT, "rung": WHOLE, "target_cores": NUMBER, "since": TIME},
        optional=("rung", "target_cores", "since"),
    ),
    "Container": _object(
        {
            "id": TEXT,
            "priority": WHOLE,
            "tier": TEXT,
            "state": STATE,
            "verdict": _or_null(TEXT, "no diagnosis is under way"),
            "state_since": TIME,
            "cpu_usage_cores": _or_null(NUMBER, _MEASURED),
            "cpu_base_cores": _or_null(NUMBER, "no limit"),
            "cpu_limit_cores": _or_null(NUMBER, "no limit"),
            "cpu_throttled_ratio": _or_null(NUMBER, _MEASURED),
            "cpu_wait_ratio": _or_null(NUMBER, _MEASURED),
            "slo": _or_null(_ref("Slo"), "none is promised"),
            "claims": {**_array(_ref("Claim")), "description": "What it holds of its peers."},
            "holds": {**_array(_ref("Claim")), "description": "What its peers hold of it."},
        }
    ),
    "Profile": {**ANY_OBJECT, "description": "Window statistics and forecast per metric."},
    "Transition": _record(
        {
            "container": TEXT,
            "from": STATE,
            "to": STATE,
            "trigger": TEXT,
            "reason": TEXT,
            "inputs": ANY_OBJECT,
        }
    ),
    "Revision": _record({"container": TEXT}),
    "Alert": _object(
        {"seq": WHOLE, "time": TIME, "kind": TEXT, "container": _or_null(TEXT, "of the whole node")},
        optional=("seq", "time", "container"),
    ),
    "Restored": {**ANY_OBJECT, "description": "What was given back, and what could not be."},
    "ListMetadata": _object(
        {
            "sequence": {**WHOLE, "description": "The newest record's number; the next ?after= of a poll."},
            "continue": _or_null(TEXT, "nothing older is kept"),
        }
    ),
    "ContainerList": _list_of("Container"),
    "TransitionList": _list_of("Transition"),
    "RevisionList": _list_of("Revision"),
    "AlertList": _list_of("Alert"),
    "Problem": {
        **_object(
            {"type": TEXT, "title": TEXT, "status": WHOLE, "detail": TEXT, "errors": _array(TEXT)},
            optional=("errors",),
        ),
        "description": "RFC 9457. `errors` has one line for each thing that is wrong.",
    },
}
