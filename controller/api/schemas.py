"""The JSON schemas of what is answered.

Objects that the agent fills may carry more than is named here, so that a reader is not broken by a new field.
"""

from __future__ import annotations

from typing import Any, get_args

from controller.executor import Result
from controller.states import State
from models.interference import WEIGHTS
from models.learner import SEVERITIES

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
TIME: Schema = {"type": "string", "format": "date-time"}
ANY_OBJECT: Schema = {"type": "object"}
STATE: Schema = {"type": "string", "enum": [state.value for state in State]}


RUNG: Schema = {"type": "string", "enum": ["quota", "idle", "weight"]}


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


def _claim(other: str, more: dict[str, Schema] | None = None) -> Schema:
    common = {"rung": RUNG, "target_cores": _or_null(NUMBER, "by weight"), "since": TIME}
    return _object({other: TEXT, **common, **(more or {})})


_BY_METRIC: Schema = {"type": "object", "additionalProperties": _ref("Windows")}
_MEASURED = "not measured yet, or not to be had"

_WORTH: dict[str, Schema] = {
    "violation_minutes": {**NUMBER, "description": "In which its SLO was violated, or a rule of its fired."},
    "violation_minutes_saved": {**NUMBER, "description": "Of these, those that cuts are expected to spare."},
    "core_hours_taken": {**NUMBER, "description": "CPU time that it is expected to give for that."},
}
_NEVER_DRY = "it was never a dry run since its start"

SCHEMAS: dict[str, Schema] = {
    "Index": _object({"name": TEXT, "api": TEXT, "node": TEXT}),
    "Document": ANY_OBJECT,
    "Status": _object({"status": {"const": "ok"}}),
    "Node": _object(
        {
            "name": TEXT,
            "mode": {"type": "string", "enum": ["active", "dry-run", "frozen"]},
            "healthy": FLAG,
            "reasons": {**_array(TEXT), "description": "What is abnormal with the node now."},
            "frozen_by": {
                **_array(TEXT),
                "description": "What keeps it frozen, until the thaw time is over.",
            },
            "state": STATE,
            "loop_lag_seconds": _or_null(NUMBER, "no tick yet"),
            "thaws_in_seconds": _or_null(NUMBER, "the node is not frozen, or not well yet"),
            "not_found": {**_array(TEXT), "description": "Static containers that no group is there for."},
            "config_problem": _or_null(TEXT, "the file that was changed last is in effect"),
            "backend": TEXT,
            "cpus": WHOLE,
            "cpu_usage_ratio": _or_null(NUMBER, _MEASURED),
            "cpu_taken_cores": {**NUMBER, "description": "What all claims take from their peers."},
            "containers": WHOLE,
            "shadow": _or_null(_object({"seconds": NUMBER, **_WORTH}), _NEVER_DRY),
        }
    ),
    "Slo": _object({"latency_seconds": NUMBER, "percentile": NUMBER}),
    "Claim": _claim(
        "peer",
        {
            "probe": {**FLAG, "description": "Held back to see whether that helps; else it is let go."},
            "guilty": {**FLAG, "description": "A probe has shown that holding it back helps."},
        },
    ),
    "Hold": _claim("victim"),
    "Suspect": _object({"peer": TEXT, "score": NUMBER, **dict.fromkeys(WEIGHTS, NUMBER)}),
    "Container": _object(
        {
            "id": TEXT,
            "cgroup": TEXT,
            "app": TEXT,
            "priority": WHOLE,
            "tier": TEXT,
            "state": STATE,
            "verdict": _or_null(TEXT, "no diagnosis is under way"),
            "state_since": _or_null(TIME, "it was never anything but normal"),
            "cpu_usage_cores": _or_null(NUMBER, _MEASURED),
            "cpu_demand_cores": _or_null(NUMBER, _MEASURED),
            "cpu_limit_cores": _or_null(NUMBER, "no limit"),
            "cpu_base_cores": _or_null(NUMBER, "no limit"),
            "cpu_spec_cores": _or_null(NUMBER, "no spec is known, or it sets no limit"),
            "cpu_floor_cores": NUMBER,
            "cpu_weight": _or_null(WHOLE, "it has its own, which is not looked at"),
            "cpu_throttled_ratio": _or_null(NUMBER, _MEASURED),
            "cpu_wait_ratio": _or_null(NUMBER, _MEASURED),
            "cpu_run_delay_ratio": _or_null(NUMBER, _MEASURED),
            "cpu_wait_signal": _or_null(
                {"type": "string", "enum": ["psi", "run-delay"]}, "nothing tells, so no peer is cut for it"
            ),
            "latency_seconds": _or_null(NUMBER, _MEASURED),
            "memory_bytes": _or_null(NUMBER, _MEASURED),
            "slo": _or_null(_ref("Slo"), "none is promised"),
            "claims": {**_array(_ref("Claim")), "description": "What it holds of its peers."},
            "suspects": {**_array(_ref("Suspect")), "description": "Who may be to blame, worst first."},
            "holds": {**_array(_ref("Hold")), "description": "What is held of it, and for whom."},
            "hands_off": {**FLAG, "description": "Its limit is contended, so it is left alone."},
            "shadow": _or_null(_object(_WORTH), _NEVER_DRY),
        }
    ),
    "Statistics": _object(
        {name: _or_null(NUMBER, _MEASURED) for name in ("low", "high", "mean", "deviation", "trend", "last")}
    ),
    "Windows": _object({"fast": _ref("Statistics"), "slow": _ref("Statistics")}),
    "Profile": _object(
        {
            "id": TEXT,
            "app": TEXT,
            "windows_seconds": _object({"fast": NUMBER, "slow": NUMBER}),
            "metrics": _BY_METRIC,
            "app_metrics": _or_null(_BY_METRIC, "it belongs to no application"),
            "forecast": _object({"horizon_seconds": NUMBER, "cpu_demand_cores": _or_null(NUMBER, _MEASURED)}),
        }
    ),
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
    "Revision": _record(
        {
            "container": TEXT,
            "group": {**TEXT, "description": "The control group whose limit or weight it is."},
            "rung": {**RUNG, "description": "What was changed: a quota (cores), or a weight."},
            "victim": {**TEXT, "description": "For whom; empty where for nobody in particular."},
            "old_cores": _or_null(NUMBER, "no limit, or it is no quota"),
            "new_cores": _or_null(NUMBER, "no limit, or it is no quota"),
            "base_cores": _or_null(NUMBER, "no limit, or it is no quota"),
            "old_weight": _or_null(WHOLE, "it is a quota"),
            "new_weight": _or_null(WHOLE, "it is a quota"),
            "base_weight": _or_null(WHOLE, "it is a quota"),
            "reason": TEXT,
            "result": {"type": "string", "enum": list(get_args(Result))},
            "detail": TEXT,
        }
    ),
    "Alert": _record(
        {
            "kind": TEXT,
            "container": {**TEXT, "description": "Empty: the node itself."},
            "message": TEXT,
            "active": FLAG,
            "since": TIME,
            "cleared_at": _or_null(TIME, "it is on"),
        },
        # What is on now is no record of the feed.
        optional=("seq", "time"),
    ),
    "Learner": _object(
        {
            "enabled": {**FLAG, "description": "Whether what is learnt is used, and more is learnt."},
            "cpu_model": TEXT,
            "items": _array(_ref("LearntFactor")),
        }
    ),
    "LearntFactor": _object(
        {
            "workload": {**TEXT, "description": "The image; else the application; else the container."},
            "severity": {"type": "string", "enum": list(SEVERITIES)},
            "factor": {**NUMBER, "description": "How many times as large as the gains say the step was."},
            "samples": {**NUMBER, "description": "How many steps, older ones counting less."},
            "mean_reward": {**NUMBER, "description": "Of the seconds after it; 0 is best."},
            "chosen": {**FLAG, "description": "The next step of this severity will be made so."},
        }
    ),
    "Forgotten": _object({"forgotten": _array(TEXT)}),
    "Restored": _object({"restored": _array(TEXT), "failed": _array(TEXT)}),
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
