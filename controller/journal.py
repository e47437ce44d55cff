"""The intent journal: what we are about to do to a limit or a weight, recorded before it is done.

Both die with the boot, so the journal belongs on tmpfs and is keyed by the boot id. Whatever happens to
the agent, the journal says which groups hold a value of ours and what to give back: a group's *base* stays
entered from before the first write until it is back. Only the group with the recorded inode is ever restored,
and only while it holds a value that we meant to write: a value of anybody else is theirs.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.container import CpuLimit, CpuWeight

SCHEMA_VERSION = 2  # 2: weights
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
    """A group that may hold a value of ours: its base, and every value of ours that it may still hold."""

    group: str
    inode: int
    container: str
    base: CpuLimit
    base_burst_us: int | None
    ours: frozenset[int | None]


@dataclass(frozen=True, slots=True)
class WeightHold:
    """A group whose weight or cpu.idle may be ours: what to go back to, and what we meant to write."""

    group: str
    inode: int
    container: str
    base: CpuWeight
    ours: CpuWeight


class Journal:
    """The journal of one agent. A second agent on the same directory is refused.

    It never waits for a lock: the loop, and limits that are to be given back, come first. For one thread at
    a time.
    """

    def __init__(self, directory: Path, boot_id: str | None = None) -> None:
        """Open or create it. Raises JournalError."""
        self._path = directory / "intents.db"
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(
                f"journal.run_dir {directory}: {error.strerror}; run as root, or name one of yours"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise JournalInUse(
                f"journal.run_dir {directory}: another quotapilot runs on this node; stop it first"
            ) from error
        try:
            self._database = self._open(boot_id or BOOT_ID.read_text().strip())
            self._inode = self._path.stat().st_ino
        except (sqlite3.Error, OSError) as error:
            os.close(self._lock)
            raise JournalError(
                f"{self._path}: {error}; if it is damaged, move it away (limits it held are then not known)"
            ) from error

    def intend(self, intents: Sequence[Intent]) -> list[int]:
        """Record writes before they are made, all or none; their numbers. Raises JournalError."""
        with self._transaction() as database:
            return [self._insert(database, intent) for intent in intents]

    def mark(self, results: Iterable[tuple[int, str]]) -> None:
        """Note how recorded writes ended; "applied" means that the group holds it. Raises JournalError."""
        with self._transaction() as database:
            for number, result in results:
                database.execute("UPDATE intents SET result = ? WHERE id = ?", (result, number))
                if result == "applied":
                    self._drop_what_is_past(database, number)

    def forget(self, groups: Iterable[tuple[str, int]]) -> None:
        """These groups are back at their base, gone, or somebody else's now. Raises JournalError."""
        with self._transaction() as database:
            for key in groups:
                database.execute("DELETE FROM holds WHERE grp = ? AND inode = ?", key)
                database.execute("DELETE FROM intents WHERE grp = ? AND inode = ?", key)

    def hold_weight(self, hold: WeightHold) -> None:
        """Record the write of a weight before it is made. Raises JournalError."""
        with self._transaction() as database:
            values = (hold.base.weight, hold.base.idle, hold.ours.weight, hold.ours.idle)
            database.execute(
                "INSERT OR REPLACE INTO weights VALUES (?, ?, ?, ?, ?, ?, ?)",
                (hold.group, hold.inode, hold.container, *values),
            )

    def forget_weights(self, groups: Iterable[tuple[str, int]]) -> None:
        """These groups have their weight back, are gone, or are somebody else's now. Raises JournalError."""
        with self._transaction() as database:
            database.executemany("DELETE FROM weights WHERE grp = ? AND inode = ?", groups)

    def weight_holds(self) -> list[WeightHold]:
        """Every group whose weight may be ours. Raises JournalError."""
        with self._transaction() as database:
            rows = database.execute("SELECT * FROM weights").fetchall()
            return [
                WeightHold(
                    group, inode, container, CpuWeight(base, bool(idle)), CpuWeight(ours, bool(our_idle))
                )
                for group, inode, container, base, idle, ours, our_idle in rows
            ]

    def check(self) -> None:
        """Write something. Raises JournalError when nothing can be recorded now."""
        with self._transaction() as database:
            database.execute("UPDATE boot SET id = id")

    def holds(self) -> list[Hold]:
        """Every group that may hold a value of ours. Raises JournalError."""
        with self._transaction() as database:
            rows = database.execute(
                "SELECT grp, inode, container, base_quota_us, period_us, base_burst_us FROM holds"
            ).fetchall()
            return [
                Hold(group, inode, container, CpuLimit(quota, period), burst, self._ours(group, inode))
                for group, inode, container, quota, period, burst in rows
            ]

    def close(self) -> None:
        """Close the database and let the next agent in."""
        self._database.close()
        os.close(self._lock)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._path.stat().st_ino != self._inode:
                raise OSError("was replaced while in use")
            with self._database:
                yield self._database
        except (sqlite3.Error, OSError, ValueError, OverflowError) as error:
            what = "it is gone; restart the agent" if isinstance(error, FileNotFoundError) else error
            raise JournalError(f"{self._path}: {what}") from error

    def _open(self, boot_id: str) -> sqlite3.Connection:
        # The loop may tick in another thread than the one that opened it.
        database = sqlite3.connect(self._path, timeout=0, check_same_thread=False)
        try:
            # Memory of the kernel outlives any death of ours, and the limits do not outlive the kernel's.
            database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise sqlite3.DatabaseError("written by a newer quotapilot; start that one to restore first")
            with database:
                self._create(database, boot_id)
        except BaseException:
            database.close()
            raise
        return database

    def _create(self, database: sqlite3.Connection, boot_id: str) -> None:
        database.execute("CREATE TABLE IF NOT EXISTS boot (id TEXT NOT NULL)")
        database.execute(
            "CREATE TABLE IF NOT EXISTS holds (grp TEXT, inode INTEGER, container TEXT, "
            "base_quota_us INTEGER, period_us INTEGER, base_burst_us INTEGER, PRIMARY KEY (grp, inode))"
        )
        database.execute(
            "CREATE TABLE IF NOT EXISTS intents (id INTEGER PRIMARY KEY AUTOINCREMENT, grp TEXT, "
            "inode INTEGER, victim TEXT, old_quota_us INTEGER, new_quota_us INTEGER, reason TEXT, at REAL, "
            "result TEXT)"
        )
        # New in version 2; a journal of version 1 gets it here and keeps its holds.
        database.execute(
            "CREATE TABLE IF NOT EXISTS weights (grp TEXT, inode INTEGER, container TEXT, "
            "base_weight INTEGER, base_idle INTEGER, our_weight INTEGER, our_idle INTEGER, "
            "PRIMARY KEY (grp, inode))"
        )
        database.execute("CREATE INDEX IF NOT EXISTS intents_of ON intents (grp, inode)")
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        if database.execute("SELECT id FROM boot").fetchone() != (boot_id,):
            for table in ("boot", "holds", "intents", "weights"):
                database.execute(f"DELETE FROM {table}")
            database.execute("INSERT INTO boot VALUES (?)", (boot_id,))

    def _insert(self, database: sqlite3.Connection, intent: Intent) -> int:
        key = (intent.group, intent.inode)
        database.execute(
            "INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?, ?, ?)",
            (*key, intent.container, intent.base.quota_us, intent.base.period_us, intent.base_burst_us),
        )
        # One row per value: a write that is refused again and again must not make the journal grow.
        database.execute(
            "DELETE FROM intents WHERE grp = ? AND inode = ? AND new_quota_us IS ?",
            (*key, intent.new.quota_us),
        )
        cursor = database.execute(
            "INSERT INTO intents (grp, inode, victim, old_quota_us, new_quota_us, reason, at, result) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, 'intended')",
            (*key, intent.victim, intent.old.quota_us, intent.new.quota_us, intent.reason, intent.at_seconds),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _drop_what_is_past(self, database: sqlite3.Connection, number: int) -> None:
        """What was meant before a value in force can't be in the quota any more; in the burst it can."""
        database.execute(
            "DELETE FROM intents WHERE id < :number"
            " AND (grp, inode) IN (SELECT grp, inode FROM intents WHERE id = :number)"
            " AND (new_quota_us IS NULL OR new_quota_us >= (SELECT COALESCE(base_burst_us, 0) FROM holds"
            " WHERE holds.grp = intents.grp AND holds.inode = intents.inode))",
            {"number": number},
        )

    def _ours(self, group: str, inode: int) -> frozenset[int | None]:
        with closing(
            self._database.execute(
                "SELECT new_quota_us FROM intents WHERE grp = ? AND inode = ?", (group, inode)
            )
        ) as rows:
            return frozenset(quota for (quota,) in rows)
