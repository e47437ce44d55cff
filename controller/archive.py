"""The history on disk: transitions, revisions and alerts of the last days, written behind the loop.

The loop only puts records into a bounded queue; a thread writes them. A full or broken disk loses history,
never a tick: what can't be written is counted, and the alert says what to do.
"""

from __future__ import annotations

import json
import queue
import sqlite3
import threading
import time
from pathlib import Path

from controller.feed import KEPT_KINDS, Record

_PRUNE_EVERY = 500


class Archive:
    """An SQLite file that keeps the newest `max_rows` records of the last `retention_seconds`."""

    def __init__(self, directory: Path, retention_seconds: float, max_rows: int) -> None:
        """Open or create it; a file that can't be used shows as `problem`, and nothing else fails."""
        self._path = directory / "history.db"
        self._retention_seconds, self._max_rows = retention_seconds, max_rows
        self._queue: queue.Queue[Record | None] = queue.Queue(maxsize=10_000)
        self._since_prune = 0
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
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self.lost += 1

    def newest(self, count: int) -> list[Record]:
        """Up to `count` of the newest records of each kind, oldest first; none when it can't be read."""
        try:
            with sqlite3.connect(self._path) as database:
                self._create(database)
                rows = [
                    row
                    for kind in KEPT_KINDS
                    for row in database.execute(
                        "SELECT seq, kind, at, data FROM records WHERE kind = ? ORDER BY seq DESC LIMIT ?",
                        (kind, count),
                    )
                ]
            return [Record(seq, kind, at, json.loads(data)) for seq, kind, at, data in sorted(rows)]
        except (sqlite3.Error, OSError, ValueError) as error:
            self._note(error)
            return []

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Write what is queued and stop."""
        try:
            self._queue.put(None, timeout=timeout_seconds)
        except queue.Full:
            return
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < 500 and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            records = [record for record in batch if record is not None]
            if records:
                self._write(records)
            if len(records) < len(batch):
                return

    def _write(self, records: list[Record]) -> None:
        rows = [
            (r.seq, r.kind, r.at_seconds, r.data.get("container", ""), json.dumps(r.data)) for r in records
        ]
        try:
            database = sqlite3.connect(self._path)
            try:
                with database:
                    self._create(database)
                    database.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)", rows)
                    self._since_prune += len(rows)
                    if self._since_prune >= _PRUNE_EVERY:
                        self._prune(database, rows[-1][0])
            finally:
                database.close()
            self.problem = ""
        except (sqlite3.Error, OSError) as error:
            self.lost += len(rows)
            self._note(error)

    def _create(self, database: sqlite3.Connection) -> None:
        database.execute(
            "CREATE TABLE IF NOT EXISTS records "
            "(seq INTEGER PRIMARY KEY, kind TEXT, at REAL, container TEXT, data TEXT)"
        )

    def _prune(self, database: sqlite3.Connection, last_seq: int) -> None:
        self._since_prune = 0
        oldest = time.time() - self._retention_seconds
        database.execute("DELETE FROM records WHERE seq <= ? OR at < ?", (last_seq - self._max_rows, oldest))

    def _note(self, error: Exception) -> None:
        self.problem = f"history is not kept: {self._path}: {error}; free space or fix journal.data_dir"
