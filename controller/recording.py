"""Records what a running agent is shown: taps between its engine and the node, and the file behind them."""

from __future__ import annotations

import time
from itertools import chain, count
from pathlib import Path

from backends.base import Discovery, Node
from backends.recording.file import RecordingFile
from backends.recording.tap import Tap, TappedDiscovery, TappedHealth, TappedLatencies, TappedNode
from controller import __version__
from controller.cases import Alert
from controller.config import Config, dump
from controller.engine import Engine, Health, Latencies
from controller.feed import Record
from models.learner import Learner


def free_name(path: Path) -> Path:
    """The path, or where there is a file already, as of an agent before a restart, the next that is free."""
    stem, dot, suffixes = path.name.partition(".")
    names = (path.with_name(f"{stem}-{number}{dot}{suffixes}") for number in count(2))
    return next(name for name in chain([path], names) if not name.exists())


class AgentRecording:
    """One recording of one agent, from its start to its end."""

    def __init__(self, path: Path, config: Config, node: Node, node_name: str, max_bytes: int) -> None:
        """Raises OSError, and FileExistsError where the file is there already."""
        now = time.time()
        header = {
            "version": __version__,
            "node": node_name,
            "backend": node.name,
            "cpus": node.cpus,
            "started_wall_seconds": now,
            "utc_offset_seconds": time.localtime(now).tm_gmtoff,
            "config": dump(config),
        }
        self.file = RecordingFile(path, header, max_bytes)
        self._tap = Tap(self.file.put)
        self._config = config

    def tapped(
        self, node: Node, discovery: Discovery, latencies: Latencies, health: Health
    ) -> tuple[Node, Discovery, Latencies, Health]:
        """The parts of an engine, listened to."""
        tap = self._tap
        return (
            TappedNode(node, tap),
            self.discovery(discovery),
            TappedLatencies(latencies, tap),
            TappedHealth(health, tap),
        )

    def discovery(self, discovery: Discovery) -> Discovery:
        """Another discovery, listened to."""
        return TappedDiscovery(discovery, self._tap)

    def tell(self, record: Record) -> None:
        """A listener of the feed."""
        if record.kind != "tick":
            self._tap.tell(record.kind, record.data)

    def learnt(self, learner: Learner) -> None:
        """The learner was loaded, or reset."""
        self._tap.learnt(learner.to_dict())

    def restored(self, now_seconds: float, wall_seconds: float, reason: str) -> None:
        """Everything was given back by hand."""
        self._tap.restored(now_seconds, wall_seconds, reason)

    def end_tick(self, engine: Engine) -> None:
        """The engine has ended a tick."""
        if engine.config is not self._config:
            self._config = engine.config
            self._tap.configured(dump(engine.config))
        alerts = [(alert.kind, alert.container, alert.message) for alert in engine.extra_alerts]
        self._tap.end_tick(engine.now_seconds, engine.wall_seconds, engine.operator_freeze, alerts)

    def alerts(self) -> list[Alert]:
        """What a person should know of it."""
        return [Alert("journal", "recording", self.file.problem)] if self.file.problem else []

    def close(self) -> str:
        """Write what is left; what became of it, in one line."""
        self.file.close()
        file = self.file
        lost = f", {file.lost} ticks lost" if file.lost else ""
        return f"recorded {max(0, file.lines - 1)} ticks in {file.path}, {file.bytes} bytes{lost}"
