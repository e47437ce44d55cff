"""The service: builds the parts from a configuration, runs the loop, gives everything back at the end."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from backends.base import Discovery, Node
from backends.cgroup import CgroupNode
from backends.cgroup.host import cpu_model
from backends.health import NodeHealth
from backends.latency.push import PushedLatency
from backends.latency.scraper import Scraper
from backends.latency.sources import Latency
from controller import view
from controller.api.facade import Refused, UnknownContainer
from controller.api.server import serve
from controller.archive import Archive
from controller.build import discovery_of, health_of, node_name
from controller.cases import Alert, learner_settings_of
from controller.claims import QUOTA
from controller.config import FIXED_SECTIONS, Config, ConfigError, dump, load, merge
from controller.engine import Engine, Health, Latencies
from controller.feed import Feed, Record
from controller.journal import Journal
from controller.learnt import Keeper, recall
from controller.metrics import Counters, Exporter
from controller.recording import AgentRecording

LIVENESS_SECONDS = 10.0
NOT_FOUND_AFTER_SECONDS = 5.0
START_SECONDS = 30.0  # within which the first tick must be done
RELOAD_LOOK_SECONDS = 1.0

log = logging.getLogger(__name__)


class Agent:
    """One agent on one node. Implements `controller.api.facade.Agent`."""

    def __init__(
        self,
        config: Config,
        node: CgroupNode,
        journal: Journal | None,
        path: Path,
        *,
        dry_run: bool = False,
        seconds: float | None = None,
        recording: AgentRecording | None = None,
    ) -> None:
        """`journal` as `start.take_over` gave it, none for a dry run. `path`: the file the configuration came
        from, watched for changes. `dry_run`: whatever that file will say. `seconds`: how long it runs, None
        for until it is told to stop. Raises ConfigError.
        """
        self._path, self._stamp, self._forced_dry_run = path, _stamp(path), dry_run
        self._node, self._journal = node, journal
        self._archive = Archive(
            Path(config.journal.data_dir), config.journal.retention, config.journal.max_rows
        )
        self.feed = Feed()
        self.feed.preload(self._archive.newest(self.feed.size))
        self.feed.on_record += [self._archive.put, self._count]
        self._pushed = PushedLatency()
        self._latency = Latency(self._pushed, Scraper())
        self._discovery = discovery_of(config, self._node)
        self._seconds, self._recording = seconds, recording
        parts: tuple[Node, Discovery, Latencies, Health]
        parts = self._node, self._discovery, self._latency, NodeHealth(health_of(config))
        if recording is not None:
            parts = recording.tapped(*parts)
            self.feed.on_record.append(recording.tell)
        self._engine = Engine(config, *parts, self.feed, self._journal)
        learner = recall(self._archive, learner_settings_of(config), cpu_model())
        self._engine.center.learner = learner
        if recording is not None:
            recording.learnt(learner)
        self._keeper = Keeper(self._archive, learner)
        self._counters = Counters()
        self._exporter = Exporter(self._engine, self._counters)
        self._lag_seconds = math.inf
        self._started_at_seconds = time.monotonic()
        self._ticked_at_seconds = -math.inf
        self._stop = asyncio.Event()
        self._reload = False
        self._bad_config = ""
        self._told_not_found = False

    async def run(self) -> None:
        """Serve and tick until a signal; then give everything back. Raises ApiError at the start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._ask_reload)
        if self._seconds is not None:
            loop.call_later(self._seconds, self._stop.set)
        async with AsyncExitStack() as stack:
            stack.callback(self._close)
            stack.push_async_callback(self._latency.close)
            if self._engine.config.api.enabled:
                address = await stack.enter_async_context(serve(self, self._engine.config.api))
                log.info("the API answers at %s", address.url)
            log.info("%s on %s, %s", self._node.name, node_name(self._engine.config), view.mode(self._engine))
            try:
                await self._tick_until_stopped()
            finally:
                self._give_back()  # before anything else is closed, which may take its time

    async def _tick_until_stopped(self) -> None:
        due = time.monotonic()
        looked = due
        while not self._stop.is_set():
            await self._wait_until(due)
            if self._stop.is_set():
                return
            now = began = time.monotonic()
            tick = self._engine.config.tick
            self._lag_seconds = max(0.0, now - due)
            if self._lag_seconds < tick / 2:
                now = due  # or a wait of four ticks would take five as often as not
            self._counters.ticks += 1
            self._counters.late_ticks += self._lag_seconds > tick / 2
            if self._reload or now - looked >= RELOAD_LOOK_SECONDS:
                looked = now
                self._reload_if_changed()
            self._tell_not_found(now)
            self._engine.extra_alerts = self._own_alerts()
            self._engine.tick(now, time.time())
            if self._recording is not None:
                self._recording.end_tick(self._engine)
            self._keeper.keep(now, self._engine.config.learner.save_interval)
            self._ticked_at_seconds = now
            self._counters.busy_seconds += time.monotonic() - began
            self.feed.append("tick", self._engine.wall_seconds, {"lag_seconds": round(self._lag_seconds, 4)})
            due = due + tick if due + tick > now else now + tick  # a late tick is not made up for by two

    async def _wait_until(self, due: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), max(0.0, due - time.monotonic()))

    def _close(self) -> None:
        """Give back and put away; what fails is said, and never keeps the rest from happening."""
        self._give_back()
        self._keeper.keep(time.monotonic())
        self._archive.close()
        if self._recording is not None:
            self._recording.close()
        if self._journal is not None:
            self._journal.close()
        self._node.close()
        held = self._engine.executor.held()
        log.info("stopped; %s", f"still held: {', '.join(held)}" if held else "nothing is held")

    def _give_back(self) -> None:
        if self._journal is None or self._engine.config.freeze.on_exit != "restore":
            return
        for revision in self._engine.restore_all("the agent stops", time.monotonic(), time.time()):
            if revision.result == "refused":
                log.error("%s is not given back: %s", revision.group, revision.detail)

    def _ask_reload(self) -> None:
        self._reload = True

    def _reload_if_changed(self) -> None:
        asked, self._reload = self._reload, False
        stamp = _stamp(self._path)
        if stamp == self._stamp and not asked:
            return
        self._stamp = stamp
        try:
            self._take_over(self._with_dry_run(load(self._path)))
        except ConfigError as error:
            self._counters.reloads["refused"] = self._counters.reloads.get("refused", 0) + 1
            self._bad_config = str(error)
            log.error("the changed configuration is refused, the old one stays in force: %s", error)
        else:
            self._counters.reloads["ok"] = self._counters.reloads.get("ok", 0) + 1
            self._bad_config = ""
            log.info("configuration taken over from %s", self._path)

    def _take_over(self, config: Config) -> None:
        before = self._engine.config
        for section in FIXED_SECTIONS:
            if getattr(config, section) != getattr(before, section):
                raise ConfigError(f"{section}: can't be changed while running; restart the agent")
        if not config.dry_run and self._journal is None:
            raise ConfigError("dry_run: was set at the start; restart the agent to let it write")
        discovery = self._discovery
        if config.discovery != before.discovery or config.tiers != before.tiers:
            discovery = discovery_of(config, self._node)
        self._engine.reconfigure(config)
        if discovery is not self._discovery:
            tapped = self._recording.discovery(discovery) if self._recording else discovery
            self._discovery, self._engine.discovery = discovery, tapped

    def _with_dry_run(self, config: Config) -> Config:
        return config.model_copy(update={"dry_run": True}) if self._forced_dry_run else config

    def _tell_not_found(self, now: float) -> None:
        """Once, some seconds after the start: a path that is mistyped finds nothing, and is no error."""
        if self._told_not_found or now - self._started_at_seconds < NOT_FOUND_AFTER_SECONDS:
            return
        self._told_not_found = True
        for name in view.not_found(self._engine):
            log.warning("no group is there for container %s; is the path right?", name)
        if not self._engine.containers:
            log.warning("no container is found at all: see discovery in the configuration")

    def _own_alerts(self) -> list[Alert]:
        alerts = [
            Alert("source-down", "", f"discovery {name} failed, its last list stands: {problem}")
            for name, problem in self._discovery.problems.items()
        ]
        if self._archive.problem:
            alerts.append(Alert("journal", "history", self._archive.problem))
        return alerts + (self._recording.alerts() if self._recording else [])

    def _count(self, record: Record) -> None:
        counters, data = self._counters, record.data
        if record.kind == "transition":
            move = (data["from"], data["to"])
            counters.transitions[move] = counters.transitions.get(move, 0) + 1
        elif record.kind == "revision":
            old, new = (_ordered(data, which) for which in ("old", "new"))
            direction = "restore" if data["result"] == "restored" else "raise" if new > old else "lower"
            write = (data["rung"], direction, data["result"])
            counters.writes[write] = counters.writes.get(write, 0) + 1

    # What the API asks for (controller.api.facade.Agent).

    def node(self) -> dict[str, Any]:
        """See the facade."""
        shown = view.node(self._engine) | {"name": node_name(self._engine.config)}
        return shown | {
            "loop_lag_seconds": self._plain_lag(),
            "config_problem": self._bad_config or None,
        }

    def containers(self) -> list[dict[str, Any]]:
        """See the facade."""
        return view.containers(self._engine)

    def container(self, container_id: str) -> dict[str, Any]:
        """See the facade."""
        return view.container(self._engine, container_id)

    def profile(self, container_id: str) -> dict[str, Any]:
        """See the facade."""
        return view.container_profile(self._engine, container_id)

    def active_alerts(self) -> list[dict[str, Any]]:
        """See the facade."""
        return self._engine.alerts.active()

    def loop_lag_seconds(self) -> float:
        """See the facade."""
        overdue = time.monotonic() - self._ticked_at_seconds - self._engine.config.tick
        return max(self._lag_seconds, overdue)

    def ready(self) -> bool:
        """See the facade."""
        return self._engine.seen is not None

    def live(self) -> bool:
        """See the facade."""
        if self._counters.ticks == 0:
            return time.monotonic() - self._started_at_seconds < START_SECONDS
        return self.loop_lag_seconds() < LIVENESS_SECONDS

    def metrics(self) -> bytes:
        """See the facade."""
        return self._exporter.text()

    def config(self) -> dict[str, Any]:
        """See the facade."""
        return dump(self._engine.config)

    def patch_config(self, changes: dict[str, Any]) -> dict[str, Any]:
        """See the facade."""
        self._take_over(merge(self._engine.config, changes))
        log.info("configuration changed over the API: %s", ", ".join(changes))
        return self.config()

    def freeze(self, reason: str) -> None:
        """See the facade."""
        self._engine.operator_freeze = reason or "frozen by an operator"

    def thaw(self) -> None:
        """See the facade."""
        self._engine.operator_freeze = ""

    def restore(self) -> dict[str, Any]:
        """See the facade."""
        if self._journal is None:
            raise Refused("this is a dry run: nothing was written, so there is nothing to give back")
        now, wall, reason = time.monotonic(), time.time(), "an operator's restore"
        if self._recording is not None:
            self._recording.restored(now, wall, reason)
        revisions = self._engine.restore_all(reason, now, wall)
        return {
            "restored": list(dict.fromkeys(r.container for r in revisions if r.result == "restored")),
            "failed": [f"{r.container}: {r.detail}" for r in revisions if r.result == "refused"],
        }

    def learner(self) -> dict[str, Any]:
        """See the facade."""
        return view.learner(self._engine)

    def reset_learner(self) -> dict[str, Any]:
        """See the facade."""
        forgotten = self._engine.center.reset_learner()
        self._keeper.keep(time.monotonic())
        if self._recording is not None:
            self._recording.learnt(self._engine.center.learner)
        log.info("the learner forgets everything, over the API: %s", ", ".join(forgotten) or "nothing known")
        return {"forgotten": forgotten}

    def push_latency(self, container_id: str, samples_seconds: list[float]) -> None:
        """See the facade."""
        if all(container.id != container_id for container in self._engine.containers):
            raise UnknownContainer(container_id)
        self._pushed.push(container_id, samples_seconds, time.monotonic())

    def _plain_lag(self) -> float | None:
        lag = self.loop_lag_seconds()
        return round(lag, 4) if math.isfinite(lag) else None


def _ordered(revision: Mapping[str, Any], which: str) -> float:
    """An old or new value of a revision, to compare: higher is more for the container."""
    if revision["rung"] != QUOTA:
        return float(revision[f"{which}_weight"])
    cores = revision[f"{which}_cores"]
    return math.inf if cores is None else float(cores)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes with a file, also when it is replaced by another; None when it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)
