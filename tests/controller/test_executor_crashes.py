"""The agent dies before every single file operation and every use of the journal, one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from models.container import CpuLimit
from tests.controller.rig import Crash, Kind, Rig, cut, own

TWO = CpuLimit(200_000)
BASES = {"/pod": TWO, "/pod/a": CpuLimit(150_000), "/b": CpuLimit(None), "/own": CpuLimit(50_000)}
BURST_US = 80_000


def machine(base: Path, kind: Kind) -> Rig:
    rig = Rig(base, kind)
    for group, limit in BASES.items():
        rig.add(group, limit, burst_us=BURST_US if group == "/pod/a" else 0)
    return rig


def story(rig: Rig) -> None:
    """Cuts, raises, steps back and a foreign value, with several groups in most batches."""
    for round_ in (
        (cut("/pod/a", 0.5), cut("/b", 1.0)),
        (cut("/pod/a", 0.3), cut("/pod", 0.8), own("/own", 1.0)),
        (cut("/pod/a", 0.6), cut("/pod", 1.2), cut("/b", 0.5), own("/own", 1.5)),
        (cut("/pod", 1.2), own("/own", 0.7)),
        (cut("/b", 0.4),),
        (),
    ):
        rig.tick(*round_)
    rig.tick(cut("/pod/a", 0.5))
    rig.restore_all()


def check_every_value_is_known(rig: Rig) -> None:
    """What is not at its base is in the journal, with that base, as a value of ours."""
    holds = rig.holds()
    for group, base in BASES.items():
        found = rig.limit(group)
        if found != base:
            assert found.quota_us in holds[group].ours
            assert holds[group].base == base
        if group == "/pod/a" and rig.burst_us(group) != BURST_US:
            assert rig.burst_us(group) in holds[group].ours
            assert holds[group].base_burst_us == BURST_US


def check_everything_is_back(rig: Rig) -> None:
    assert {group: rig.limit(group) for group in BASES} == BASES
    assert rig.burst_us("/pod/a") == BURST_US
    assert rig.holds() == {}


def crashes(base: Path, kind: Kind, arm: Callable[[Rig, int], None]) -> int:
    """Let the story end at every point once; how many there were."""
    for point in itertools.count():
        rig = machine(base / str(point), kind)
        arm(rig, point)
        try:
            story(rig)
        except Crash:
            die_and_start(rig)
        else:
            rig.files.crash_in = rig.journal.crash_in = -1
            check_everything_is_back(rig)
            rig.die()
            return point
        if point % 2:  # the second process dies as well, while it gives back
            rig.files.crash_in = point % 23
            with suppress(Crash):
                rig.restore_all()
            die_and_start(rig)
        rig.die()
        assert rig.start(restore=True)[1] == []
        check_everything_is_back(rig)
        rig.die()
    raise AssertionError


def die_and_start(rig: Rig) -> None:
    rig.die()
    rig.start()
    check_every_value_is_known(rig)


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_killed_before_any_file_operation(tmp_path: Path, kind: Kind) -> None:
    def arm(rig: Rig, point: int) -> None:
        rig.files.crash_in = point

    assert crashes(tmp_path, kind, arm) > 100


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_killed_before_any_use_of_the_journal(tmp_path: Path, kind: Kind) -> None:
    def arm(rig: Rig, point: int) -> None:
        rig.journal.crash_in = point

    assert crashes(tmp_path, kind, arm) > 10
