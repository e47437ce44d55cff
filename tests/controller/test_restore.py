"""What a new process gives back of an earlier one."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from controller.config import merge
from controller.journal import Journal, JournalError
from controller.restore import restore_journal
from models.container import CpuLimit
from tests.controller.rig import Kind, Rig, cut, results

TWO = CpuLimit(200_000)


@pytest.fixture(params=["v1", "v2"])
def dead(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    """Killed while it held two groups."""
    rig = Rig(tmp_path, request.param)
    for name in ("/a", "/b"):
        rig.add(name, TWO)
    rig.tick(cut("/a", 0.5), cut("/b", 0.5))
    rig.die()
    return rig


def test_everything_is_given_back(dead: Rig) -> None:
    assert dead.start(restore=True) == (["/a", "/b"], [])
    assert (dead.limit("/a"), dead.limit("/b")) == (TWO, TWO)
    assert dead.holds() == {}


def test_a_new_executor_gives_back_by_itself_what_it_finds(dead: Rig) -> None:
    dead.start()
    assert sorted(results(dead.tick())) == [("/a", "restored"), ("/b", "restored")]
    assert dead.holds() == {}


def test_a_new_executor_knows_the_base_of_what_it_goes_on_to_hold(dead: Rig) -> None:
    dead.start()
    dead.tick(cut("/a", 0.3))
    assert dead.executor.held_base_cores("/a") == 2.0
    dead.tick()
    assert dead.limit("/a") == TWO


def test_what_an_earlier_agent_took_counts(dead: Rig) -> None:
    dead.settings = merge(dead.settings, {"executor": {"max_taken_ratio": 0.75}})  # of four CPUs
    dead.start()
    dead.add("/c", TWO)
    dead.tick(cut("/a", 0.5), cut("/b", 0.5), cut("/c", 0.5))
    assert dead.limit("/c") == TWO


def test_what_was_never_ours_is_left_alone(dead: Rig) -> None:
    dead.write_from_outside("/a", CpuLimit(70_000))
    assert dead.start(restore=True) == (["/b"], [])
    assert dead.limit("/a").cores == 0.7
    assert dead.holds() == {}


def test_another_group_under_the_same_path_is_left_alone(dead: Rig) -> None:
    dead.tree.replace("/a")
    dead.tree.put("/a", dead.limit_file(), "50000" if dead.kind == "v1" else "50000 100000")
    dead.tree.remove("/b")
    assert dead.start(restore=True) == ([], [])
    assert dead.limit("/a").cores == 0.5
    assert dead.holds() == {}


def test_nothing_of_another_boot_is_touched(dead: Rig) -> None:
    journal = Journal(dead.base / "run", "next boot")
    assert restore_journal(dead.node, journal) == ([], [])
    assert dead.limit("/a").cores == 0.5
    journal.close()


@pytest.mark.parametrize("operation", ["open", "read", "write"])
def test_one_that_fails_stops_no_other_and_is_tried_again(dead: Rig, operation) -> None:
    dead.tree.fail("/a", dead.limit_file(), errno.EIO, operation)
    restored, failed = dead.start(restore=True)
    assert restored == ["/b"]
    assert [text.partition(":")[0] for text in failed] == ["/a"]
    assert set(dead.holds()) == {"/a"}
    dead.tree.heal()
    dead.tick()
    assert dead.limit("/a") == TWO
    assert dead.holds() == {}


def test_a_base_that_failed_to_come_back_is_not_forgotten_by_the_next_cut(dead: Rig) -> None:
    dead.tree.fail("/a", dead.limit_file(), errno.EIO, "write")
    dead.start(restore=True)
    dead.tree.heal()
    dead.tick(cut("/a", 0.4))
    dead.die()
    dead.start(restore=True)
    assert dead.limit("/a") == TWO


def test_a_journal_that_can_not_be_told_stops_nothing(dead: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Journal, groups: object) -> None:
        raise JournalError("full")

    monkeypatch.setattr(Journal, "forget", full)
    assert dead.start(restore=True) == (["/a", "/b"], [])
    assert (dead.limit("/a"), dead.limit("/b")) == (TWO, TWO)
    monkeypatch.undo()
    dead.tick()
    assert dead.holds() == {}


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_a_journal_that_can_not_be_read_is_an_error(tmp_path: Path, kind: Kind) -> None:
    rig = Rig(tmp_path, kind)
    rig.journal.broken = True
    with pytest.raises(JournalError):
        restore_journal(rig.node, rig.journal)
