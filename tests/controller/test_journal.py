"""The intent journal."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from controller.journal import Intent, Journal, JournalError, JournalInUse
from models.container import CpuLimit

BASE = CpuLimit(200_000, 50_000)


def intent(new_us: int | None, group: str = "/a", inode: int = 7, burst_us: int | None = 0) -> Intent:
    return Intent(group, inode, "batch", "web", BASE, CpuLimit(new_us, 50_000), BASE, burst_us, "why", 1.5)


@pytest.fixture
def journal(tmp_path: Path):
    opened = Journal(tmp_path, "boot")
    yield opened
    opened.close()


def rows(tmp_path: Path) -> int:
    with sqlite3.connect(tmp_path / "intents.db") as database:
        return int(database.execute("SELECT count(*) FROM intents").fetchone()[0])


def test_what_is_intended_is_held_until_it_is_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "boot")
    journal.intend([intent(50_000), intent(None, "/b", 8, None)])
    journal.close()
    journal = Journal(tmp_path, "boot")
    a, b = sorted(journal.holds(), key=lambda hold: hold.group)
    assert (a.group, a.inode, a.container, a.base, a.base_burst_us, a.ours) == (
        "/a",
        7,
        "batch",
        BASE,
        0,
        {50_000},
    )
    assert (b.base_burst_us, b.ours) == (None, {None})
    journal.forget([("/a", 7)])
    assert [hold.group for hold in journal.holds()] == ["/b"]
    journal.close()


def test_another_group_of_the_same_path_is_another_hold(journal: Journal) -> None:
    journal.intend([intent(50_000), intent(60_000, inode=8)])
    journal.forget([("/a", 7)])
    (hold,) = journal.holds()
    assert (hold.inode, hold.ours) == (8, {60_000})


def test_another_boot_knows_of_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "boot")
    journal.intend([intent(50_000)])
    journal.close()
    journal = Journal(tmp_path, "another boot")
    assert journal.holds() == []
    journal.close()


def test_what_may_still_be_in_the_file_stays_known(journal: Journal) -> None:
    (first,) = journal.intend([intent(50_000)])
    journal.mark([(first, "applied")])
    for other in range(200):  # others write a lot meanwhile
        journal.mark([(number, "applied") for number in journal.intend([intent(9_000 + other, "/b", 8)])])
    journal.intend([intent(40_000)])  # and here it dies
    (hold,) = [hold for hold in journal.holds() if hold.group == "/a"]
    assert hold.ours == {50_000, 40_000}


def test_what_was_refused_again_and_again_does_not_push_out_what_is_in_force(journal: Journal) -> None:
    (first,) = journal.intend([intent(50_000)])
    journal.mark([(first, "applied")])
    for n in range(200):
        journal.mark([(number, "refused") for number in journal.intend([intent(30_000 + n % 5)])])
    (hold,) = journal.holds()
    assert 50_000 in hold.ours
    assert len(hold.ours) == 6


def test_a_value_below_the_burst_stays_known_for_the_bursts_sake(journal: Journal) -> None:
    for quota_us in (30_000, 50_000, 90_000, 100_000):
        (number,) = journal.intend([intent(quota_us, burst_us=80_000)])
        journal.mark([(number, "applied")])
    (hold,) = journal.holds()
    assert hold.ours == {30_000, 50_000, 100_000}


def test_a_month_of_writes_does_not_make_it_grow(tmp_path: Path, journal: Journal) -> None:
    for n in range(5_000):
        (number,) = journal.intend([intent(20_000 + 7 * (n % 1_000))])
        journal.mark([(number, "applied")])
    assert rows(tmp_path) == 1
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 6_000_000


def test_all_or_none(journal: Journal) -> None:
    with pytest.raises(JournalError):
        journal.intend([intent(50_000), intent(50_000, inode=1 << 70)])
    assert journal.holds() == []
    journal.intend([intent(50_000)])


def test_a_name_that_is_no_text_is_an_error_of_the_journal(journal: Journal) -> None:
    with pytest.raises(JournalError):
        journal.intend([intent(50_000, "/\udcff")])


def test_a_full_disk(journal: Journal) -> None:
    journal.intend([intent(50_000)])
    pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
    journal._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JournalError, match="full"):
        for n in range(10_000):
            journal.intend([intent(60_000, f"/{n}", n)])
    assert "/a" in {hold.group for hold in journal.holds()}
    journal.forget([("/a", 7)])


def test_a_locked_file_is_not_waited_for(tmp_path: Path, journal: Journal) -> None:
    other = sqlite3.connect(tmp_path / "intents.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="locked"):
        journal.intend([intent(50_000)])
    with pytest.raises(JournalError, match="locked"):
        journal.check()
    other.execute("ROLLBACK")
    other.close()
    journal.check()


def test_a_file_that_was_taken_away_records_nothing(tmp_path: Path, journal: Journal) -> None:
    journal.intend([intent(50_000)])
    (tmp_path / "intents.db").unlink()
    with pytest.raises(JournalError, match="is gone"):
        journal.intend([intent(60_000)])
    sqlite3.connect(tmp_path / "intents.db").execute("CREATE TABLE other (id)").connection.close()
    with pytest.raises(JournalError, match="replaced"):
        journal.check()


def test_two_agents(tmp_path: Path, journal: Journal) -> None:
    with pytest.raises(JournalInUse, match="another quotapilot"):
        Journal(tmp_path, "boot")


def test_a_directory_that_can_not_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="run_dir"):
        Journal(tmp_path / "file" / "below", "boot")


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be seen as none" * 100, b"\0" * 5_000]
)
def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "intents.db").write_bytes(content)
    for _ in range(2):  # and the lock is free again each time
        with pytest.raises(JournalError, match="move it away"):
            Journal(tmp_path, "boot")


def test_a_file_of_a_newer_version(tmp_path: Path) -> None:
    Journal(tmp_path, "boot").close()
    with sqlite3.connect(tmp_path / "intents.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(JournalError, match="newer"):
        Journal(tmp_path, "boot")


def test_the_kernels_boot_id_by_default(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.intend([intent(50_000)])
    journal.close()
    journal = Journal(tmp_path)
    assert len(journal.holds()) == 1
    journal.close()
