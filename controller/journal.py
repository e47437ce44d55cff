"""The intent journal: what we are about to do to a limit, recorded before it is done.

Limits die with the boot, so the journal belongs on tmpfs and is keyed by the boot id. Whatever happens to
the agent, the journal says which groups hold a value of ours and what to give back: a group's *base* stays
entered from before the first write until it is back. Only the group with the recorded inode is ever restored,
and only while it holds a value that we meant to write: a value of anybody else is theirs.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.container import CpuLimit

SCHEMA_VERSION = 1
KEPT_INTENTS_PER_GROUP = 50
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class JournalError(Exception):
    """The journal can't be used; the text says why and what to do."""


class JournalInUse(JournalError):
    """Another agent holds the journal: it is running."""


@dataclass(frozen=True, slots=True)
class Intent:
    """One write that is about to be made. `base` and `base_burst_us` are what to go back to in the end."""

    group: str
    inode: int
    container: str
    victim: str
    old: CpuLimit
    new: CpuLimit
    base: CpuLimit
    base_burst_us: int | None
    reason: str
    at_seconds: float


@dataclass(frozen=True, slots=True)
class Hold:
    """A group that may hold a value of ours: its base, and every value that we meant to write to it."""

    group: str
    inode: int
    container: str
    base: CpuLimit
    base_burst_us: int | None
    ours: frozenset[int | None]


class Journal:
    """The journal of one agent. A second agent on the same directory is refused."""

    def __init__(self, directory: Path, boot_id: str | None = None) -> None:
        """Open or create it. Raises JournalError."""
        self._path = directory / "intents.db"
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"journal.run_dir {directory}: {error.strerror}; name another") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise JournalInUse(
                f"journal.run_dir {directory}: another quotapilot runs on this node; stop it first"
            ) from error
        try:
            self._database = self._open(boot_id or BOOT_ID.read_text().strip())
        except (sqlite3.Error, OSError) as error:
            os.close(self._lock)
            raise JournalError(
                f"{self._path}: {error}; if it is damaged, move it away (limits it held are then not known)"
            ) from error

    def intend(self, intents: Sequence[Intent]) -> list[int]:
        """Record writes before they are made, all or none; their numbers. Raises JournalError."""
        try:
            with self._database as database:
                return [self._insert(database, intent) for intent in intents]
        except sqlite3.Error as error:
            raise JournalError(f"{self._path}: {error}") from error

    def mark(self, numbers: Sequence[int], result: str) -> None:
        """Note how recorded writes ended. Raises JournalError."""
        try:
            with self._database as database:
                database.executemany(
                    "UPDATE intents SET result = ? WHERE id = ?", [(result, number) for number in numbers]
                )
        except sqlite3.Error as error:
            raise JournalError(f"{self._path}: {error}") from error

    def forget(self, group: str, inode: int) -> None:
        """The group is back at its base, or gone, or somebody else's now. Raises JournalError."""
        try:
            with self._database as database:
                database.execute("DELETE FROM holds WHERE grp = ? AND inode = ?", (group, inode))
                database.execute("DELETE FROM intents WHERE grp = ? AND inode = ?", (group, inode))
        except sqlite3.Error as error:
            raise JournalError(f"{self._path}: {error}") from error

    def holds(self) -> list[Hold]:
        """Every group that may hold a value of ours. Raises JournalError."""
        try:
            rows = self._database.execute(
                "SELECT grp, inode, container, base_quota_us, period_us, base_burst_us FROM holds"
            ).fetchall()
            return [
                Hold(group, inode, container, CpuLimit(quota, period), burst, self._ours(group, inode))
                for group, inode, container, quota, period, burst in rows
            ]
        except sqlite3.Error as error:
            raise JournalError(f"{self._path}: {error}") from error

    def close(self) -> None:
        """Close the database and let the next agent in."""
        self._database.close()
        os.close(self._lock)

    def _open(self, boot_id: str) -> sqlite3.Connection:
        database = sqlite3.connect(self._path)
        # Memory of the kernel outlives any death of ours, and the limits do not outlive the kernel's.
        database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise sqlite3.DatabaseError("written by a newer quotapilot; start that one to restore first")
        with database:
            database.execute("CREATE TABLE IF NOT EXISTS boot (id TEXT NOT NULL)")
            database.execute(
                "CREATE TABLE IF NOT EXISTS holds (grp TEXT, inode INTEGER, container TEXT, "
                "base_quota_us INTEGER, period_us INTEGER, base_burst_us INTEGER, PRIMARY KEY (grp, inode))"
            )
            database.execute(
                "CREATE TABLE IF NOT EXISTS intents (id INTEGER PRIMARY KEY, grp TEXT, inode INTEGER, "
                "victim TEXT, old_quota_us INTEGER, new_quota_us INTEGER, reason TEXT, at REAL, result TEXT)"
            )
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            if database.execute("SELECT id FROM boot").fetchone() != (boot_id,):
                for table in ("boot", "holds", "intents"):
                    database.execute(f"DELETE FROM {table}")
                database.execute("INSERT INTO boot VALUES (?)", (boot_id,))
        return database

    def _insert(self, database: sqlite3.Connection, intent: Intent) -> int:
        key = (intent.group, intent.inode)
        database.execute(
            "INSERT INTO holds VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (grp, inode) DO UPDATE SET "
            "base_quota_us = excluded.base_quota_us, period_us = excluded.period_us",
            (*key, intent.container, intent.base.quota_us, intent.base.period_us, intent.base_burst_us),
        )
        cursor = database.execute(
            "INSERT INTO intents (grp, inode, victim, old_quota_us, new_quota_us, reason, at, result) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, 'intended')",
            (*key, intent.victim, intent.old.quota_us, intent.new.quota_us, intent.reason, intent.at_seconds),
        )
        database.execute(
            "DELETE FROM intents WHERE grp = ? AND inode = ? AND id <= ?",
            (*key, (cursor.lastrowid or 0) - KEPT_INTENTS_PER_GROUP),
        )
        return cursor.lastrowid or 0

    def _ours(self, group: str, inode: int) -> frozenset[int | None]:
        rows = self._database.execute(
            "SELECT new_quota_us FROM intents WHERE grp = ? AND inode = ?", (group, inode)
        )
        return frozenset(quota for (quota,) in rows)
