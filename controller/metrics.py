"""The Prometheus exposition, computed when it is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from controller import __version__
from controller.engine import Engine
from controller.states import State
from controller.view import containers, mode
from models.rates import NODE

MODES = ("active", "dry-run", "frozen")


@dataclass
class Counters:
    """What is counted while the agent runs."""

    ticks: int = 0
    late_ticks: int = 0
    busy_seconds: float = 0.0
    writes: dict[tuple[str, str, str], int] = field(default_factory=dict)
    transitions: dict[tuple[str, str], int] = field(default_factory=dict)
    reloads: dict[str, int] = field(default_factory=dict)


class Exporter:
    """The families of one engine, for a registry of its own."""

    def __init__(self, engine: Engine, counters: Counters) -> None:
        self._engine, self._counters = engine, counters
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def text(self) -> bytes:
        """The text exposition."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead of time: families depend on what is found."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families."""
        yield from self._node()
        yield from self._containers()
        yield from self._loop()
        yield from self._shadow()

    def _node(self) -> Iterator[Metric]:
        engine = self._engine
        info = GaugeMetricFamily("quotapilot_build_info", "Version of the agent", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        now = mode(engine)
        family = GaugeMetricFamily("quotapilot_mode", "1 for the mode the agent is in", labels=["mode"])
        for name in MODES:
            family.add_metric([name], name == now)
        yield family
        yield GaugeMetricFamily(
            "quotapilot_node_healthy",
            "1 while the node itself is well",
            value=not (engine.seen and engine.seen.abnormal),
        )
        states = GaugeMetricFamily("quotapilot_managed_containers", "Containers by state", labels=["state"])
        cases = [case for name, case in engine.center.cases.items() if name != NODE]
        for state in State:
            states.add_metric([state.value], sum(case.state is state for case in cases))
        yield states
        active = GaugeMetricFamily("quotapilot_alerts_active", "Alerts that are on, by kind", labels=["kind"])
        kinds = [alert["kind"] for alert in engine.alerts.active()]
        for kind in sorted(set(kinds)):
            active.add_metric([kind], kinds.count(kind))
        yield active

    def _containers(self) -> Iterator[Metric]:
        limit = GaugeMetricFamily(
            "quotapilot_container_cpu_limit_cores",
            "CPU limit of a container; +Inf for none",
            labels=["container", "source"],
        )
        gauges = {
            key: GaugeMetricFamily(f"quotapilot_container_{name}", text, labels=["container"])
            for key, name, text in (
                ("cpu_usage_cores", "cpu_usage_cores", "CPU used"),
                ("cpu_demand_cores", "cpu_demand_cores", "CPU use uncapped by the container's own limit"),
                ("cpu_throttled_ratio", "cpu_throttled_ratio", "Throttled periods of all periods"),
                ("cpu_wait_ratio", "cpu_wait_ratio", "Part of the time in which a thread waited (PSI)"),
                ("latency_seconds", "latency_seconds", "Latency at the percentile of the SLO"),
            )
        }
        for shown in containers(self._engine):
            name = shown["id"]
            for source, key in (("effective", "cpu_limit_cores"), ("base", "cpu_base_cores")):
                limit.add_metric([name, source], math.inf if shown[key] is None else shown[key])
            for key, gauge in gauges.items():
                if shown[key] is not None:
                    gauge.add_metric([name], shown[key])
        yield limit
        yield from gauges.values()

    def _loop(self) -> Iterator[Metric]:
        counters = self._counters
        yield CounterMetricFamily("quotapilot_loop_ticks", "Rounds of the loop", value=counters.ticks)
        yield CounterMetricFamily(
            "quotapilot_loop_late_ticks", "Rounds that began over half a tick late", value=counters.late_ticks
        )
        yield CounterMetricFamily(
            "quotapilot_loop_busy_seconds", "Time spent in rounds", value=counters.busy_seconds
        )
        writes = CounterMetricFamily(
            "quotapilot_cgroup_writes",
            "Changes of limits and weights",
            labels=["rung", "direction", "result"],
        )
        for labels, count in counters.writes.items():
            writes.add_metric(labels, count)
        yield writes
        moves = CounterMetricFamily(
            "quotapilot_state_transitions", "Transitions between states", labels=["from", "to"]
        )
        for (source, dest), count in counters.transitions.items():
            moves.add_metric([source, dest], count)
        yield moves
        reloads = CounterMetricFamily(
            "quotapilot_config_reloads", "Reloads of the configuration", labels=["result"]
        )
        for result, count in counters.reloads.items():
            reloads.add_metric([result], count)
        yield reloads

    def _shadow(self) -> Iterator[Metric]:
        """What a dry run is worth; nothing when it never was one."""
        shadow = self._engine.shadow
        if shadow is None:
            return
        yield CounterMetricFamily("quotapilot_shadow_seconds", "Time in a dry run", value=shadow.seconds)
        violated = CounterMetricFamily(
            "quotapilot_shadow_violation_seconds", "Violation time in a dry run", labels=["container"]
        )
        saved = CounterMetricFamily(
            "quotapilot_shadow_saved_seconds", "Violation time expected to be spared", labels=["container"]
        )
        taken = GaugeMetricFamily(
            "quotapilot_shadow_taken_core_seconds", "CPU time expected to be given", labels=["container"]
        )
        for name, worth in shadow.worth.items():
            violated.add_metric([name], worth.violation_seconds)
            saved.add_metric([name], worth.saved_seconds)
            taken.add_metric([name], worth.taken_core_seconds)
        yield violated
        yield saved
        yield taken
