"""The history on disk. Closing it writes what is queued, so no test waits."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from controller.archive import Archive
from controller.feed import Record


def record(seq: int, kind: Any = "transition", at: float | None = None, **data: Any) -> Record:
    return Record(seq, kind, float(seq) if at is None else at, data or {"container": "web"})


def keep(
    directory: Path, *records: Record, retention: float = 1e9, rows: int = 1_000, queued: int = 10_000
) -> Archive:
    """Write these as one run does."""
    archive = Archive(directory, retention, rows, queued)
    for one in records:
        archive.put(one)
    archive.close()
    return archive


def kept(directory: Path, count: int = 1_000) -> list[int]:
    archive = Archive(directory, 1e9, 1_000)
    found = [one.seq for one in archive.newest(count)]
    archive.close()
    return found


def test_what_was_written_is_read_back_by_the_next_run(tmp_path: Path) -> None:
    given = [record(1), record(2, "revision", container="a", result="applied"), record(3, "alert")]
    assert keep(tmp_path / "new" / "directory", *given).problem == ""
    archive = Archive(tmp_path / "new" / "directory", 1e9, 1_000)
    assert archive.newest(10) == given
    archive.close()


def test_the_newest_of_each_kind(tmp_path: Path) -> None:
    keep(tmp_path, *(record(n, ("transition", "alert")[n % 2]) for n in range(1, 9)))
    assert kept(tmp_path, 2) == [5, 6, 7, 8]


def test_the_oldest_are_pruned_by_count_whatever_their_numbers(tmp_path: Path) -> None:
    keep(tmp_path, *(record(1_000 * n) for n in range(1, 51)), rows=10)
    assert kept(tmp_path) == [1_000 * n for n in range(41, 51)]


def test_the_oldest_are_pruned_by_age_against_the_newest(tmp_path: Path) -> None:
    keep(tmp_path, *(record(n, at=1e9 + 3_600 * n) for n in range(1, 51)), retention=36_000.0)
    assert kept(tmp_path) == list(range(40, 51))


def test_a_month_in_fast_time_stays_small(tmp_path: Path) -> None:
    for day in range(30):
        keep(tmp_path, *(record(2_000 * day + n, at=86_400.0 * day) for n in range(2_000)), rows=3_000)
    assert len(kept(tmp_path, 100_000)) <= 3_500
    assert (tmp_path / "history.db").stat().st_size < 2_000_000


@pytest.mark.parametrize("content", [b"no database" * 1_000, b"SQLite format 3\0" + b"\xff" * 8_000])
def test_a_damaged_file_is_put_aside_and_a_new_one_begins(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "history.db").write_bytes(content)
    archive = Archive(tmp_path, 1e9, 1_000)
    assert archive.newest(10) == []
    assert "history is not kept" in archive.problem
    archive.put(record(1))
    archive.close()
    assert (archive.problem, archive.lost) == ("", 0)
    assert kept(tmp_path) == [1]
    assert (tmp_path / "history.damaged").read_bytes() == content


def test_a_damaged_file_met_while_writing_costs_one_batch(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(b"no database" * 1_000)
    archive = keep(tmp_path, record(1))
    assert archive.lost == 1
    keep(tmp_path, record(2))
    assert kept(tmp_path) == [2]


def test_a_row_that_is_no_json_is_no_history(tmp_path: Path) -> None:
    keep(tmp_path, record(1))
    with sqlite3.connect(tmp_path / "history.db") as database:
        database.execute("UPDATE records SET data = '{'")
    database.close()
    assert kept(tmp_path) == []


def test_a_directory_that_can_not_be_written_loses_history_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    archive = keep(tmp_path / "file" / "below", record(1), record(2))
    assert archive.lost == 2
    assert "journal.data_dir" in archive.problem
    assert archive.newest(10) == []


def test_a_locked_or_full_file_is_not_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path, record(1))

    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    archive = Archive(tmp_path, 1e9, 1_000)
    monkeypatch.setattr(archive, "_prune", full)
    archive.put(record(2))
    archive.close()
    assert archive.lost == 1
    assert "full" in archive.problem
    assert kept(tmp_path) == [1]


def test_a_full_queue_loses_records_and_never_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go, busy = threading.Event(), threading.Event()
    real = Archive._write

    def slow(self: Archive, records: list[Record]) -> None:
        busy.set()
        assert go.wait(30)
        real(self, records)

    monkeypatch.setattr(Archive, "_write", slow)
    archive = Archive(tmp_path, 1e9, 1_000, 5)
    archive.put(record(1))
    assert busy.wait(30)
    for n in range(2, 10):
        archive.put(record(n))
    assert archive.lost == 3
    go.set()
    archive.close()
    assert kept(tmp_path) == [1, 2, 3, 4, 5, 6]


def test_data_that_is_no_json_is_kept_as_text(tmp_path: Path) -> None:
    keep(tmp_path, record(1, container="a", odd=Path("/x")))
    archive = Archive(tmp_path, 1e9, 1_000)
    (found,) = archive.newest(1)
    archive.close()
    assert found.data["odd"] == "/x"
