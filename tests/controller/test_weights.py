"""Rung 0 in the executor, on the refusing fake tree (v1, v2) and on the simulator."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.config import merge
from controller.journal import Journal
from models.container import CpuLimit, CpuWeight
from tests.controller.rig import Crash, Kind, Rig, cut, give_way, results

KINDS: tuple[Kind, ...] = ("v1", "v2", "simulated")
FAKES: tuple[Kind, ...] = ("v1", "v2")
OWN = CpuWeight(300)  # no default of any hierarchy: it is lost with cpu.idle, and has to come back


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    return with_group(Rig(tmp_path, request.param))


@pytest.fixture(params=FAKES)
def fake(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    return with_group(Rig(tmp_path, request.param))


def with_group(rig: Rig) -> Rig:
    rig.add("/a", CpuLimit(200_000))
    rig.reweigh_from_outside("/a", OWN)
    return rig


def use(rig: Rig, **rung0: object) -> None:
    rig.settings = rig.executor.settings = merge(rig.settings, {"rung0": rung0})


def contended(rig: Rig) -> set[str]:
    return {alert.container for alert in rig.executor.alerts if alert.kind == "contended"}


def test_idle_is_set_and_the_weight_before_comes_back(rig: Rig) -> None:
    (set_,) = rig.tick(weights=give_way("/a"))
    assert rig.weight("/a").idle
    assert (set_.rung, set_.result, set_.old_weight, set_.new_weight) == ("idle", "applied", 300, 0)
    assert set_.old_cores is None
    assert rig.executor.held_weights() == {"/a": 0}
    assert rig.tick(weights=give_way("/a")) == []
    (back,) = rig.tick()
    assert rig.weight("/a") == OWN
    assert (back.result, back.new_weight) == ("restored", 300)
    assert rig.executor.held_weights() == {}
    assert rig.journal.weight_holds() == []


def test_weight_is_set_in_the_scale_of_the_hierarchy(rig: Rig) -> None:
    use(rig, actuator="weight", weight=20)
    rig.tick(weights=give_way("/a"))
    assert rig.weight("/a") == CpuWeight(2 if rig.kind == "v2" else 20)
    rig.tick()
    assert rig.weight("/a") == OWN


def test_another_actuator_takes_over_from_the_base(rig: Rig) -> None:
    rig.tick(weights=give_way("/a"))
    use(rig, actuator="weight")
    rig.tick(weights=give_way("/a"))
    assert rig.weight("/a") == OWN
    rig.tick(weights=give_way("/a"))
    assert not rig.weight("/a").idle
    assert rig.weight("/a").weight < OWN.weight
    use(rig, actuator="off")
    rig.tick(weights=give_way("/a"))
    assert rig.weight("/a") == OWN


def test_limit_and_weight_of_one_group_have_each_their_own_base(rig: Rig) -> None:
    rig.tick(cut("/a", 0.5), weights=give_way("/a"))
    assert rig.weight("/a").idle
    assert rig.limit("/a").cores == 0.5
    rig.tick(weights=give_way("/a"))
    assert rig.weight("/a").idle
    assert rig.limit("/a").cores == 2.0
    rig.tick(cut("/a", 0.5))
    assert rig.weight("/a") == OWN
    assert rig.limit("/a").cores == 0.5
    rig.tick(cut("/a", 0.5), weights=give_way("/a"))
    assert results(rig.restore_all()) == [("/a", "restored")] * 2
    assert (rig.weight("/a"), rig.limit("/a").cores) == (OWN, 2.0)


def test_writes_are_at_least_an_interval_apart(rig: Rig) -> None:
    rig.tick(weights=give_way("/a"))
    assert rig.tick(seconds=0.25) == []
    assert rig.weight("/a").idle
    rig.tick(seconds=0.75)
    assert rig.weight("/a") == OWN


@pytest.mark.parametrize("kept", ["adjustable", "reweight"])
def test_whoever_may_not_be_touched_keeps_its_weight_whatever_is_asked(rig: Rig, kept: str) -> None:
    rig.add("/b", **{kept: False})
    assert rig.tick(weights=give_way("/b")) == []
    assert rig.tick(weights=give_way("/a", "/b")) == []
    assert not rig.weight("/b").idle


def test_group_that_is_idle_already_is_left_as_it_is(rig: Rig) -> None:
    rig.reweigh_from_outside("/a", CpuWeight(0, idle=True))
    assert rig.tick(weights=give_way("/a")) == []
    assert rig.executor.weightless == {"/a"}
    rig.tick()
    assert rig.weight("/a").idle
    rig.reweigh_from_outside("/a", OWN)
    for _ in range(60):
        rig.tick()
    assert rig.executor.weightless == set()


def test_kernel_without_cpu_idle_is_no_reason_to_alarm_anybody(fake: Rig) -> None:
    fake.tree.path("/a", "cpu.idle").unlink()
    assert results(fake.tick(weights=give_way("/a"))) == [("/a", "refused")]
    assert fake.executor.weightless == {"/a"}
    assert contended(fake) == set()
    assert fake.tick(seconds=0.25) == []
    assert fake.journal.weight_holds() == []


def test_refused_weight_is_left_alone_for_a_while(fake: Rig) -> None:
    fake.tree.fail("/a", "cpu.idle", errno.EPERM, "write")
    assert results(fake.tick(weights=give_way("/a"))) == [("/a", "refused")]
    assert fake.executor.weightless == {"/a"}
    assert contended(fake) == {"/a"}
    fake.tree.heal()
    for _ in range(61):
        fake.tick(weights=give_way("/a"))
    assert fake.weight("/a").idle
    assert contended(fake) == set()


def test_weight_that_cannot_be_given_back_is_tried_again_and_told_once(fake: Rig) -> None:
    fake.tick(weights=give_way("/a"))
    fake.tree.fail("/a", "cpu.shares" if fake.kind == "v1" else "cpu.weight", errno.EPERM, "write")
    assert results(fake.tick()) == [("/a", "refused")]
    assert contended(fake) == {"/a"}
    assert fake.tick() == []
    fake.tree.heal()
    assert results(fake.tick()) == [("/a", "restored")]
    assert fake.weight("/a") == OWN
    assert contended(fake) == set()


def test_foreign_return_is_answered_once_and_then_left_alone(rig: Rig) -> None:
    rig.tick(weights=give_way("/a"))
    rig.reweigh_from_outside("/a", OWN)
    assert results(rig.tick(weights=give_way("/a"))) == [("/a", "foreign")]
    for _ in range(9):
        rig.tick(weights=give_way("/a"))
        assert not rig.weight("/a").idle
    rig.tick(weights=give_way("/a"))
    assert rig.weight("/a").idle
    rig.reweigh_from_outside("/a", OWN)
    rig.tick(weights=give_way("/a"))
    assert contended(rig) == {"/a"}
    assert rig.executor.weightless == {"/a"}
    for _ in range(30):
        rig.tick(weights=give_way("/a"))
    assert rig.weight("/a") == OWN


def test_foreign_weight_is_the_base_from_then_on(rig: Rig) -> None:
    rig.tick(weights=give_way("/a"))
    theirs = CpuWeight(500)
    rig.reweigh_from_outside("/a", theirs)
    assert results(rig.tick()) == [("/a", "foreign")]
    rig.tick()
    assert rig.weight("/a") == theirs
    assert rig.journal.weight_holds() == []


def test_somebody_else_takes_cpu_idle_away_and_the_weight_comes_back_too(rig: Rig) -> None:
    rig.tick(weights=give_way("/a"))
    default = CpuWeight(rig.node.weight_of(1024))
    rig.reweigh_from_outside("/a", default)
    rig.tick()
    rig.tick()
    assert rig.weight("/a") == OWN


def test_vanished_group_is_forgotten(fake: Rig) -> None:
    fake.tick(weights=give_way("/a"))
    fake.tree.replace("/a")
    assert results(fake.tick(weights=give_way("/a"))) == [("/a", "gone")]
    assert fake.journal.weight_holds() == []
    assert not fake.weight("/a").idle


def test_later_group_of_the_same_path_is_not_touched(fake: Rig) -> None:
    fake.tree.replace("/a")
    assert fake.tick(weights=give_way("/a")) == []
    assert not fake.weight("/a").idle


def test_nothing_is_set_that_the_journal_does_not_know_and_all_is_given_back(rig: Rig) -> None:
    rig.add("/b")
    rig.tick(weights=give_way("/a"))
    rig.journal.broken = True
    revisions = rig.tick(weights=give_way("/b"))
    assert sorted(results(revisions)) == [("/a", "restored"), ("/b", "not-recorded")]
    assert rig.weight("/a") == OWN
    assert not rig.weight("/b").idle
    rig.journal.broken = False
    rig.tick()
    assert rig.journal.weight_holds() == []


def test_dry_run_only_notes_and_gives_back_what_was_held(rig: Rig) -> None:
    rig.settings = rig.executor.settings = merge(rig.settings, {"dry_run": True})
    assert results(rig.tick(weights=give_way("/a"))) == [("/a", "dry-run")]
    assert rig.tick(weights=give_way("/a")) == []
    assert results(rig.tick()) == [("/a", "dry-run")]
    assert rig.weight("/a") == OWN
    rig.settings = rig.executor.settings = merge(rig.settings, {"dry_run": False})
    rig.tick(weights=give_way("/a"))
    rig.executor.settings = merge(rig.settings, {"dry_run": True})
    assert results(rig.tick(weights=give_way("/a"))) == [("/a", "restored")]
    assert rig.weight("/a") == OWN


def test_pod_carries_the_weight_of_its_containers(fake: Rig) -> None:
    pod = "/kubepods/burstable/pod1"
    fake.add(f"{pod}/c1")
    fake.add(f"{pod}/c2")
    assert fake.tick(weights=give_way(f"{pod}/c1")) == [], "not the container's own, below kubepods"
    use(fake, level="pod")
    fake.tick(weights=give_way(f"{pod}/c1", pod))
    assert fake.weight(pod).idle
    assert not fake.weight(f"{pod}/c1").idle
    fake.tick()
    assert not fake.weight(pod).idle


def test_journal_of_version_1_is_taken_over_with_its_holds(tmp_path: Path) -> None:
    rig = with_group(Rig(tmp_path, "v1"))
    rig.tick(cut("/a", 0.5))
    rig.die()
    with sqlite3.connect(tmp_path / "run" / "intents.db") as database:
        database.executescript("DROP TABLE weights; PRAGMA user_version = 1;")
    restored, failed = rig.start(restore=True)
    assert (restored, failed) == (["/a"], [])
    assert rig.limit("/a").cores == 2.0
    rig.tick(weights=give_way("/a"))
    assert rig.weight("/a").idle


def test_weights_of_another_boot_are_forgotten(tmp_path: Path) -> None:
    rig = with_group(Rig(tmp_path, "v1"))
    rig.tick(weights=give_way("/a"))
    rig.die()
    journal = Journal(tmp_path / "run", boot_id="another")
    assert journal.weight_holds() == []
    journal.close()


@pytest.mark.parametrize("back", [False, True], ids=["set", "give back"])
def test_crash_at_any_operation_leaves_nothing_behind(fake: Rig, back: bool) -> None:
    for nth in range(40):
        if back:
            fake.tick(weights=give_way("/a"))
            assert fake.weight("/a").idle
        fake.files.crash_in = nth
        try:
            fake.tick(weights=[] if back else give_way("/a"))
        except Crash:
            pass
        else:
            assert nth > 5, "the crashes must have reached the writes"
            break
        fake.die()
        _, failed = fake.start(restore=True)
        assert failed == []
        assert fake.weight("/a") == OWN, f"crash at operation {nth}"
        assert fake.journal.weight_holds() == []
    else:
        pytest.fail("no end of operations")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.booleans(), st.sampled_from([0.25, 1.0, 11.0])),
        st.tuples(st.just("foreign"), st.sampled_from([CpuWeight(50), CpuWeight(700), OWN])),
        st.tuples(st.just("crash"), st.integers(0, 20)),
        st.tuples(st.just("broken"), st.booleans()),
        st.tuples(st.just("actuator"), st.sampled_from(["idle", "weight", "off"])),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(FAKES), steps=STEPS)
def test_whatever_happens_the_last_foreign_weight_or_the_own_one_comes_back(
    tmp_path_factory: pytest.TempPathFactory, kind: Kind, steps: list[tuple]
) -> None:
    rig = with_group(Rig(tmp_path_factory.mktemp("rig"), kind))
    allowed = {OWN}
    for step in steps:
        try:
            match step:
                case ("tick", wanted, seconds):
                    rig.tick(seconds=seconds, weights=give_way("/a") if wanted else [])
                case ("foreign", weight):
                    rig.reweigh_from_outside("/a", weight)
                    allowed.add(weight)
                case ("crash", nth):
                    rig.files.crash_in = nth
                case ("broken", broken):
                    rig.journal.broken = broken
                case ("actuator", actuator):
                    use(rig, actuator=actuator)
        except Crash:
            rig.die()
            rig.start(restore=True)
            assert rig.weight("/a") in allowed
    rig.files.crash_in, rig.journal.broken = -1, False
    rig.tick(seconds=2.0)
    rig.tick(seconds=2.0)
    assert rig.weight("/a") in allowed
    assert rig.executor.held_weights() == {}
    assert rig.journal.weight_holds() == []
    rig.die()
