"""The lab's stage in fast time: the same scenarios, arrivals and controllers on the simulated node."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import yaml

from benchmarks.lab.baselines import make
from benchmarks.lab.run import Caps, Group, Run, shadow_event
from benchmarks.lab.scenario import Scenario
from benchmarks.lab.scraped import SCRAPE_SECONDS, ScrapedLatencies
from benchmarks.lab.simulated_plant import SimulatedPlant
from benchmarks.lab.simulated_world import LEAD_SECONDS, LOAD, World
from benchmarks.lab.traits import Traits, kept_traits
from benchmarks.lab.variant import is_variant, load_variant
from controller import view
from controller.config import Config, parse
from controller.simulation import Loop
from models.container import Slo
from models.learner import Learner

_NO_CONTROL = ("none", "alone")
# The engine's warnings are in the run's events; without a handler they would also go to the terminal.
logging.getLogger("controller").addHandler(logging.NullHandler())
POLL_SECONDS = 0.05  # as the observer on real cgroups
_STEP_SECONDS = 0.005  # a slice of the node: all moments are whole ones
_CONTROL_AT_SECONDS = -1.0  # when a controller is started


class SimulatedStage:
    """A `benchmarks.lab.run.Stage` on a simulated node of `cpus` CPUs. A scenario of a minute takes about two
    seconds. The engine and the baselines are the real ones; what is approximate stands in
    `backends.simulator`; how near it is, `benchmarks.lab.compare` tells.

    `traits` None: as they were last measured on real runs. `config` are changes of quotapilot's configuration
    over those of the variant, section by section as in a YAML file: for tuning. `learner` goes on learning
    from run to run, as on a node that lives on; without it each run starts unlearnt.
    """

    backend = "simulated"

    def __init__(
        self,
        cpus: int = 2,
        traits: Traits | None = None,
        config: dict[str, Any] | None = None,
        learner: Learner | None = None,
    ) -> None:
        self.cpus, self._traits, self._config = cpus, traits or kept_traits(), config or {}
        self._learner = learner

    def run(
        self, scenario: Scenario, controller: str, seed: int, *, slo_seconds: float, caps: Caps | None = None
    ) -> Run:
        """See `Stage.run`. Raises ConfigError for a configuration that can't be used."""
        world = World(scenario, seed, self.cpus, self._traits, peers_at_work=controller != "alone")
        latencies = ScrapedLatencies()
        recorder = _Recorder(world)
        clock = _Clock(world)
        clock.every(POLL_SECONDS, -LEAD_SECONDS, recorder.record)
        # The scraper's phase beside the loop's is chance; the same for every controller.
        scrape_at = _CONTROL_AT_SECONDS + np.random.default_rng(seed).integers(1, 50) * _STEP_SECONDS
        clock.every(SCRAPE_SECONDS, scrape_at, lambda now: _scrape(world, latencies, now))
        loop = None
        if is_variant(controller):
            loop = self._loop(world, latencies, load_variant(controller), slo_seconds)
            wall, engine = loop.wall_start_seconds, loop.engine
            clock.every(loop.config.tick, _CONTROL_AT_SECONDS, lambda now: engine.tick(now, wall + now))
        elif controller not in _NO_CONTROL:
            baseline = make(controller, caps)
            plant = SimulatedPlant(world, slo_seconds)
            clock.once(_CONTROL_AT_SECONDS, lambda now: baseline.start(plant, now))
            if math.isfinite(interval := baseline.interval_seconds):
                clock.every(interval, _CONTROL_AT_SECONDS + interval, lambda now: baseline.step(plant, now))
        clock.run()
        _scrape(world, latencies, world.ends_seconds)
        recorder.record(world.ends_seconds)
        restored = True
        if loop is not None:
            end = world.ends_seconds
            loop.engine.restore_all("the run ends", end, loop.wall_start_seconds + end)
            restored = recorder.is_as_before()
        return Run(
            scenario=scenario.name,
            controller=controller,
            seed=seed,
            backend=self.backend,
            cpus=self.cpus,
            slo_seconds=slo_seconds,
            at_seconds=recorder.at_seconds(),
            busy_seconds=recorder.busy_seconds(),
            stolen_seconds=np.zeros(len(recorder.at_seconds())),
            requests=world.requests(),
            groups=recorder.groups(),
            restored=restored,
            events=_events(loop) if loop is not None else [],
        )

    def _loop(
        self, world: World, latencies: ScrapedLatencies, variant: dict[str, Any], slo_seconds: float
    ) -> Loop:
        config = _config(variant, self._config)
        policies: dict[str, dict[str, Any]] = {}
        for online in world.scenario.online:
            policies[online.name] = {
                "tier": "online",
                "priority": config.tiers["online"],
                "slo": Slo(slo_seconds),
            }
        for peer in world.scenario.peers:
            policies[peer.name] = {
                "tier": "offline",
                "priority": config.tiers["offline"],
                "floor_cores": peer.floor_cores,
                "reweight": world.scenario.reweight,
            }
        loop = Loop(world.node, policies, config, scraped=latencies, only=frozenset(policies))
        if self._learner is not None:
            loop.engine.center.learner = self._learner
        return loop


class _Clock:
    """Lets the world's time pass, from one thing to do to the next; those of one moment in order of entry."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: list[tuple[int, int, Callable[[float], None]]] = []

    def every(self, interval_seconds: float, first_seconds: float, do: Callable[[float], None]) -> None:
        """Do it at `first_seconds` and at each interval after it."""
        self._due.append((_steps(first_seconds), max(1, _steps(interval_seconds)), do))

    def once(self, at_seconds: float, do: Callable[[float], None]) -> None:
        """Do it at one moment."""
        self._due.append((_steps(at_seconds), 0, do))

    def run(self) -> None:
        """Until the end of the world, what is due at the very end left out."""
        end = _steps(self._world.ends_seconds)
        while self._due and (step := min(at for at, _, _ in self._due)) < end:
            now = step * _STEP_SECONDS
            self._world.node.advance(now)
            for n, (at, interval, do) in enumerate(self._due):
                if at == step:
                    do(now)
                    self._due[n] = (step + interval if interval else end, interval, do)
        self._world.node.advance(end * _STEP_SECONDS)


class _Recorder:
    """The observer: what the groups' files say at each poll."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._at: list[float] = []
        self._busy: list[float] = []
        self._rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in (*world.groups, LOAD)}

    def record(self, now: float) -> None:
        """Take one row of every group."""
        self._at.append(now)
        self._busy.append(self._world.node.busy_seconds)
        for name, group in self._world.groups.items():
            hogs = self._world.hogs.get(name)
            self._rows[name].append(self._row(group, hogs.work_units if hogs else 0.0))
        load = [self._world.node.look(group) for group in self._world.load_groups]
        used, waited = sum(part.usage_seconds for part in load), max(part.wait_seconds for part in load)
        self._rows[LOAD].append((used, math.inf, 0.0, waited, load[0].weight, 0.0, 0.0))

    def _row(self, group: str, work_units: float) -> tuple[float, ...]:
        state = self._world.node.look(group)
        return (
            state.usage_seconds,
            state.limit.cores,
            state.throttled_seconds,
            state.wait_seconds,
            state.weight,
            float(state.idle),
            work_units,
        )

    def is_as_before(self) -> bool:
        """Whether limit, weight and idle of every group are now what they were at the first poll."""
        for name, group in self._world.groups.items():
            now, first = self._row(group, 0.0), self._rows[name][0]
            if (now[1], now[4], now[5]) != (first[1], first[4], first[5]):
                return False
        return True

    def at_seconds(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array(self._at)

    def busy_seconds(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array(self._busy)

    def groups(self) -> dict[str, Group]:
        """The columns, by name."""
        return {name: Group(*np.array(rows).T) for name, rows in self._rows.items()}


def _steps(seconds: float) -> int:
    return round(seconds / _STEP_SECONDS)


def _scrape(world: World, latencies: ScrapedLatencies, now: float) -> None:
    for name, metrics in world.services.items():
        latencies.accept(name, metrics.scrape(world.node.finished(name), now), now)


def _config(variant: dict[str, Any], changes: dict[str, Any]) -> Config:
    merged = dict(variant)
    for section, values in changes.items():
        merged[section] = {**merged.get(section, {}), **values} if isinstance(values, dict) else values
    return parse(yaml.safe_dump(merged), "the lab's variant")


def _events(loop: Loop) -> list[dict[str, Any]]:
    """As `Run.events`: the kind of an alert stands under "alert", since "kind" is that of the event."""
    records = [record for kind in ("transition", "revision", "alert") for record in loop.records(kind)]
    records.sort(key=lambda record: record.seq)
    wall = loop.wall_start_seconds
    events = []
    for record in records:
        named = {"alert": record.data["kind"]} if record.kind == "alert" else {}
        at_seconds = round(record.at_seconds - wall, 6)
        events.append({**record.data, **named, "kind": record.kind, "at_seconds": at_seconds})
    if loop.engine.shadow is not None:
        worth = shadow_event(view.node(loop.engine), view.containers(loop.engine))
        events.append(worth | {"at_seconds": round(loop.engine.now_seconds, 6)})
    return events
