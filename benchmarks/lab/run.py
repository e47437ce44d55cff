"""What one run left: columns of requests and of observations, and what the controller told of itself.

Written by the stage (real cgroups) and by the simulated stage, read by everything that judges. Kept as one
.npz file a run, so that every figure can be computed anew without running anything again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.lab.scenario import Scenario

Floats = NDArray[np.float64]
# The oracle's caps: from when on (seconds of the scenario), which peer has how many cores.
Caps = tuple[tuple[float, dict[str, float]], ...]


@dataclass(frozen=True)
class Requests:
    """The victim's requests, ascending by intended send time (seconds from the load's start), from which the
    latency counts. One never answered counts as waiting until the end."""

    intended_seconds: Floats
    latency_seconds: Floats
    send_lag_seconds: Floats


@dataclass(frozen=True)
class Group:
    """One container over the observer's polls. Usage, throttled and wait seconds and work are cumulative;
    limit is in cores (inf: none), weight in the kernel's own unit. Work is 0 for a service."""

    usage_seconds: Floats
    limit_cores: Floats
    throttled_seconds: Floats
    wait_seconds: Floats
    weight: Floats
    idle: Floats
    work_units: Floats


@dataclass(frozen=True)
class Run:
    """One run. `groups` are the scenario's containers by name, and "load" and "agent" beside them on a real
    machine. `events` are what quotapilot told: transitions, revisions, alerts, in order, each with
    `at_seconds` and `kind`, and of a dry run one of kind "shadow" at the end; empty for others. `restored`:
    after the controller had stopped every limit, weight and idle was found as before."""

    scenario: str
    controller: str
    seed: int
    backend: str
    cpus: int
    slo_seconds: float
    at_seconds: Floats
    busy_seconds: Floats
    stolen_seconds: Floats
    requests: Requests
    groups: dict[str, Group]
    restored: bool
    agent_memory_bytes: float = float("nan")
    events: list[dict[str, Any]] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        columns = {"at_seconds": self.at_seconds, "busy": self.busy_seconds, "stolen": self.stolen_seconds}
        columns |= {f"requests/{name}": value for name, value in vars(self.requests).items()}
        for group, found in self.groups.items():
            columns |= {f"groups/{group}/{name}": value for name, value in vars(found).items()}
        head = {
            "scenario": self.scenario,
            "controller": self.controller,
            "seed": self.seed,
            "backend": self.backend,
            "cpus": self.cpus,
            "slo_seconds": self.slo_seconds,
            "restored": self.restored,
            "agent_memory_bytes": self.agent_memory_bytes,
            "events": self.events,
        }
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, head=np.array(json.dumps(head)), **columns)  # type: ignore[arg-type]
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Run:
        """Raises OSError, KeyError or ValueError for what is no run."""
        with np.load(path) as data:
            requests = Requests(**{n: data[f"requests/{n}"] for n in Requests.__dataclass_fields__})
            names = sorted({key.split("/")[1] for key in data.files if key.startswith("groups/")})
            groups = {
                name: Group(**{n: data[f"groups/{name}/{n}"] for n in Group.__dataclass_fields__})
                for name in names
            }
            return cls(
                at_seconds=data["at_seconds"],
                busy_seconds=data["busy"],
                stolen_seconds=data["stolen"],
                requests=requests,
                groups=groups,
                **json.loads(str(data["head"])),
            )


def shadow_event(node: dict[str, Any], containers: list[dict[str, Any]]) -> dict[str, Any]:
    """What a dry run was worth in the end, of the API's node and containers: an event but for its time."""
    by_container = {shown["id"]: shown["shadow"] for shown in containers}
    return {"kind": "shadow", "node": node["shadow"], "containers": by_container}


class Stage(Protocol):
    """Where scenarios are run: on real cgroups, or on the simulated node."""

    backend: str  # "cgroup-v1", "cgroup-v2" or "simulated"
    cpus: int

    def run(
        self, scenario: Scenario, controller: str, seed: int, *, slo_seconds: float, caps: Caps | None = None
    ) -> Run:
        """Run a scenario under a controller, by name; `caps` for "oracle". The same seed gives the same
        arrivals for every controller. Raises ValueError for an unknown controller, RunFailed when a process
        of the run died, Unavailable when the scenario can't be run here."""


class RunFailed(Exception):
    """A process of the run died or did not get ready. The message ends with the last lines it wrote."""


class Unavailable(ValueError):
    """This machine lacks what a scenario needs. The message says what, and how to get it."""
