"""Reads a recording, line by line, and says where it is wrong."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.recording.lines import (
    FORMAT,
    HEADER_KEY,
    SampleReader,
    answer_of,
    container_of,
    number,
)
from models.container import Container, Sample


class RecordingError(Exception):
    """A recording that can't be used. The text names the file, and line and field where there are any."""


@dataclass(frozen=True, slots=True)
class Header:
    """What was recorded: which node, how, since when. `config` is the agent's configuration then."""

    node: str
    backend: str
    cpus: int
    started_wall_seconds: float
    utc_offset_seconds: float
    config: dict[str, Any]


@dataclass(slots=True)
class Tick:
    """One tick's line, see `lines`. None where nothing changed."""

    at_seconds: float
    wall_seconds: float
    containers: tuple[Container, ...] | None = None
    answers: list[tuple[str, str, object]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    failed: str | None = None
    refused: list[tuple[str, str, object]] = field(default_factory=list)
    latency: dict[str, float] | None = None
    sources: dict[str, tuple[str, str]] | None = None
    abnormal: tuple[str, ...] = ()
    freeze: str = ""
    alerts: list[tuple[str, str, str]] = field(default_factory=list)
    config: dict[str, Any] | None = None
    learnt: dict[str, Any] | None = None
    restored: list[tuple[float, float, str]] = field(default_factory=list)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    lost: int = 0


class Recording:
    """A file that was recorded. Reading it again begins at its first tick."""

    def __init__(self, path: Path, partial: bool = False) -> None:
        """Reads the header. `partial`: a file that is cut off ends where it is cut off. Raises
        RecordingError."""
        self.path, self._partial = path, partial
        for _, fields in self._lines():
            self.header = self._header(fields)
            return
        raise RecordingError(f"{path}: is empty")

    def ticks(self) -> Iterator[Tick]:
        """Every tick in order. Raises RecordingError."""
        samples = SampleReader()
        before = float("-inf")
        for line, fields in self._lines():
            if line == 1:
                continue
            tick = self._tick(line, fields, samples)
            if tick.at_seconds <= before:
                raise RecordingError(f"{self.path}:{line}: at: is not after the tick before")
            before = tick.at_seconds
            yield tick

    def _lines(self) -> Iterator[tuple[int, dict[str, Any]]]:
        line = 0
        try:
            with gzip.open(self.path, "rt", encoding="utf-8") as file:
                for line, text in enumerate(file, 1):
                    yield line, self._fields(line, text)
        except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
            if not line and not isinstance(error, EOFError):
                raise RecordingError(f"{self.path}: is no recording: {error}") from error
            if not self._partial:
                raise RecordingError(
                    f"{self.path}: is cut off or damaged after line {line}; "
                    "with --partial what is before that is used"
                ) from error
        except OSError as error:
            raise RecordingError(f"{self.path}: can't be read: {error.strerror or error}") from error

    def _fields(self, line: int, text: str) -> dict[str, Any]:
        try:
            fields = json.loads(text)
        except ValueError as error:
            raise RecordingError(f"{self.path}:{line}: is not JSON: {error}") from None
        if not isinstance(fields, dict):
            raise RecordingError(f"{self.path}:{line}: is no object")
        return fields

    def _header(self, fields: dict[str, Any]) -> Header:
        version = fields.get(HEADER_KEY)
        if not isinstance(version, int):
            raise RecordingError(f"{self.path}:1: {HEADER_KEY}: is not there: this is no recording")
        if version > FORMAT:
            raise RecordingError(
                f"{self.path}:1: {HEADER_KEY}: is format {version}, this quotapilot reads up to {FORMAT}; "
                "use the version that recorded it, or a later one"
            )
        key = ""
        try:
            values = []
            for key, make in _HEADER:
                values.append(make(fields[key]))
            return Header(*values)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RecordingError(f"{self.path}:1: {_where(key, error)}") from None

    def _tick(self, line: int, fields: dict[str, Any], samples: SampleReader) -> Tick:
        key = "at"
        try:
            tick = Tick(_finite(fields["at"]), 0.0)
            key = "wall"
            tick.wall_seconds = _finite(fields["wall"])
            key = "samples"
            tick.samples = [samples.sample(found) for found in fields.get(key, ())]
            for key, read in _TICK.items():
                if key in fields:
                    setattr(tick, key, read(fields[key]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RecordingError(f"{self.path}:{line}: {_where(key, error)}") from None
        return tick


def _finite(value: Any) -> float:
    found = number(value)
    if not abs(found) < float("inf"):
        raise ValueError(f"{value!r} is no time")
    return found


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no object")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


_HEADER: tuple[tuple[str, Any], ...] = (
    ("node", _text),
    ("backend", _text),
    ("cpus", int),
    ("started_wall_seconds", _finite),
    ("utc_offset_seconds", _finite),
    ("config", _mapping),
)

_TICK: dict[str, Any] = {
    "containers": lambda found: tuple(container_of(fields) for fields in found),
    "answers": lambda found: [
        (question, group, answer_of(question, group, fields))
        for question, groups in found.items()
        for group, fields in groups.items()
    ],
    "failed": _text,
    "refused": lambda found: [(q, group, answer_of(q, group, fields)) for q, group, fields in found],
    "latency": lambda found: {name: number(seconds) for name, seconds in found.items()},
    "sources": lambda found: {name: (_text(state), _text(why)) for name, (state, why) in found.items()},
    "abnormal": lambda found: tuple(map(_text, found)),
    "freeze": _text,
    "alerts": lambda found: [(kind, container, message) for kind, container, message in found],
    "config": _mapping,
    "learnt": _mapping,
    "restored": lambda found: [(_finite(at), _finite(wall), _text(why)) for at, wall, why in found],
    "told": lambda found: [(_text(kind), _mapping(data)) for kind, data in found],
    "lost": int,
}


def _where(key: str, error: Exception) -> str:
    if isinstance(error, KeyError):
        missing = error.args[0]
        return f"{missing}: is not given" if missing == key else f"{key}.{missing}: is not given"
    with suppress(AttributeError):
        return f"{key}: {error}"
    return key
