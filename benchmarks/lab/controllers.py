"""What can control a run on real cgroups, by name: nobody, quotapilot in its variants, or a baseline."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from benchmarks.lab.baseline_process import Config
from benchmarks.lab.baselines import make
from benchmarks.lab.run import Caps, shadow_event
from benchmarks.lab.scenario import Scenario
from benchmarks.lab.variant import is_variant, load_variant
from controller.demo.crew import Crew
from controller.demo.engine import AgentProcess, end, peak_memory_bytes
from controller.demo.playground import Playground
from controller.merge_patch import merge_patch

NOBODY = ("none", "alone")
METRIC = "http_request_duration_seconds"


@dataclass(frozen=True)
class Setting:
    """Where a controller works: groups and metrics by the scenario's names. `requests_file` is where the
    victim's generator writes, `full_rate_per_second` the victim's rate that would fill the machine."""

    playground: Playground
    crew: Crew
    scenario: Scenario
    agent_group: str
    groups: dict[str, str]
    metrics_urls: dict[str, str]
    slo_seconds: float
    full_rate_per_second: float
    requests_file: Path


@dataclass(frozen=True)
class Told:
    """What a controller told when it had stopped. Events have `at_seconds` of CLOCK_MONOTONIC."""

    events: list[dict[str, Any]] = field(default_factory=list)
    memory_bytes: float = math.nan


class Controller(Protocol):
    """`start` returns when it is at work. `stop` is called once after that, whatever happened in between.
    `puts_back`: it leaves everything as it was found, so that nobody needs to do it for it."""

    puts_back: bool

    def start(self, setting: Setting) -> None: ...

    def stop(self) -> Told: ...


class Nobody:
    """No control."""

    puts_back = True

    def start(self, setting: Setting) -> None:
        """See `Controller`."""

    def stop(self) -> Told:
        """See `Controller`."""
        return Told()


class Quotapilot:
    """The agent, with a variant's configuration over what an operator would write for the scenario."""

    puts_back = True

    def __init__(self, variant: dict[str, Any]) -> None:
        self._variant = variant
        self._agent = AgentProcess()

    def start(self, setting: Setting) -> None:
        """See `Controller`. Raises EngineFailed."""
        config = merge_patch(agent_config(setting), self._variant)
        self._agent.launch(setting.playground, setting.agent_group, config)

    def stop(self) -> Told:
        """See `Controller`. Raises EngineFailed."""
        agent = self._agent
        agent.stop()
        told = {"transition": agent.transitions, "revision": agent.revisions, "alert": agent.alerts}
        events = [_event(kind, entry) for kind, entries in told.items() for entry in entries]
        events.sort(key=lambda event: float(event["at_seconds"]))
        if agent.node.get("shadow") is not None:
            events.append(shadow_event(agent.node, agent.containers) | {"at_seconds": time.monotonic()})
        return Told(events, agent.memory_bytes)


class Baseline:
    """A process that leaves what it wrote to us."""

    puts_back = False

    def __init__(self, name: str, caps: Caps | None) -> None:
        self._name, self._caps = name, caps
        self._crew: Crew | None = None

    def start(self, setting: Setting) -> None:
        """See `Controller`. Raises ActFailed."""
        crew, scenario = setting.crew, setting.scenario
        ready, config = crew.file("baseline.ready"), crew.file("baseline.json")
        names = [online.name for online in scenario.online]
        Config(
            baseline=self._name,
            victim=scenario.victim.name,
            slo_seconds=setting.slo_seconds,
            online={name: setting.groups[name] for name in names},
            peers={peer.name: setting.groups[peer.name] for peer in scenario.peers},
            metrics_url=setting.metrics_urls[scenario.victim.name],
            full_rate_per_second=setting.full_rate_per_second,
            requests_file=str(setting.requests_file),
            ready_file=str(ready),
            may_reweight=scenario.reweight,
            metric=METRIC,
            caps=self._caps,
        ).write(config)
        self._crew = crew
        crew.start_module("baseline", setting.agent_group, "benchmarks.lab.baseline_process", str(config))
        crew.await_file("baseline", ready, empty=True)

    def stop(self) -> Told:
        """See `Controller`. Raises EngineFailed."""
        if self._crew is None:
            return Told()
        crew, process = self._crew, self._crew.release("baseline")
        try:
            memory_bytes = peak_memory_bytes(process.pid)
        except OSError:
            memory_bytes = math.nan  # it has ended, which its exit code tells
        end(process, self._name, lambda: crew.last_words("baseline"))
        return Told(memory_bytes=memory_bytes)


def make_controller(name: str, caps: Caps | None = None) -> Controller:
    """The controller of that name. Raises ValueError for one that there is not, or without what it needs."""
    if name in NOBODY:
        return Nobody()
    if is_variant(name):
        return Quotapilot(load_variant(name))
    make(name, caps)
    return Baseline(name, caps)


def agent_config(setting: Setting) -> dict[str, Any]:
    """What an operator would write for the scenario."""
    online = [
        {
            "name": part.name,
            "cgroup": setting.groups[part.name],
            "tier": "online",
            "slo": {"latency": f"{setting.slo_seconds:g}s", "percentile": 95},
            "latency": {"url": setting.metrics_urls[part.name], "metric": METRIC, "interval": "250ms"},
        }
        for part in setting.scenario.online
    ]
    peers = [
        {
            "name": peer.name,
            "cgroup": setting.groups[peer.name],
            "tier": "offline",
            "floor": peer.floor_cores,
            "reweight": setting.scenario.reweight,
        }
        for peer in setting.scenario.peers
    ]
    return {"discovery": {"static": [*online, *peers]}}


def _event(kind: str, entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of the API's lists: the kind of an alert stands under "alert"."""
    at_seconds = datetime.fromisoformat(entry["time"]).timestamp() + time.monotonic() - time.time()
    named = {"alert": entry["kind"]} if kind == "alert" else {}
    return {**entry, **named, "kind": kind, "at_seconds": at_seconds}
