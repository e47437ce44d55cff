"""One tick of the loop: collect, aggregate, decide, execute, report.

The same engine runs on a real kernel, on the simulator and in tests: it is told what time it is and waits for
nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import numpy as np

from backends.base import Discovery, Node
from controller.alerts import AlertBook
from controller.cases import Alert, Decision
from controller.claims import QUOTA
from controller.command_center import CommandCenter
from controller.config import Config
from controller.divergence import Divergence
from controller.executor import Executor, Revision
from controller.feed import Feed
from controller.journal import Journal
from controller.priorities import priorities
from controller.rules import RuleBook
from controller.rungs import carrier
from controller.shadow import Shadow
from models.container import Container, FloatArray, Sample, Slo
from models.forecast import averaged, forecast
from models.history import History
from models.observation import Observation
from models.rates import NODE, Rates

log = logging.getLogger(__name__)


class Latencies(Protocol):
    """Where latencies come from; see `backends.latency`."""

    def watch(self, containers: Sequence[Container]) -> None:
        """These are the containers now."""

    def quantile_seconds(self, container_id: str, slo: Slo, now_seconds: float) -> float:
        """NaN when stale or with too few samples."""

    def source_states(self) -> Mapping[str, tuple[str, str]]:
        """Per container with a source: ("ok" or "open", why)."""


class Health(Protocol):
    """Is the node itself well? See `backends.health`."""

    def check(self, now_seconds: float, wall_seconds: float, collection_failed: bool) -> tuple[str, ...]:
        """The reasons why it is not."""


class Engine:
    """The whole loop of one node, tick by tick."""

    def __init__(
        self,
        config: Config,
        node: Node,
        discovery: Discovery,
        latencies: Latencies,
        health: Health,
        feed: Feed,
        journal: Journal | None = None,
    ) -> None:
        """Raises ConfigError for a rule that can't be loaded."""
        self.config, self.node, self.discovery = config, node, discovery
        self.latencies, self.health, self.feed = latencies, health, feed
        self.center = CommandCenter(config, RuleBook.of(config))
        self.executor = Executor(node, journal, config)
        self.alerts = AlertBook()
        self.operator_freeze = ""
        self.extra_alerts: list[Alert] = []
        self.shadow: Shadow | None = None
        self.containers: tuple[Container, ...] = ()
        self.seen: Observation | None = None
        self.sample: Sample | None = None
        self.now_seconds = self.wall_seconds = float("-inf")
        self._divergence = Divergence()
        self._rates = Rates()
        self._history = History(config.forecast.slow_window, config.tick)
        self._looked_at_seconds = float("-inf")
        self._cpus: dict[str, frozenset[int]] = {}
        self._failed = False

    @property
    def frozen_reason(self) -> str:
        """The operator's freeze as a reason of its own."""
        return f"operator: {self.operator_freeze}"

    def tick(self, now_seconds: float, wall_seconds: float) -> None:
        """One round. Never raises for what one container does; a failure of the whole is remembered and
        freezes the node through its health."""
        self.now_seconds, self.wall_seconds = now_seconds, wall_seconds
        abnormal = self.health.check(now_seconds, wall_seconds, self._failed)
        if self.operator_freeze:
            abnormal = (*abnormal, self.frozen_reason)
        try:
            self._discover(now_seconds)
            seen = self._see(now_seconds, abnormal)
            decision = self.center.decide(seen)
            revisions = self._execute(decision)
            self._rehearse(seen)
            self._report(seen, decision, revisions)
            self._failed = False
        except Exception:
            self._failed = True
            log.exception("tick failed")

    def reconfigure(self, config: Config) -> None:
        """Take over a new configuration while running. Raises ConfigError; then the old one stays."""
        rules = RuleBook.of(config, self.center.rules)
        if config.forecast.slow_window != self.config.forecast.slow_window:
            self._history = History(config.forecast.slow_window, config.tick)
        if config.dry_run != self.config.dry_run:
            # Their limits are given back now, or were never written.
            self.center.forget_claims(self.now_seconds)
        self.config = config
        self.center.reconfigure(config, rules)
        self.executor.settings = config

    def restore_all(self, reason: str, now_seconds: float, wall_seconds: float) -> list[Revision]:
        """Give every limit back at once, and forget every claim."""
        revisions = self.executor.restore_all(reason, now_seconds, wall_seconds)
        self.center.forget_claims(now_seconds)
        self._record_revisions(revisions)
        return revisions

    def _discover(self, now_seconds: float) -> None:
        if now_seconds - self._looked_at_seconds < self.config.discovery.interval:
            return
        self._looked_at_seconds = now_seconds
        found = tuple(self.discovery.containers())
        if found != self.containers:
            self._change_containers(found)
        self._cpus = {c.id: self.node.allowed_cpus(c.cgroup) for c in found}

    def _change_containers(self, found: tuple[Container, ...]) -> None:
        before = {container.id: container.identity for container in self.containers}
        self.containers = found
        self.node.watch(found)
        self.latencies.watch(found)
        self._history.keep((*(container.id for container in found), NODE))
        for container in found:
            if before.get(container.id, container.identity) != container.identity:
                self._history.forget(container.id)
                self._rates.forget(container.id)

    def _see(self, now_seconds: float, abnormal: tuple[str, ...]) -> Observation:
        config = self.config
        sample = self.node.collect(now_seconds)
        if sample.gone:
            self._change_containers(tuple(c for c in self.containers if c.id not in sample.gone))
            self._looked_at_seconds = float("-inf")
            sample = self.node.collect(now_seconds)
        columns = self._rates.update(sample)
        for n, container in enumerate(self.containers):
            if container.slo is not None:
                columns["latency_seconds"][n] = self.latencies.quantile_seconds(
                    container.id, container.slo, now_seconds
                )
        self._history.keep((*sample.ids, NODE))
        self._history.push(now_seconds, columns)
        revisions = self.executor.keep_up(self.containers, now_seconds)
        self._record_revisions(revisions)
        self.sample = sample
        self.seen = Observation(
            now_seconds=now_seconds,
            containers=self.containers,
            history=self._history,
            cpus=self.node.cpus,
            priority=priorities(
                self.containers, config.priority_windows, datetime.fromtimestamp(self.wall_seconds)
            ),
            limit_cores=sample.limit_cores,
            base_cores=self._base_cores(sample),
            forecast_cores=self._forecast(),
            allowed_cpus=tuple(self._cpus.get(c.id, frozenset()) for c in self.containers),
            abnormal=abnormal,
            hands_off=self.executor.hands_off,
            rung0_groups=self._rung0_groups(),
        )
        return self.seen

    def _forecast(self) -> FloatArray:
        """Each container's demand over the next seconds, from when it was well, if known for a second.

        Without the forecast it is that of the last second."""
        config = self.config
        # What a queue takes up within a second needs no room: demand is that of whole seconds.
        width = max(1, round(1 / config.tick))
        window = config.forecast.fast_window + (width - 1) * config.tick
        times = self._history.times(window)
        demand = self._history.window("cpu_demand_cores", window).copy()
        if not config.forecast.enabled:
            last: FloatArray = averaged(demand, width)[-1]
            return last
        for case in self.center.cases.values():
            ill = times <= case.ill_at_seconds
            row = self._history.row.get(case.id)
            if row is not None and ill.any() and np.count_nonzero(~ill) >= width:
                demand[ill, row] = np.nan
        settings = config.forecast
        return forecast(
            averaged(demand, width),
            averaged(times, width),
            settings.horizon,
            settings.percentile,
            settings.deviations,
        )

    def _rung0_groups(self) -> tuple[str, ...]:
        rung0, weightless = self.config.rung0, self.executor.weightless
        if rung0.actuator == "off":
            return ()
        groups = (carrier(c.cgroup, rung0.level) if c.reweight else "" for c in self.containers)
        return tuple("" if group in weightless else group for group in groups)

    def _base_cores(self, sample: Sample) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        base = sample.limit_cores.copy()
        for n, name in enumerate(sample.ids):
            if (held := self.executor.held_base_cores(name)) is not None:
                base[n] = held
        return base

    def _execute(self, decision: Decision) -> list[Revision]:
        if decision.clear_history:
            self._history.clear()
        if not decision.write:
            return []
        return self.executor.apply(
            decision.targets, self.containers, self.now_seconds, self.wall_seconds, decision.weights
        )

    def _rehearse(self, seen: Observation) -> None:
        if self.config.dry_run:
            self.shadow = self.shadow or Shadow()
            self.shadow.update(seen, self.center.cases, self.center.ledger, self.config)

    def _report(self, seen: Observation, decision: Decision, revisions: list[Revision]) -> None:
        for change in decision.transitions:
            log.info(
                "%s: %s -> %s (%s) %s",
                change.container,
                change.source,
                change.dest,
                change.trigger,
                change.reason,
            )
            self.feed.append(
                "transition",
                self.wall_seconds,
                {
                    "container": change.container,
                    "from": change.source.value,
                    "to": change.dest.value,
                    "trigger": change.trigger,
                    "reason": change.reason,
                    "inputs": change.inputs,
                },
            )
        self._record_revisions(revisions)
        alerts = [
            *decision.alerts,
            *self.executor.alerts,
            *self._divergence.update(seen, self.config.divergence),
            *self._source_alerts(),
            *self.extra_alerts,
        ]
        for alert in self.alerts.update(alerts, self.wall_seconds):
            log.warning(
                "alert %s %s: %s %s",
                alert["kind"],
                "raised" if alert["active"] else "cleared",
                alert["container"],
                alert["message"],
            )
            self.feed.append("alert", self.wall_seconds, alert)

    def _record_revisions(self, revisions: list[Revision]) -> None:
        for revision in revisions:
            log.info(
                "%s: %s, %s: %s%s",
                revision.container,
                _change(revision),
                revision.result,
                revision.reason,
                f"; {revision.detail}" if revision.detail else "",
            )
            self.feed.append(
                "revision",
                self.wall_seconds,
                {
                    "container": revision.container,
                    "group": revision.group,
                    "victim": revision.victim,
                    "old_cores": revision.old_cores,
                    "new_cores": revision.new_cores,
                    "base_cores": revision.base_cores,
                    "reason": revision.reason,
                    "result": revision.result,
                    "detail": revision.detail,
                    "rung": revision.rung,
                    "old_weight": revision.old_weight,
                    "new_weight": revision.new_weight,
                    "base_weight": revision.base_weight,
                },
            )

    def _source_alerts(self) -> list[Alert]:
        alerts = [
            Alert("source-down", name, f"its latency source is cut off: {reason}")
            for name, (state, reason) in self.latencies.source_states().items()
            if state != "ok"
        ]
        for rule in self.center.rules.cut_off:
            alerts.append(
                Alert("source-down", "", f"rule {rule} failed again and again and is cut off; see the log")
            )
        return alerts


def _change(revision: Revision) -> str:
    if revision.rung == QUOTA:
        return f"limit {_cores(revision.old_cores)} -> {_cores(revision.new_cores)} cores"
    return f"weight {_weight(revision.old_weight)} -> {_weight(revision.new_weight)}"


def _weight(weight: int | None) -> str:
    return "cpu.idle" if weight == 0 else str(weight)


def _cores(cores: float | None) -> str:
    return "none" if cores is None else f"{cores:g}"
