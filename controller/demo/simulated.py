"""An act on the simulated node: the same arrivals, the real engine, no cgroups and no waiting."""

from __future__ import annotations

import math

import numpy as np

from backends.simulator import Hogs, OnlineService, SimulatedNode
from controller.config import Config, merge
from controller.demo.engine import FLOOR_CORES, OFFLINE, ONLINE
from controller.demo.load import Rate, draw_arrivals
from controller.demo.progress import Progress, Report
from controller.demo.result import ActResult, GroupColumns, Observations, Requests
from controller.demo.timeline import Timeline
from controller.simulation import Loop
from models.container import FloatArray, Slo

_THREADS = 8
_PROGRESS_SECONDS = 1.0


class SimulatedAct:
    """One act. `control`: "quotapilot", "no control" or "cpu.idle"."""

    def __init__(self, timeline: Timeline, control: str, *, slo: Slo, seed: int, cpus: int) -> None:
        phases = [Rate(phase.seconds, phase.rate_per_second) for phase in timeline.phases]
        self._arrivals = draw_arrivals(seed, phases)
        self._timeline, self._control, self._seed, self._slo = timeline, control, seed, slo
        self._node = SimulatedNode(cpus)
        self._hogs = Hogs(timeline.hogs)
        service = OnlineService(self._arrivals, timeline.cpu_ms / 1000, threads=_THREADS)
        self._node.add_container(ONLINE, "/online", service)
        self._node.add_container(OFFLINE, "/offline", self._hogs)
        if control == "cpu.idle":
            self._node.set_idle("/offline", True)
        policies = {
            ONLINE: {"tier": "online", "priority": 100, "slo": slo},
            OFFLINE: {"tier": "offline", "priority": 0, "floor_cores": FLOOR_CORES},
        }
        self.loop = Loop(self._node, policies, merge(Config(), {"rung0": {"actuator": "off"}}))
        if control != "quotapilot":
            dry = self.loop.config.model_copy(update={"dry_run": True})
            self.loop.engine.reconfigure(dry)
        self._rows: list[tuple[float, ...]] = []

    def run(self, progress: Report | None = None) -> ActResult:
        """Run it, as fast as the machine can."""
        self._observe(0.0)
        self.loop.run(self._timeline.total_seconds, lambda now: self._step(now, progress))
        revisions = self.loop.engine.restore_all(
            "the demo ends", self._timeline.total_seconds, self._timeline.total_seconds
        )
        restored = all(r.result == "restored" for r in revisions)
        return ActResult(
            controller=self._control,
            backend="simulated",
            cpus=self._node.cpus,
            timeline=self._timeline,
            seed=self._seed,
            requests=self._requests(),
            observations=self._observations(),
            states=self._states(),
            restored=restored and math.isinf(self._node.limit("/offline").cores),
        )

    def _step(self, now: float, progress: Report | None) -> None:
        self._observe(now)
        if progress is None or now % _PROGRESS_SECONDS:
            return
        seen = self.loop.engine.seen
        assert seen is not None
        online, offline = (seen.row(name) for name in (ONLINE, OFFLINE))
        recent = seen.recent("cpu_usage_cores")
        progress(
            Progress(
                controller=self._control,
                seconds=now,
                total_seconds=self._timeline.total_seconds,
                phase=self._timeline.phase_at(now).name,
                p95_seconds=float(seen.recent("latency_seconds")[online]),
                offline_limit_cores=self._node.limit("/offline").cores,
                offline_cores=float(recent[offline]),
                online_cores=float(recent[online]),
            )
        )

    def _observe(self, now: float) -> None:
        self._node.watch(self.loop.engine.discovery.containers())
        sample = self._node.collect(now)
        limits = (self._node.limit("/online").cores, self._node.limit("/offline").cores)
        throttled, wait = sample.throttled_seconds, sample.wait_seconds
        rows = {name: n for n, name in enumerate(sample.ids)}
        per_group = [
            value
            for name, limit in zip((ONLINE, OFFLINE), limits, strict=True)
            for value in (sample.usage_seconds[rows[name]], limit, throttled[rows[name]], wait[rows[name]])
        ]
        self._rows.append((now, self._hogs.work_units, sample.node.busy_seconds, *per_group))

    def _requests(self) -> Requests:
        finished = self.loop.latencies.finished[ONLINE]
        by_arrival = {round(finish - latency, 6): latency for finish, latency in finished}
        end = self._timeline.total_seconds
        latency = [by_arrival.get(round(float(at), 6), math.nan) for at in self._arrivals]
        answered = ~np.isnan(latency)
        return Requests(
            intended_seconds=self._arrivals,
            latency_seconds=np.where(answered, latency, end - self._arrivals),
            send_lag_seconds=np.zeros_like(self._arrivals),
            answered=answered,
        )

    def _observations(self) -> Observations:
        table = np.array(self._rows)
        idle = float(self._control == "cpu.idle")

        def group(first: int, idle: float) -> GroupColumns:
            usage, limit, throttled, wait = (table[:, first + n] for n in range(4))
            weight = np.full(len(table), 1024.0)
            marks = np.full(len(table), idle)
            marks[0] = 0.0  # it was set after the first observation, as in an act on the kernel
            return GroupColumns(usage, limit, throttled, wait, weight, marks)

        none: FloatArray = np.zeros(len(table))
        return Observations(
            at_seconds=table[:, 0],
            work_units=table[:, 1],
            busy_seconds=table[:, 2],
            stolen_seconds=none,
            groups={"online": group(3, 0.0), "offline": group(7, idle)},
        )

    def _states(self) -> tuple[tuple[float, str], ...]:
        if self._control != "quotapilot":
            return ()
        moves = list(reversed(self.loop.records("transition", ONLINE)))
        wall = self.loop.wall_start_seconds
        return ((-math.inf, "normal"), *((move.at_seconds - wall, move.data["to"]) for move in moves))
