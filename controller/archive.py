"""What outlives the agent, on disk: the history of the last days, and states by name. Written behind the
loop.

The loop only puts things into a bounded queue; a thread writes them. A full or broken disk loses history,
never a tick: what can't be written is counted, and the alert says what to do. A state (what the learner
knows) is one JSON value that takes the place of the last one.
"""

from __future__ import annotations

import json
import logging
import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.feed import KEPT_KINDS, Record

_QUEUED = 10_000
_BATCH = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _State:
    name: str
    data: str


class Archive:
    """An SQLite file that keeps the newest `max_rows` records of the last `retention_seconds`."""

    def __init__(
        self, directory: Path, retention_seconds: float, max_rows: int, queued: int = _QUEUED
    ) -> None:
        """Open or create it; a file that can't be used shows as `problem`, and nothing else fails."""
        self._path = directory / "history.db"
        self._retention_seconds, self._max_rows = retention_seconds, max_rows
        self._queue: queue.Queue[Record | _State | None] = queue.Queue(maxsize=queued)
        self._since_prune = _BATCH  # what a former run left is pruned with the first batch
        self.problem = ""
        self.lost = 0
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._note(error)
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def put(self, record: Record) -> None:
        """Queue a record; never waits."""
        self._put(record)

    def keep(self, name: str, state: Any) -> None:
        """Queue a state, plain JSON; never waits."""
        self._put(_State(name, json.dumps(state)))

    def kept(self, name: str) -> Any:
        """The state of that name; None when there is none, or it can't be read: then the log says why."""
        try:
            with self._opened() as database:
                row = database.execute("SELECT data FROM states WHERE name = ?", (name,)).fetchone()
            return None if row is None else json.loads(row[0])
        except (sqlite3.Error, OSError, ValueError, TypeError) as error:
            log.error("the state %r in %s can't be read: %s; it begins anew", name, self._path, error)
            return None

    def newest(self, count: int) -> list[Record]:
        """Up to `count` of the newest records of each kind, oldest first; none when it can't be read."""
        try:
            with self._opened() as database:
                rows = [
                    row
                    for kind in KEPT_KINDS
                    for row in database.execute(
                        "SELECT seq, kind, at, data FROM records WHERE kind = ? ORDER BY seq DESC LIMIT ?",
                        (kind, count),
                    )
                ]
            return [Record(seq, kind, at, json.loads(data)) for seq, kind, at, data in sorted(rows)]
        except (sqlite3.Error, OSError, ValueError, TypeError) as error:
            self._note(error)
            return []

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Write what is queued and stop."""
        try:
            self._queue.put(None, timeout=timeout_seconds)
        except queue.Full:
            return
        self._thread.join(timeout_seconds)

    def _put(self, item: Record | _State) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self.lost += 1

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < _BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            items = [item for item in batch if item is not None]
            if items:
                try:
                    self._write(items)
                    self.problem = ""
                except Exception as error:  # whatever it is, the next batch may fare better
                    self.lost += len(items)
                    self._note(error)
            if len(items) < len(batch):
                return

    def _write(self, items: list[Record | _State]) -> None:
        records = [item for item in items if isinstance(item, Record)]
        states = [(item.name, item.data) for item in items if isinstance(item, _State)]
        rows = [
            (r.seq, r.kind, r.at_seconds, r.data.get("container", ""), json.dumps(r.data, default=str))
            for r in records
        ]
        with self._opened() as database:
            database.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)", rows)
            database.executemany("INSERT OR REPLACE INTO states VALUES (?, ?)", states)
            self._since_prune += len(rows)
            if records and self._since_prune >= _BATCH:
                self._prune(database, records[-1].at_seconds - self._retention_seconds)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A transaction on the file, which is put aside and begun anew when it turns out to be damaged."""
        database = sqlite3.connect(self._path)
        try:
            with database:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS records "
                    "(seq INTEGER PRIMARY KEY, kind TEXT, at REAL, container TEXT, data TEXT)"
                )
                database.execute("CREATE TABLE IF NOT EXISTS states (name TEXT PRIMARY KEY, data TEXT)")
                yield database
        except sqlite3.DatabaseError as error:
            if type(error) is sqlite3.DatabaseError:  # a full or locked one is of a subclass
                self._put_aside()
            raise
        finally:
            database.close()

    def _put_aside(self) -> None:
        damaged = self._path.with_suffix(".damaged")
        self._path.replace(damaged)
        # A journal belongs to its file: on another one it would be "rolled back".
        Path(f"{self._path}-journal").unlink(missing_ok=True)
        log.error("the history %s is damaged; it is kept as %s, a new one begins", self._path, damaged)

    def _prune(self, database: sqlite3.Connection, oldest_seconds: float) -> None:
        self._since_prune = 0
        database.execute(
            "DELETE FROM records WHERE at < ? OR seq <= "
            "(SELECT seq FROM records ORDER BY seq DESC LIMIT 1 OFFSET ?)",
            (oldest_seconds, self._max_rows),
        )

    def _note(self, error: Exception) -> None:
        self.problem = f"history is not kept: {self._path}: {error}; free space or fix journal.data_dir"
