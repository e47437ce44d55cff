"""What happened, in order: transitions, revisions and alerts, for the API, the history and the log.

One sequence numbers all records, so that a reader of the event stream can resume after any of them.
Everything is bounded: old records fall out of the rings, and a reader that does not read is dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["transition", "revision", "alert", "tick"]
# Numbers of an earlier run that were lost with it: its ticks, and what its history never got.
LOST_NUMBERS = 1 << 32
KEPT_KINDS: tuple[Kind, ...] = ("transition", "revision", "alert")


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened. `data` is plain JSON; `at_seconds` is wall-clock time since the epoch."""

    seq: int
    kind: Kind
    at_seconds: float
    data: dict[str, Any]


@dataclass(eq=False)
class Reader:
    """A live reader. `lost` is set, and the queue filled no more, when it fell too far behind."""

    queue: asyncio.Queue[Record]
    lost: bool = False


@dataclass
class Feed:
    """The rings of the last `size` records of each kind, and the live readers."""

    size: int = 1000
    queue_size: int = 256
    last_seq: int = 0
    on_record: list[Callable[[Record], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rings: dict[str, deque[Record]] = {kind: deque(maxlen=self.size) for kind in KEPT_KINDS}
        self._readers: set[Reader] = set()

    def append(self, kind: Kind, at_seconds: float, data: dict[str, Any]) -> Record:
        """Number a record, keep it (a tick is only passed on), and hand it to readers and listeners."""
        self.last_seq += 1
        record = Record(self.last_seq, kind, at_seconds, data)
        if kind in self._rings:
            self._rings[kind].append(record)
            for listener in self.on_record:
                listener(record)
        for reader in self._readers:
            if not reader.lost:
                try:
                    reader.queue.put_nowait(record)
                except asyncio.QueueFull:
                    reader.lost = True
        return record

    def preload(self, records: list[Record]) -> None:
        """Fill the rings from the history of an earlier run, oldest first.

        Numbering goes on far above: a reader that comes back with the number of a tick, or of a record that
        was lost, must not be taken to have seen what is new.
        """
        for record in records:
            self._rings[record.kind].append(record)
        if records:
            self.last_seq = max(self.last_seq, *(record.seq for record in records)) + LOST_NUMBERS

    def newest(
        self, kind: Kind, *, container: str | None = None, after: int | None = None, limit: int = 100
    ) -> list[Record]:
        """Up to `limit` records of a kind, newest first, of one container and after a number if given."""
        found: list[Record] = []
        for record in reversed(self._rings[kind]):
            if len(found) == limit or (after is not None and record.seq <= after):
                break
            if container is None or record.data.get("container") == container:
                found.append(record)
        return found

    def since(self, seq: int) -> list[Record] | None:
        """All kept records after `seq`, oldest first; None when some of them may have fallen out."""
        kept = sorted((r for ring in self._rings.values() for r in ring), key=lambda record: record.seq)
        full = any(len(ring) == self.size and ring[0].seq > seq + 1 for ring in self._rings.values())
        return None if full or seq > self.last_seq else [record for record in kept if record.seq > seq]

    def subscribe(self) -> Reader:
        """A new live reader; call `unsubscribe` when it is done."""
        reader = Reader(asyncio.Queue(self.queue_size))
        self._readers.add(reader)
        return reader

    def unsubscribe(self, reader: Reader) -> None:
        """Forget a reader."""
        self._readers.discard(reader)
