"""The engine as JSON: what the API and the commands show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from controller.api.facade import UnknownContainer
from controller.claims import QUOTA
from controller.engine import Engine
from controller.rungs import carrier
from controller.shadow import Worth
from controller.states import State
from controller.times import rfc3339
from models.container import Container
from models.profile import app_profile, profile
from models.rates import METRICS, NODE


def mode(engine: Engine) -> str:
    """active, dry-run or frozen."""
    if engine.center.gate.frozen or engine.operator_freeze:
        return "frozen"
    return "dry-run" if engine.config.dry_run else "active"


def node(engine: Engine) -> dict[str, Any]:
    """The node and its health."""
    abnormal = engine.seen.abnormal if engine.seen is not None else ()
    if engine.operator_freeze:  # also before the next round has seen it
        abnormal = (
            *(reason for reason in abnormal if not reason.startswith("operator")),
            engine.frozen_reason,
        )
    case = engine.center.cases.get(NODE)
    return {
        "name": engine.config.node_name,
        "mode": mode(engine),
        "backend": engine.node.name,
        "cpus": engine.node.cpus,
        "healthy": not abnormal,
        "reasons": list(abnormal),
        "frozen_by": list(engine.center.gate.frozen),
        "thaws_in_seconds": engine.center.gate.thaws_in_seconds(
            engine.now_seconds, engine.config.freeze.thaw
        ),
        "state": (case.state if case else State.NORMAL).value,
        "cpu_usage_ratio": _number(_recent(engine, "node_cpu_ratio", NODE)),
        "containers": len(engine.containers),
        "not_found": not_found(engine),
        "cpu_taken_cores": _number(_taken_cores(engine)),
        "shadow": None
        if engine.shadow is None
        else {"seconds": _number(engine.shadow.seconds), **_worth(engine.shadow.total())},
    }


def not_found(engine: Engine) -> list[str]:
    """Containers of the static list that no group is there for: not yet, or because a path is mistyped."""
    ids = [container.id for container in engine.containers]
    return [
        f"{entry.name} ({entry.cgroup})"
        for entry in engine.config.discovery.static
        if not any(name == entry.name or name.startswith(f"{entry.name}-") for name in ids)
    ]


def learner(engine: Engine) -> dict[str, Any]:
    """What is learnt, for people."""
    known = engine.center.learner
    return {
        "enabled": engine.config.learner.enabled,
        "cpu_model": known.cpu_model,
        "items": [
            row | {"samples": _number(row["samples"]), "mean_reward": _number(row["mean_reward"])}
            for row in known.table()
        ],
    }


def containers(engine: Engine) -> list[dict[str, Any]]:
    """Every container, in the order of discovery."""
    return [_container(engine, n, found) for n, found in enumerate(engine.containers)]


def container(engine: Engine, container_id: str) -> dict[str, Any]:
    """One container. Raises UnknownContainer."""
    for n, found in enumerate(engine.containers):
        if found.id == container_id:
            return _container(engine, n, found)
    raise UnknownContainer(container_id)


def container_profile(engine: Engine, container_id: str) -> dict[str, Any]:
    """Statistics of every metric of a container, of its application, and its forecast demand.

    Raises UnknownContainer.
    """
    found = next((c for c in engine.containers if c.id == container_id), None)
    if found is None or engine.seen is None:
        raise UnknownContainer(container_id)
    forecast, history = engine.config.forecast, engine.seen.history
    apps = [*(c.app for c in engine.containers), ""]
    windows = (forecast.fast_window, forecast.slow_window)
    row = history.row[container_id]
    return {
        "id": container_id,
        "app": found.app,
        "windows_seconds": {"fast": windows[0], "slow": windows[1]},
        "metrics": profile(history, *windows).of(container_id),
        "app_metrics": app_profile(history, apps, *windows).of(found.app) if found.app else None,
        "forecast": {
            "horizon_seconds": forecast.horizon,
            "cpu_demand_cores": _number(float(engine.seen.forecast_cores[row])),
        },
    }


def _container(engine: Engine, n: int, found: Container) -> dict[str, Any]:
    seen, center = engine.seen, engine.center
    case = center.cases.get(found.id)
    here = seen is not None and n < len(seen.limit_cores)
    recent = {name: _number(_recent(engine, name, found.id)) for name in METRICS if name != "node_cpu_ratio"}
    return {
        "id": found.id,
        "cgroup": found.cgroup,
        "app": found.app,
        "tier": found.tier,
        "priority": int(seen.priority[n]) if seen is not None and here else found.priority,
        "state": (case.state if case else State.NORMAL).value,
        "verdict": case.verdict.value if case and case.verdict else None,
        "state_since": _since(engine, case.since_seconds) if case else None,
        **recent,
        "cpu_limit_cores": _number(float(seen.limit_cores[n])) if seen is not None and here else None,
        "cpu_base_cores": _number(float(seen.base_cores[n])) if seen is not None and here else None,
        "cpu_spec_cores": _number(found.spec_cores),
        "cpu_floor_cores": found.floor_cores,
        "cpu_weight": _weight(engine, found),
        "cpu_wait_signal": _wait_signal(recent),
        "slo": None
        if found.slo is None
        else {"latency_seconds": found.slo.latency_seconds, "percentile": found.slo.percentile},
        "claims": [
            {"peer": claim.peer, "rung": claim.rung, "target_cores": _number(claim.target_cores)}
            | {"since": _since(engine, claim.since_seconds)}
            | {"probe": case is not None and case.tests(claim.peer), "guilty": claim.guilty}
            for claim in center.ledger.of_victim(found.id)
        ],
        "suspects": [
            {"peer": peer, **numbers}
            for peer, numbers in sorted(
                case.suspects.items() if case else (), key=lambda item: -item[1]["score"]
            )
        ],
        "holds": [
            {"victim": claim.victim, "rung": claim.rung, "target_cores": _number(claim.target_cores)}
            | {"since": _since(engine, claim.since_seconds)}
            for claim in center.ledger.on_peer(found.id)
        ],
        "hands_off": found.id in engine.executor.hands_off,
        "shadow": None if engine.shadow is None else _worth(engine.shadow.of(found.id)),
    }


def _worth(worth: Worth) -> dict[str, float | None]:
    """What a dry run is worth, in the units that people think in."""
    return {
        "violation_minutes": _number(worth.violation_seconds / 60),
        "violation_minutes_saved": _number(worth.saved_seconds / 60),
        "core_hours_taken": _number(worth.taken_core_seconds / 3600),
    }


def _taken_cores(engine: Engine) -> float:
    """What all held containers have less than they used before."""
    lowest = engine.center.ledger.targets()
    used = {c.peer: c.reference_cores for c in engine.center.ledger if c.rung == QUOTA}
    return sum(max(0.0, used[peer] - cores) for peer, cores in lowest.items())


def _weight(engine: Engine, found: Container) -> int | None:
    """The weight of ours that it or its pod has, in the kernel's scale; 0 is cpu.idle; None: none of ours."""
    return engine.executor.held_weights().get(carrier(found.cgroup, engine.config.rung0.level))


def _wait_signal(recent: dict[str, float | None]) -> str | None:
    """Which signal says whether it waits for CPU; None: none does, and no peer is cut for it."""
    if recent["cpu_wait_ratio"] is not None:
        return "psi"
    return "run-delay" if recent["cpu_run_delay_ratio"] is not None else None


def _recent(engine: Engine, metric: str, name: str) -> float:
    if engine.seen is None or (row := engine.seen.row(name)) is None:
        return math.nan
    return float(engine.seen.recent(metric)[row])


def _since(engine: Engine, monotonic_seconds: float) -> str:
    return rfc3339(engine.wall_seconds - (engine.now_seconds - monotonic_seconds))


def _number(value: float | None) -> float | None:
    """None for what is not known or without a limit: JSON has neither NaN nor infinity."""
    return None if value is None or not np.isfinite(value) else round(float(value), 6)
