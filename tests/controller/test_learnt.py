"""What the learner knows over restarts. Closing the archive writes what is queued, so no test waits."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from controller.archive import Archive
from controller.feed import Record
from controller.learnt import Keeper, recall
from models.learner import Learner, LearnerSettings

SETTINGS = LearnerSettings()


@contextmanager
def opened(directory: Path) -> Iterator[Archive]:
    archive = Archive(directory, 1e9, 1_000)
    yield archive
    archive.close()


def learnt(archive: Archive, cpu_model: str = "A") -> Learner:
    """A learner that has seen one good step, kept."""
    learner = recall(archive, SETTINGS, cpu_model)
    keeper = Keeper(archive, learner)
    learner.reward("web", 1.0, 2.0, -0.1)
    keeper.keep(0.0)
    return learner


def put_state(directory: Path, data: Any) -> None:
    with opened(directory) as archive:
        archive.keep("learner", {})
    with closing(sqlite3.connect(directory / "history.db")) as database, database:
        database.execute("UPDATE states SET data = ?", (data,))


def test_it_is_there_again_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as archive:
        before = learnt(archive)
    with opened(tmp_path) as archive:
        after = recall(archive, SETTINGS, "A")
    assert after.to_dict() == before.to_dict()
    assert after.table()[0]["factor"] == 2.0


def test_another_cpu_or_other_bounds_start_anew_and_say_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path) as archive:
        learnt(archive)
    with opened(tmp_path) as archive:
        assert recall(archive, SETTINGS, "B").table() == []
        assert recall(archive, LearnerSettings(factor_max=3.0), "A").table() == []
    assert "was learnt on another CPU (A); the learner starts anew" in caplog.messages[0]
    assert "within other bounds" in caplog.messages[1]


@pytest.mark.parametrize("data", ["", "{", "[]", "null", '{"version": 1}', "\x00", b"\xff", 7])
def test_a_state_that_is_damaged_starts_anew(
    tmp_path: Path, data: Any, caplog: pytest.LogCaptureFixture
) -> None:
    put_state(tmp_path, data)
    with opened(tmp_path) as archive:
        assert recall(archive, SETTINGS, "A").table() == []
        assert data == "null" or "anew" in caplog.text
        learnt(archive)
    with opened(tmp_path) as archive:
        assert len(recall(archive, SETTINGS, "A").table()) == 1


def test_a_file_that_is_damaged_starts_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    (tmp_path / "history.db").write_bytes(b"no database" * 1_000)
    with opened(tmp_path) as archive:
        assert recall(archive, SETTINGS, "A").table() == []
    assert "damaged" in caplog.text


def test_it_is_kept_on_change_and_not_more_often_than_the_interval(tmp_path: Path) -> None:
    with opened(tmp_path) as archive:
        learner = recall(archive, SETTINGS, "A")
        kept: list[Any] = []
        archive.keep = lambda name, state: kept.append(state)  # type: ignore[method-assign]
        keeper = Keeper(archive, learner)
        for second in range(100):
            keeper.keep(float(second), 30.0)
        assert kept == [], "nothing has changed"
        for second in range(100, 200):
            learner.reward("web", 1.0, 1.0, -0.5)
            keeper.keep(float(second), 30.0)
        assert len(kept) == 4
        learner.reset()
        keeper.keep(200.0)
        assert kept[-1]["workloads"] == {}


def test_the_state_and_the_history_share_the_file(tmp_path: Path) -> None:
    with opened(tmp_path) as archive:
        learnt(archive)
        archive.put(Record(1, "alert", 1.0, {"container": "web"}))
    with opened(tmp_path) as archive:
        assert [record.seq for record in archive.newest(10)] == [1]
        assert len(recall(archive, SETTINGS, "A").table()) == 1
