"""One act of the demo on the real kernel: a service, batch work and load in cgroups, with one controller."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from backends.cgroup import open_node
from controller.api.client import post
from controller.demo.controllers import Controller
from controller.demo.crew import CHECK_SECONDS, ActFailed, Crew
from controller.demo.load import Plan, Rate
from controller.demo.observer import Settings, Watch, settings_of
from controller.demo.progress import Report, Watcher
from controller.demo.records import JsonLines, observations_of, requests_of
from controller.demo.result import ActResult
from controller.demo.scene import Scene
from controller.demo.timeline import Timeline
from models.container import CpuLimit, Slo

_OVERDUE_SECONDS = 10.0
_PROGRESS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """The online service. Acts that are compared need the same `iterations_per_ms` (of `work.calibrate`)."""

    iterations_per_ms: float
    threads: int = 8
    lognormal_sigma: float = 0.0
    downstream_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is special about an act; all times count from its start.

    `hog_intervals`: when the busy loops work (None: always). `online_limit_cores`: the service's own limit.
    `changes`: what the service is told on the way, as its /control takes it, ascending.
    """

    hog_intervals: tuple[tuple[float, float], ...] | None = None
    online_limit_cores: float | None = None
    changes: tuple[tuple[float, Mapping[str, float]], ...] = ()


def limit_group(group: str, cores: float) -> None:
    """Give a group a limit of its own. Raises OSError."""
    with closing(open_node()) as node:
        node.set_limit(group, CpuLimit().with_cores(cores))


def start_service(
    crew: Crew, name: str, group: str, settings: ServiceSettings, cpu_ms: float, seed: int
) -> str:
    """Start an online service and wait until it answers; its URL. `cpu_ms`: the CPU time of a request."""
    port_file = crew.file(f"{name}.port")
    crew.start_module(
        name,
        group,
        "controller.demo.service",
        *("--port-file", str(port_file)),
        *("--cpu-ms", str(cpu_ms)),
        *("--threads", str(settings.threads)),
        *("--lognormal-sigma", str(settings.lognormal_sigma)),
        *("--downstream-ms", str(settings.downstream_ms)),
        *("--seed", str(seed)),
        *("--iterations-per-ms", str(settings.iterations_per_ms)),
    )
    crew.await_file(name, port_file)
    return f"http://127.0.0.1:{json.loads(port_file.read_text())['port']}"


def run_act(
    scene: Scene,
    timeline: Timeline,
    controller: Controller,
    *,
    slo: Slo,
    service: ServiceSettings,
    conditions: Conditions = Conditions(),
    seed: int = 1,
    progress: Report | None = None,
) -> ActResult:
    """Run one act in an entered scene and return what it left. The scene is empty afterwards, come what may.

    `progress` is called about once a second. Raises ActFailed, and what the controller raises.
    """
    with tempfile.TemporaryDirectory(prefix="quotapilot-demo-") as directory:
        act = _Act(scene, timeline, controller, Path(directory), slo, service, conditions, seed)
        try:
            act.run(progress)
        finally:
            scene.kill()
        return act.result()


class _Act:
    def __init__(
        self,
        scene: Scene,
        timeline: Timeline,
        controller: Controller,
        directory: Path,
        slo: Slo,
        service: ServiceSettings,
        conditions: Conditions,
        seed: int,
    ) -> None:
        self._scene, self._timeline, self._controller = scene, timeline, controller
        # Hogs whose intervals are over end by themselves.
        self._crew = Crew(scene, directory, may_end=("hog",))
        self._file = self._crew.file
        self._slo, self._service, self._seed = slo, service, seed
        self._conditions, self._changes = conditions, list(conditions.changes)
        self._start_at = 0.0
        self._ends_at = 0.0
        self._restored = False

    def run(self, progress: Report | None) -> None:
        self._limit_online()
        url = start_service(
            self._crew, "service", self._scene.online, self._service, self._timeline.cpu_ms, self._seed
        )
        if self._conditions.hog_intervals is None:
            self._start_hogs()
        # Before the controller, so that the observer knows what there was to go back to.
        self._start_observer()
        before = self._limits()
        try:
            self._controller.start(self._scene, self._scene.online, self._scene.offline, url, self._slo)
            self._start_load(url)
            if self._conditions.hog_intervals is not None:
                self._start_hogs()
            self._attend(url, progress)
        finally:
            with self._scene.held():
                self._controller.stop()
        self._restored = self._limits() == before

    def result(self) -> ActResult:
        _, *requests = JsonLines(self._file("requests")).read()
        rows = JsonLines(self._file("observations")).read()
        start = self._start_at
        return ActResult(
            controller=self._controller.name,
            backend=self._scene.backend,
            cpus=os.cpu_count() or 1,
            timeline=self._timeline,
            seed=self._seed,
            requests=requests_of(requests, self._ends_at),
            observations=observations_of(rows, self._groups, start),
            states=tuple((at - start, state) for at, state in self._controller.states()),
            restored=self._restored,
        )

    @property
    def _groups(self) -> Mapping[str, str]:
        scene = self._scene
        return {"online": scene.online, "offline": scene.offline, "load": scene.load, "agent": scene.agent}

    @property
    def _work(self) -> str:
        return str(self._file("work"))

    def _start_observer(self) -> None:
        config = self._file("watch")
        Watch(self._groups, {"offline": self._work}, str(self._file("observations"))).write(config)
        self._crew.start_module("observer", self._scene.load, "controller.demo.observer", str(config))
        self._crew.await_file("observer", self._file("observations"))

    def _start_load(self, url: str) -> None:
        plan = Plan(
            url=url + "/work",
            out=str(self._file("requests")),
            seed=self._seed,
            phases=tuple(Rate(phase.seconds, phase.rate_per_second) for phase in self._timeline.phases),
        )
        self._ends_at = plan.ends_at_seconds
        config = self._file("plan")
        plan.write(config)
        self._crew.start_module("load", self._scene.load, "controller.demo.load", str(config))
        self._crew.await_file("load", self._file("requests"))
        self._start_at = float(JsonLines(self._file("requests")).read()[0]["start_at_seconds"])

    def _limit_online(self) -> None:
        if (cores := self._conditions.online_limit_cores) is not None:
            limit_group(self._scene.online, cores)

    def _start_hogs(self) -> None:
        if not self._timeline.hogs:
            return
        intervals = self._conditions.hog_intervals
        timing = [] if intervals is None else ["--intervals", json.dumps(intervals)]
        self._crew.start_module(
            "hog",
            self._scene.offline,
            "controller.demo.hog",
            *("--loops", str(self._timeline.hogs)),
            *("--work-file", self._work),
            *("--start-at", str(self._start_at)),
            *timing,
        )

    def _tell_service(self, url: str, now: float) -> None:
        while self._changes and now - self._start_at >= self._changes[0][0]:
            _, change = self._changes.pop(0)
            asyncio.run(post(url, "/control", dict(change)))

    def _attend(self, url: str, progress: Report | None) -> None:
        """Until the generator has ended by itself."""
        watcher = Watcher(
            self._controller.name,
            self._timeline,
            self._start_at,
            self._file("requests"),
            self._file("observations"),
        )
        load = self._crew.release("load")  # the one that is expected to end
        next_look = self._start_at
        while load.poll() is None:
            self._crew.check()
            now = time.monotonic()
            self._tell_service(url, now)
            if now > self._start_at + self._ends_at + _OVERDUE_SECONDS:
                raise ActFailed(f"load: did not end in time{self._crew.last_words('load')}")
            if progress is not None and now >= next_look:
                progress(watcher.look(now))
                next_look += _PROGRESS_SECONDS
            time.sleep(CHECK_SECONDS)
        if load.returncode != 0:
            raise ActFailed(f"load: ended with {load.returncode}{self._crew.last_words('load')}")

    def _limits(self) -> list[Settings]:
        return [settings_of(self._scene.layout, group) for group in (self._scene.online, self._scene.offline)]
