"""Runs a configuration over a recording: what it would have decided, had it seen what was recorded.

Open loop: the recorded world does not react to the decisions. With the recorded agent's own configuration
they are its own, to the last number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from backends.recording.reader import Header, Recording, RecordingError
from backends.recording.recorded import RecordedHealth, RecordedLatencies, RecordedNode
from controller.build import policy_of
from controller.cases import Alert, learner_settings_of
from controller.config import Config, parse_values
from controller.engine import Engine
from controller.feed import Feed, Record
from models.container import Container
from models.learner import Learner

DECISIONS = ("transition", "revision")


@dataclass(slots=True)
class Replayed:
    """What came of a replay. `records` are transitions, revisions and alerts, in order, with the time since
    the recording's start. `exact`: with the recorded configuration; then `differs` counts the decisions that
    are not the recorded ones, and ought to be 0. `notes`: what to keep in mind."""

    header: Header
    engine: Engine
    exact: bool
    records: list[tuple[float, Record]] = field(default_factory=list)
    ticks: int = 0
    seconds: float = 0.0
    lost_ticks: int = 0
    differs: int = 0
    notes: list[str] = field(default_factory=list)


def replay(
    recording: Recording, config: Config | None = None, each_tick: Callable[[Engine], None] | None = None
) -> Replayed:
    """Run over the whole recording, as the recorded agent did, or with another configuration as a dry run.

    Raises RecordingError, and ConfigError where the recorded configuration can't be used any more.
    """
    recorded = parse_values(recording.header.config, f"{recording.path}:1: config")
    exact = config is None or config == recorded
    used = recorded if config is None or exact else config.model_copy(update={"dry_run": True})
    notes = _notes(recording.header, recorded, used, exact)
    used = used.model_copy(update={"tick": recorded.tick})
    node = RecordedNode(recording.header, lambda found: found if exact else with_policy(found, used))
    feed = Feed()
    engine = Engine(used, node, node, RecordedLatencies(node), RecordedHealth(node), feed)
    done = Replayed(recording.header, engine, exact, notes=notes)
    started = None
    made: list[tuple[str, dict[str, Any]]] = []

    def keep(record: Record) -> None:
        done.records.append((engine.now_seconds - (started or 0.0), record))
        made.append((record.kind, record.data))

    feed.on_record.append(keep)
    for tick in recording.ticks():
        started = tick.at_seconds if started is None else started
        done.lost_ticks += tick.lost
        node.show(tick)
        made.clear()
        if exact:
            if tick.config is not None:
                engine.reconfigure(parse_values(tick.config, f"{recording.path}: config"))
            if tick.learnt is not None:
                engine.center.learner = _learner(recording, tick.learnt, engine.config)
            for now, wall, reason in tick.restored:
                engine.restore_all(reason, now, wall)
        engine.operator_freeze = tick.freeze
        engine.extra_alerts = [Alert(*alert) for alert in tick.alerts]
        engine.tick(tick.at_seconds, tick.wall_seconds)
        done.ticks += 1
        done.seconds = tick.at_seconds - started
        if exact:
            told = [item for item in tick.told if item[0] in DECISIONS]
            done.differs += told != [item for item in made if item[0] in DECISIONS]
        if each_tick is not None:
            each_tick(engine)
    return done


def with_policy(container: Container, config: Config) -> Container:
    """The container with what a configuration says of it; as recorded where it says nothing."""
    for entry in config.discovery.static:
        if container.id == entry.name or container.id.startswith(f"{entry.name}-"):
            return policy_of(container, entry, config)
    for pattern in config.discovery.cgroupfs.tiers:
        if fnmatchcase(container.cgroup, pattern.match):
            return policy_of(container, pattern, config)
    return container


def _learner(recording: Recording, state: dict[str, Any], config: Config) -> Learner:
    try:
        return Learner.from_dict(state, learner_settings_of(config), str(state.get("cpu_model")))
    except ValueError as error:
        raise RecordingError(f"{recording.path}: learnt: {error}") from error


def _notes(header: Header, recorded: Config, used: Config, exact: bool) -> list[str]:
    notes = []
    if used.tick != recorded.tick:
        notes.append(f"tick: is that of the recording, {recorded.tick:g} s")
    if not exact and not recorded.dry_run:
        notes.append("the recorded agent was active: what was recorded has the effects of its own cuts in it")
    offset = datetime.fromtimestamp(header.started_wall_seconds).astimezone().utcoffset()
    if used.priority_windows and offset is not None and offset.total_seconds() != header.utc_offset_seconds:
        notes.append("priority_windows are in local time, and the recorded node's was another than here")
    return notes
