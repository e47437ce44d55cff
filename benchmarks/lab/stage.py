"""Runs a scenario on this machine: real cgroups, real processes, one controller."""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from backends.cgroup import open_node
from backends.cgroup.layout import load_layout
from benchmarks.lab import tree
from benchmarks.lab.arrivals import arrival_seed, phases
from benchmarks.lab.controllers import Controller, Setting, Told, make_controller
from benchmarks.lab.run import Caps, Group, Requests, Run, RunFailed, Unavailable
from benchmarks.lab.scenario import Change, Scenario
from benchmarks.lab.servers import Served, costed, serve
from benchmarks.lab.speed import Speed
from controller.api.client import post
from controller.api.errors import ApiError
from controller.demo.acts import limit_group
from controller.demo.crew import CHECK_SECONDS, ActFailed, Crew
from controller.demo.engine import EngineFailed
from controller.demo.load import Plan, write_start
from controller.demo.observer import Settings, Watch, settings_of
from controller.demo.playground import USUAL_SHARES, Playground
from controller.demo.records import JsonLines, column, observations_of, requests_of

SPEED_FILE = Path("reports/lab/speed.json")
_OVERDUE_SECONDS = 10.0
# Much, since each process outside of any group weighs 1024 against all of ours together.
_SHARES = 100 * USUAL_SHARES
_LOCK = Path(tempfile.gettempdir()) / "quotapilot-lab.lock"
# Where there is a tmpfs: a generator or an observer that waits for a busy disk measures the disk.
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
# How long the generator waits for answers after the scenario's end.
_DRAIN_SECONDS = 2.0


class RealStage:
    """See `benchmarks.lab.run.Stage`. Runs that are compared need the same `speed` (None: the one kept in
    reports/lab/speed.json). Needs root and cgroups: raises LayoutError."""

    def __init__(self, speed: Speed | None = None) -> None:
        self.backend = "cgroup-v2" if load_layout().cpu.is_v2 else "cgroup-v1"
        self.cpus = os.cpu_count() or 1
        self._speed = speed or Speed(SPEED_FILE)

    def run(
        self, scenario: Scenario, controller: str, seed: int, *, slo_seconds: float, caps: Caps | None = None
    ) -> Run:
        """See `Stage.run`. Raises OSError where cgroups may not be written."""
        hand = make_controller(controller, caps)
        if missing := _cpus_of(scenario) - set(range(self.cpus)):
            raise Unavailable(f"{scenario.name} needs CPU {min(missing)}, and there are {self.cpus}")
        try:
            with _machine_to_ourselves():
                costly = costed(scenario, self._speed)
                return self._run(costly, controller, hand, seed, slo_seconds)
        except (ActFailed, EngineFailed, ApiError) as error:
            raise RunFailed(f"{scenario.name}, {controller}, seed {seed}: {error}") from error

    def _run(
        self, scenario: Scenario, controller: str, hand: Controller, seed: int, slo_seconds: float
    ) -> Run:
        with (
            tempfile.TemporaryDirectory(prefix="quotapilot-lab-", dir=_MEMORY) as directory,
            Playground(tree.branches(scenario), shares=_SHARES) as ground,
        ):
            trial = _Trial(ground, Path(directory), scenario, controller, seed, slo_seconds, self._speed)
            trial.perform(hand)
            return trial.result()


def _cpus_of(scenario: Scenario) -> set[int]:
    return {cpu for part in scenario.containers for cpu in part.cpus or ()}


@contextmanager
def _machine_to_ourselves() -> Iterator[None]:
    """Waits until no other stage is running anything: two at once would measure each other."""
    with open(_LOCK, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Trial:
    def __init__(
        self,
        ground: Playground,
        directory: Path,
        scenario: Scenario,
        controller: str,
        seed: int,
        slo_seconds: float,
        speed: Speed,
    ) -> None:
        self._ground, self._scenario, self._controller = ground, scenario, controller
        self._seed, self._slo_seconds, self._speed = seed, slo_seconds, speed
        # Peers end by themselves when their stretches are over.
        self._crew = Crew(ground, directory, may_end=[peer.name for peer in scenario.peers])
        self._file = self._crew.file
        self._cpus = os.cpu_count() or 1
        self._containers = tree.containers(scenario, ground.prefix)
        self._load, self._agent = ground.prefix + tree.LOAD, ground.prefix + tree.AGENT
        self._peers = () if controller == "alone" else scenario.peers
        self._served: dict[str, Served] = {}
        self._start_at = self._ends_at = 0.0
        self._told = Told()
        self._restored = False

    def perform(self, hand: Controller) -> None:
        """Everything from the first process to the last answer; the controller has stopped afterwards."""
        for number, online in enumerate(self._scenario.online):
            group = self._containers[online.name]
            if online.limit_cores is not None:
                limit_group(group, online.limit_cores)
            seed = arrival_seed(self._seed, number)
            self._served[online.name] = serve(self._crew, online, group, seed, self._speed)
        self._start_peers()
        # Before the controller, so that the observer knows what there was to go back to.
        self._start_observer()
        self._start_generators()
        before = self._settings()
        try:
            hand.start(self._setting())
            self._start_at = write_start(self._file("start"))
            self._attend()
        finally:
            with self._ground.held():
                self._told = hand.stop()
        if not hand.puts_back:
            self._put_back(before)
        self._restored = self._settings() == before

    def result(self) -> Run:
        """What is left of it."""
        _, *answers = JsonLines(self._requests_file(self._scenario.victim.name)).read()
        asked = requests_of(answers, self._ends_at)
        rows = JsonLines(self._file("observations")).read()
        names = [*self._containers, "load", "agent"]
        seen = observations_of(rows, names, self._start_at)
        nothing = np.zeros(len(rows))
        at_work = {peer.name: column(rows, f"{peer.name}_work_units") for peer in self._scenario.peers}
        return Run(
            scenario=self._scenario.name,
            controller=self._controller,
            seed=self._seed,
            backend=self._ground.backend,
            cpus=self._cpus,
            slo_seconds=self._slo_seconds,
            at_seconds=seen.at_seconds,
            busy_seconds=seen.busy_seconds,
            stolen_seconds=seen.stolen_seconds,
            requests=Requests(asked.intended_seconds, asked.latency_seconds, asked.send_lag_seconds),
            groups={
                name: Group(**asdict(columns), work_units=at_work.get(name, nothing))
                for name, columns in seen.groups.items()
            },
            restored=self._restored,
            agent_memory_bytes=self._told.memory_bytes,
            events=[{**e, "at_seconds": e["at_seconds"] - self._start_at} for e in self._told.events],
        )

    def _setting(self) -> Setting:
        victim = self._scenario.victim
        return Setting(
            playground=self._ground,
            crew=self._crew,
            scenario=self._scenario,
            agent_group=self._agent,
            groups=self._containers,
            metrics_urls={name: served.metrics_url for name, served in self._served.items()},
            slo_seconds=self._slo_seconds,
            full_rate_per_second=self._cpus * 1000 / victim.request_ms,
            requests_file=self._requests_file(victim.name),
        )

    def _start_peers(self) -> None:
        for peer in self._peers:
            config = self._file(f"{peer.name}.json")
            config.write_text(peer.model_dump_json())
            work = self._work_file(peer.name)
            self._crew.start_module(
                peer.name,
                self._containers[peer.name],
                "benchmarks.lab.batch",
                *(str(config), str(self._file("start")), str(work)),
            )
        for peer in self._peers:
            self._crew.await_file(peer.name, self._work_file(peer.name))

    def _start_observer(self) -> None:
        config, out = self._file("watch"), self._file("observations")
        groups = {**self._containers, "load": self._load, "agent": self._agent}
        work = {peer.name: str(self._work_file(peer.name)) for peer in self._scenario.peers}
        Watch(groups, work, str(out)).write(config)
        self._crew.start_module("observer", self._load, "controller.demo.observer", str(config))
        self._crew.await_file("observer", out)

    def _start_generators(self) -> None:
        for number, online in enumerate(self._scenario.online):
            plan = Plan(
                url=self._served[online.name].work_url,
                out=str(self._requests_file(online.name)),
                seed=arrival_seed(self._seed, number),
                phases=phases(self._scenario, online, self._cpus),
                drain_seconds=_DRAIN_SECONDS,
                start_file=str(self._file("start")),
            )
            self._ends_at = plan.ends_at_seconds
            config = self._file(f"{online.name}.plan")
            plan.write(config)
            module, *arguments = self._served[online.name].generator
            self._crew.start_module(_generator(online.name), self._load, module, str(config), *arguments)
        for online in self._scenario.online:
            self._crew.await_file(_generator(online.name), self._requests_file(online.name), empty=True)

    def _attend(self) -> None:
        """Until the generators have ended by themselves."""
        told = [(change, online.name) for online in self._scenario.online for change in online.changes]
        due = sorted(told, key=lambda pair: pair[0].at_seconds)
        names = [_generator(online.name) for online in self._scenario.online]
        generators = {name: self._crew.release(name) for name in names}
        while any(process.poll() is None for process in generators.values()):
            self._crew.check()
            now = time.monotonic() - self._start_at
            while due and now >= due[0][0].at_seconds:
                self._tell(*due.pop(0))
            if now > self._ends_at + _OVERDUE_SECONDS:
                raise ActFailed(f"load: did not end in time{self._crew.last_words(names[0])}")
            time.sleep(CHECK_SECONDS)
        for name, process in generators.items():
            if process.returncode != 0:
                raise ActFailed(f"{name}: ended with {process.returncode}{self._crew.last_words(name)}")

    def _tell(self, change: Change, name: str) -> None:
        url = self._served[name].control_url
        if url is None:
            raise ValueError(f"{name}: a server that is not ours takes no changes")
        asyncio.run(post(url, "/control", change.model_dump(exclude={"at_seconds"}, exclude_none=True)))

    def _settings(self) -> dict[str, Settings]:
        return {name: settings_of(self._ground.layout, group) for name, group in self._containers.items()}

    def _put_back(self, before: dict[str, Settings]) -> None:
        weight_file = "cpu.weight" if self._ground.layout.cpu.is_v2 else "cpu.shares"
        with closing(open_node()) as node:
            for name, found in self._settings().items():
                group, (cores, weight, idle) = self._containers[name], before[name]
                if found == before[name]:
                    continue
                # An idle group refuses a weight, so idle goes first.
                if found[2] != idle:
                    self._ground.cpu_file(group, "cpu.idle").write_text(f"{idle:g}")
                self._ground.cpu_file(group, weight_file).write_text(f"{weight:g}")
                limit = node.limit(group)
                node.set_limit(group, limit.with_cores(np.inf if cores is None else cores))

    def _requests_file(self, online: str) -> Path:
        return self._file(f"{online}.requests")

    def _work_file(self, peer: str) -> Path:
        return self._file(f"{peer}.work")


def _generator(online: str) -> str:
    return f"{online}-load"
