"""The executor on the refusing fake tree (v1, v2) and on the simulator."""

from __future__ import annotations

import errno
import math
from pathlib import Path

import pytest

from controller.config import merge
from controller.dispute import PEACE_SECONDS
from controller.executor import Executor
from controller.writer import HANDS_OFF_SECONDS
from models.container import CpuLimit
from tests.controller.rig import Kind, Rig, cut, own, results

TWO = CpuLimit(200_000)
KINDS: tuple[Kind, ...] = ("v1", "v2", "simulated")
FAKES: tuple[Kind, ...] = ("v1", "v2")


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    made = Rig(tmp_path, request.param)
    made.add("/a", TWO)
    return made


@pytest.fixture(params=FAKES)
def fake(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    made = Rig(tmp_path, request.param)
    made.add("/a", TWO)
    return made


def contended(rig: Rig) -> set[str]:
    return {alert.container for alert in rig.executor.alerts if alert.kind == "contended"}


# ---- from target to limit


def test_a_target_is_written_and_given_back(rig: Rig) -> None:
    assert results(rig.tick(cut("/a", 0.5))) == [("/a", "applied")]
    assert rig.limit("/a") == CpuLimit(50_000)
    assert rig.executor.held() == {"/a": 0.5}
    assert rig.executor.held_base_cores("/a") == 2.0
    assert results(rig.tick()) == [("/a", "restored")]
    assert rig.limit("/a") == TWO
    assert rig.executor.held() == {}
    assert rig.holds() == {}


def test_a_container_without_a_limit_has_none_afterwards(rig: Rig) -> None:
    rig.add("/free")
    rig.tick(cut("/free", 0.5))
    assert rig.limit("/free").cores == 0.5
    rig.tick()
    assert rig.limit("/free").quota_us is None


@pytest.mark.parametrize(
    ("asked", "comes_to"),
    [
        (0.01, 0.25),
        (-5.0, 0.25),
        (0.0, 0.25),
        (1.0, 1.0),
        (2.0, 2.0),
        (7.0, 2.0),
        (math.inf, 2.0),
        (math.nan, 2.0),
    ],
)
def test_never_under_the_floor_nor_over_the_base(tmp_path: Path, asked: float, comes_to: float) -> None:
    rig = Rig(tmp_path)
    rig.add("/a", TWO, floor_cores=0.25)
    rig.tick(cut("/a", asked))
    assert rig.limit("/a").cores == comes_to
    assert bool(rig.written()) == (comes_to < 2.0)


def test_a_floor_that_is_no_whole_quota_is_rounded_up(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.add("/a", CpuLimit(20_000, 10_000), floor_cores=0.123456)
    rig.tick(cut("/a", 0.0))
    assert rig.limit("/a") == CpuLimit(1_235, 10_000)


def test_a_floor_at_or_above_the_base_leaves_nothing_to_cut(rig: Rig) -> None:
    rig.add("/b", CpuLimit(50_000), floor_cores=0.6)
    assert rig.tick(cut("/b", 0.1)) == []


def test_a_raised_floor_is_obeyed_however_small_the_step(rig: Rig) -> None:
    rig.tick(cut("/a", 0.1))
    rig.containers["/a"] = type(rig.containers["/a"])(
        "/a", "/a", rig.containers["/a"].inode, floor_cores=0.11
    )
    rig.tick(cut("/a", 0.1))
    assert rig.limit("/a").cores == 0.11


@pytest.mark.parametrize(
    ("asked", "policy", "comes_to"),
    [
        (3.0, {}, 3.0),
        (3.0, {"ceiling_cores": 2.5}, 2.5),
        (9.0, {"ceiling_cores": 8.0}, 4.0),  # the node has no more
        (1.0, {}, 2.0),
        (math.nan, {}, 2.0),
        (3.0, {"ceiling_cores": 1.0}, 2.0),
    ],
)
def test_an_own_limit_is_raised_up_to_its_ceiling(
    rig: Rig, asked: float, policy: dict[str, float], comes_to: float
) -> None:
    rig.add("/own", TWO, **policy)
    rig.tick(own("/own", asked))
    assert rig.limit("/own").cores == comes_to
    rig.tick()
    assert rig.limit("/own") == TWO


@pytest.mark.parametrize("kind", FAKES)
def test_an_own_limit_is_not_raised_above_an_ancestors(tmp_path: Path, kind: Kind) -> None:
    rig = Rig(tmp_path, kind)
    rig.add("/pod/a", CpuLimit(100_000))
    rig.write_from_outside("/pod", CpuLimit(150_000))
    assert results(rig.tick(own("/pod/a", 3.0))) == [("/pod/a", "applied")]
    assert rig.limit("/pod/a").cores == 1.5


def test_what_is_opted_out_is_not_touched(rig: Rig) -> None:
    rig.add("/b", TWO, adjustable=False)
    assert rig.tick(cut("/b", 0.5)) == []


def test_not_more_of_the_node_is_taken_than_allowed(tmp_path: Path) -> None:
    rig = Rig(tmp_path, max_taken_ratio=0.5)  # of four CPUs
    for name in ("/a", "/b", "/c"):
        rig.add(name, TWO)
    rig.tick(*(cut(name, 1.0) for name in rig.containers))
    assert [rig.limit(name).cores for name in rig.containers] == [1.0, 1.0, 2.0]
    rig.tick(*(cut(name, 1.0) for name in ("/c", "/b", "/a")))
    assert rig.limit("/c").cores == 2.0  # what is taken already counts first
    rig.tick(cut("/c", 0.5), cut("/b", 1.0), cut("/a", 1.5))
    assert [rig.limit(name).cores for name in rig.containers] == [1.5, 1.0, 2.0]
    rig.tick(cut("/c", 0.5), cut("/b", 1.0), cut("/a", 1.5))
    assert [rig.limit(name).cores for name in rig.containers] == [1.5, 1.0, 1.5]


@pytest.mark.parametrize("reference", [math.nan, math.inf, 50.0])
def test_a_reference_that_can_not_be_counts_as_all_it_could_use(tmp_path: Path, reference: float) -> None:
    rig = Rig(tmp_path, max_taken_ratio=0.25)
    rig.add("/a", TWO)
    rig.tick(cut("/a", 0.1, reference))
    assert rig.limit("/a").cores == 1.0


def test_a_custom_period_is_kept(rig: Rig) -> None:
    rig.add("/b", CpuLimit(40_000, 20_000))
    rig.tick(cut("/b", 0.5))
    assert rig.limit("/b") == CpuLimit(10_000, 20_000)
    rig.tick()
    assert rig.limit("/b") == CpuLimit(40_000, 20_000)


# ---- how often


def test_one_batch_a_second_down_and_up(rig: Rig) -> None:
    for step in range(41):
        rig.tick(cut("/a", 1.5 - step * 0.03), seconds=0.25)
    assert len(rig.written()) <= 11
    before = len(rig.written())
    for step in range(40):
        rig.tick(cut("/a", 0.3 + step * 0.04), seconds=0.25)
    rig.tick(seconds=0.25)
    assert len(rig.written()) - before <= 11


def test_a_released_claim_waits_for_the_interval_and_a_restore_does_not(rig: Rig) -> None:
    rig.tick(cut("/a", 0.5))
    assert rig.tick(seconds=0.5) == []
    assert results(rig.restore_all()) == [("/a", "restored")]
    assert rig.tick(cut("/a", 0.5), seconds=0.9) == []
    assert results(rig.tick(cut("/a", 0.5), seconds=0.2)) == [("/a", "applied")]


def test_within_the_dead_band_nothing_is_written(rig: Rig) -> None:
    rig.tick(cut("/a", 0.5))
    assert rig.tick(cut("/a", 0.51)) == []
    assert rig.tick(cut("/a", 0.5)) == []
    assert len(rig.written()) == 1


# ---- order


def test_children_are_lowered_before_their_parents_and_raised_after_them(tmp_path: Path) -> None:
    rig = Rig(tmp_path)  # v1 refuses anything else
    rig.add("/pod/a", TWO)
    rig.add("/pod", TWO)
    assert results(rig.tick(cut("/pod", 1.0), cut("/pod/a", 1.0))) == [
        ("/pod/a", "applied"),
        ("/pod", "applied"),
    ]
    assert results(rig.tick(cut("/pod/a", 1.5), cut("/pod", 1.5))) == [
        ("/pod", "applied"),
        ("/pod/a", "applied"),
    ]
    assert results(rig.restore_all()) == [("/pod", "restored"), ("/pod/a", "restored")]


def test_own_raises_of_a_branch_go_back_children_first(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.add("/pod", CpuLimit(100_000))
    rig.add("/pod/a", CpuLimit(100_000))
    rig.tick(own("/pod", 2.0))
    rig.tick(own("/pod", 2.0), own("/pod/a", 2.0))
    rig.die()
    restored, failed = rig.start(restore=True)
    assert (restored, failed) == (["/pod/a", "/pod"], [])


# ---- others write too


def test_a_value_of_somebody_else_is_the_new_base_and_is_not_fought(rig: Rig) -> None:
    rig.tick(cut("/a", 0.5))
    rig.write_from_outside("/a", CpuLimit(150_000))
    assert results(rig.tick()) == [("/a", "foreign")]
    assert rig.limit("/a").cores == 1.5
    assert rig.holds() == {}
    rig.tick(cut("/a", 0.5))
    rig.tick()
    assert rig.limit("/a").cores == 1.5


def test_a_base_that_changed_before_the_first_cut_is_seen(rig: Rig) -> None:
    rig.tick(cut("/a", 0.5))
    rig.tick()
    rig.write_from_outside("/a", CpuLimit(120_000))
    rig.tick(cut("/a", 0.5))
    rig.tick()
    assert rig.limit("/a").cores == 1.2


def test_a_value_set_between_planning_and_writing_is_not_trampled(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    inode, planned = rig.node.inode, []

    def change_first(group: str) -> int:
        if not planned:
            planned.append(group)
            rig.write_from_outside(group, CpuLimit(130_000))
        return inode(group)

    monkeypatch.setattr(rig.node, "inode", change_first)
    assert rig.tick(cut("/a", 0.5)) == []
    assert rig.limit("/a").cores == 1.3


def test_a_value_set_right_after_ours_is_not_trampled(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    set_limit = rig.node.set_limit

    def then_another(group: str, limit: CpuLimit) -> None:
        set_limit(group, limit)
        rig.write_from_outside(group, CpuLimit(130_000))

    monkeypatch.setattr(rig.node, "set_limit", then_another)
    assert results(rig.tick(cut("/a", 0.5))) == [("/a", "foreign"), ("/a", "applied")]
    monkeypatch.undo()
    rig.tick()
    assert rig.limit("/a").cores == 1.3
    assert rig.holds() == {}


def test_a_restore_does_not_trample_what_was_set_since_the_last_look(rig: Rig) -> None:
    rig.tick(cut("/a", 0.5))
    rig.write_from_outside("/a", CpuLimit(130_000))
    rig.restore_all()
    assert rig.limit("/a").cores == 1.3
    assert rig.holds() == {}


def test_a_return_to_the_base_is_reasserted_once_after_a_while(rig: Rig) -> None:
    rig.tick(cut("/a", 0.5))
    rig.write_from_outside("/a", TWO)
    for _ in range(10):
        assert "applied" not in dict(results(rig.tick(cut("/a", 0.5)))).values()
        assert rig.limit("/a") == TWO
    assert rig.holds() == {}
    assert results(rig.tick(cut("/a", 0.5))) == [("/a", "applied")]
    assert contended(rig) == set()
    rig.write_from_outside("/a", TWO)
    for _ in range(100):
        rig.tick(cut("/a", 0.5))
    assert rig.limit("/a") == TWO
    assert rig.executor.hands_off == contended(rig) == {"/a"}
    rig.restore_all()  # an operator's word ends it
    assert contended(rig) == set()


@pytest.mark.parametrize("every", [1, 10, 60])
def test_a_writer_that_resets_again_and_again_is_left_alone(rig: Rig, every: int) -> None:
    for second in range(1, 300):
        rig.tick(cut("/a", 0.5))
        if second % every == 0:
            rig.write_from_outside("/a", TWO)
    assert len([group for group in rig.written() if group == "/a"]) <= 300 // every + 5
    assert contended(rig) == {"/a"}
    assert rig.limit("/a") == TWO


def test_returns_long_apart_are_no_fight(rig: Rig) -> None:
    for _ in range(5):
        rig.tick(cut("/a", 0.5), seconds=20)
        rig.write_from_outside("/a", TWO)
        rig.tick(cut("/a", 0.5), seconds=PEACE_SECONDS + 1)
    assert contended(rig) == set()


def test_a_writer_of_ever_other_values_is_left_alone(rig: Rig) -> None:
    for second in range(60):
        rig.tick(cut("/a", 0.5))
        rig.write_from_outside("/a", CpuLimit(150_000 + 1_000 * (second % 7)))
    rig.tick(cut("/a", 0.5))
    assert contended(rig) == {"/a"}
    assert rig.limit("/a").cores >= 1.5


@pytest.mark.parametrize("kind", FAKES)
def test_a_changed_period_is_kept_and_our_quota_is_still_ours(tmp_path: Path, kind: Kind) -> None:
    rig = Rig(tmp_path, kind)
    rig.add("/a", TWO)
    rig.tick(cut("/a", 0.5))
    if kind == "v2":
        rig.tree.put("/a", "cpu.max", "50000 50000")
    else:
        rig.tree.put("/a", "cpu.cfs_period_us", "50000")
    rig.tick()
    assert rig.limit("/a") == CpuLimit(200_000, 50_000)


# ---- base


def test_the_spec_is_the_base_where_it_is_known(rig: Rig) -> None:
    rig.add("/b", CpuLimit(50_000), spec_cores=1.0)  # perhaps a cut whose journal was lost
    assert rig.tick() == []
    assert rig.tick(cut("/b", 0.7)) == []  # that would raise it
    rig.tick(cut("/b", 0.3))
    rig.tick()
    assert rig.limit("/b").cores == 1.0


def test_a_spec_that_changes_while_we_hold_moves_the_base(rig: Rig) -> None:
    old = rig.add("/b", CpuLimit(100_000), spec_cores=1.0)
    rig.tick(cut("/b", 0.3))
    rig.containers["/b"] = type(old)("/b", "/b", old.inode, spec_cores=1.5)
    rig.tick(cut("/b", 0.3))
    rig.tick()
    assert rig.limit("/b").cores == 1.5


# ---- what goes wrong


FAULTS = [
    (operation, number)
    for operation in ("open", "read", "write")
    for number in (errno.EIO, errno.EBUSY, errno.EINVAL, errno.EACCES, errno.EMFILE, errno.ENOSPC)
]


@pytest.mark.parametrize(("operation", "number"), FAULTS)
def test_one_bad_group_stops_no_other(fake: Rig, operation, number: int) -> None:
    for name in ("/b", "/c"):
        fake.add(name, TWO)
    for files in (fake.limit_file(), fake.burst_file()):
        fake.tree.fail("/b", files, number, operation)
    for _ in range(5):
        fake.tick(cut("/a", 0.5), cut("/b", 0.5), cut("/c", 0.5))
    assert (fake.limit("/a").cores, fake.limit("/c").cores) == (0.5, 0.5)
    fake.restore_all()
    assert (fake.limit("/a"), fake.limit("/c")) == (TWO, TWO)
    fake.tree.heal()
    for _ in range(3):
        fake.tick()
    assert fake.limit("/b") == TWO
    assert fake.holds() == {}


@pytest.mark.parametrize("method", ["inode", "limit", "set_limit", "burst_us", "ancestors"])
@pytest.mark.parametrize("error", [ValueError("odd"), OSError(errno.EIO, "odd"), KeyError("odd")])
def test_a_backend_that_fails_in_its_own_way_stops_no_other(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception
) -> None:
    rig.add("/b", TWO)
    real = getattr(rig.node, method)

    def odd(group: str, *rest: object) -> object:
        if group == "/a":
            raise error
        return real(group, *rest)

    rig.tick(own("/a", 2.2), own("/b", 2.2))
    assert rig.limit("/a").cores == 2.2
    monkeypatch.setattr(rig.node, method, odd)
    rig.tick(own("/a", 2.5), own("/b", 2.5))
    assert rig.limit("/b").cores == 2.5
    rig.restore_all()
    assert rig.limit("/b") == TWO
    monkeypatch.undo()
    rig.tick()
    assert rig.limit("/a") == TWO
    assert rig.holds() == {}


@pytest.mark.parametrize("number", [errno.EIO, errno.EBUSY])
def test_a_write_that_takes_effect_in_spite_of_its_error_is_ours(fake: Rig, number: int) -> None:
    fake.files.lie = number
    assert results(fake.tick(cut("/a", 0.5))) == [("/a", "refused")]
    assert fake.limit("/a").cores == 0.5
    assert "/a" in fake.holds()
    fake.tick()
    assert fake.limit("/a") == TWO
    assert fake.holds() == {}


@pytest.mark.parametrize("garbage", [b"", b"what\n", b"-\n"])
def test_a_write_that_can_not_be_read_back_is_held(
    fake: Rig, monkeypatch: pytest.MonkeyPatch, garbage: bytes
) -> None:
    set_limit = fake.node.set_limit

    def then_garbage(group: str, limit: CpuLimit) -> None:
        set_limit(group, limit)
        fake.tree.garble(group, fake.limit_file(), lambda _: garbage)

    monkeypatch.setattr(fake.node, "set_limit", then_garbage)
    (revision,) = fake.tick(cut("/a", 0.5))
    assert revision.result == "applied"
    assert "not read back" in revision.detail
    assert "/a" in fake.holds()
    monkeypatch.undo()
    fake.tree.heal()
    fake.tick()
    assert fake.limit("/a") == TWO


def test_a_refused_restore_stays_recorded_and_is_tried_once_a_second(fake: Rig) -> None:
    fake.tick(cut("/a", 0.5))
    fake.tree.fail("/a", fake.limit_file(), errno.EBUSY, "write")
    before = len(fake.files.writes)
    told = [revision for _ in range(41) for revision in fake.tick(seconds=0.25)]
    assert len(fake.files.writes) - before <= 11
    assert results(told) == [("/a", "refused")]  # told once
    assert "/a" in fake.holds()
    assert contended(fake) == {"/a"}
    fake.tree.heal()
    assert results(fake.tick()) == [("/a", "restored")]
    assert contended(fake) == set()
    assert fake.holds() == {}


def test_what_is_held_is_given_back_when_the_kernel_refuses_more(fake: Rig) -> None:
    fake.tick(cut("/a", 1.0))
    fake.tree.fail("/a", fake.limit_file(), errno.EINVAL, "write")
    for _ in range(4):
        fake.tick(cut("/a", 0.5))
    assert fake.executor.hands_off == {"/a"}
    fake.tree.heal()
    fake.tick(cut("/a", 0.5))
    assert fake.limit("/a") == TWO
    fake.now += HANDS_OFF_SECONDS
    fake.tick()
    assert results(fake.tick(cut("/a", 0.5))) == [("/a", "applied")]


def test_v1_a_base_above_an_ancestors_new_limit_is_approached(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.add("/pod/a", TWO)
    rig.tick(cut("/pod/a", 0.5))
    rig.write_from_outside("/pod", CpuLimit(100_000))
    rig.restore_all()
    assert rig.limit("/pod/a").cores == 1.0
    assert "/pod/a" in rig.holds()
    rig.write_from_outside("/pod", CpuLimit(None))
    rig.tick()
    assert rig.limit("/pod/a") == TWO
    assert rig.holds() == {}


# ---- coming and going


def test_a_group_that_goes_is_forgotten_and_one_in_its_place_is_another(fake: Rig) -> None:
    fake.tick(cut("/a", 0.5))
    fake.tree.replace("/a")
    fake.add("/a")
    assert ("/a", "gone") in results(fake.tick())
    assert fake.holds() == {}
    assert fake.limit("/a").quota_us is None
    assert fake.executor.held() == {}


def test_what_discovery_misses_for_a_while_is_given_back_and_not_forgotten(rig: Rig) -> None:
    rig.tick(cut("/a", 0.5))
    (hidden,) = rig.containers.values()
    rig.containers.clear()
    rig.executor.keep_up([], rig.now)
    assert "/a" in rig.holds()
    rig.containers["/a"] = hidden
    assert rig.tick(cut("/a", 0.5), seconds=0.25) == []
    rig.containers.clear()
    assert results(rig.tick()) == [("/a", "restored")]
    assert rig.limit("/a") == TWO


def test_vanishing_between_two_system_calls_is_no_error(fake: Rig) -> None:
    fake.add("/b", TWO)
    fake.tick(cut("/a", 0.5), cut("/b", 0.5))
    fake.executor.keep_up(list(fake.containers.values()), fake.now)
    fake.tree.remove("/a")
    fake.now += 1
    revisions = fake.executor.apply({}, list(fake.containers.values()), fake.now, fake.now)
    assert sorted(results(revisions)) == [("/a", "gone"), ("/b", "restored")]
    assert fake.holds() == {}


# ---- burst


def test_a_burst_is_back_in_the_end(fake: Rig) -> None:
    fake.add("/b", TWO, burst_us=80_000)
    fake.tick(cut("/b", 0.5))
    assert fake.burst_us("/b") == 50_000
    fake.tick(cut("/b", 0.3))
    fake.tick(cut("/b", 0.9))
    assert fake.burst_us("/b") == 30_000
    fake.tick()
    assert (fake.limit("/b"), fake.burst_us("/b")) == (TWO, 80_000)


@pytest.mark.parametrize("restore", [True, False])
def test_a_burst_is_back_after_a_crash(fake: Rig, restore: bool) -> None:
    fake.add("/b", TWO, burst_us=80_000)
    for cores in (0.5, 0.3, 0.9, 1.2):
        fake.tick(cut("/b", cores))
    fake.die()
    fake.start(restore)
    fake.tick()
    assert (fake.limit("/b"), fake.burst_us("/b")) == (TWO, 80_000)
    assert fake.holds() == {}


def test_a_burst_is_back_after_a_foreign_return_a_reassertion_and_a_foreign_value(fake: Rig) -> None:
    fake.add("/b", TWO, burst_us=80_000)
    fake.tick(cut("/b", 0.5))
    fake.write_from_outside("/b", TWO)
    for _ in range(12):
        fake.tick(cut("/b", 0.5))
    assert fake.limit("/b").cores == 0.5
    fake.write_from_outside("/b", CpuLimit(150_000))
    for _ in range(2):
        fake.tick()
    assert (fake.limit("/b").cores, fake.burst_us("/b")) == (1.5, 80_000)
    assert fake.holds() == {}


def test_a_burst_that_can_not_be_read_means_no_cut(fake: Rig) -> None:
    fake.tree.fail("/a", fake.burst_file(), errno.EIO)
    assert results(fake.tick(cut("/a", 0.5))) == [("/a", "refused")]
    assert fake.limit("/a") == TWO


def test_a_burst_lowered_for_a_quota_that_was_refused_is_rolled_back(
    fake: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.add("/b", TWO, burst_us=80_000)
    burst = fake.node.set_burst_us

    def refuse_half_way(group: str, limit: CpuLimit) -> None:
        burst(group, limit.quota_us or 0)
        raise OSError(errno.EIO, "half way")

    monkeypatch.setattr(fake.node, "set_limit", refuse_half_way)
    assert results(fake.tick(cut("/b", 0.5))) == [("/b", "rolled-back")]
    assert (fake.limit("/b"), fake.burst_us("/b")) == (TWO, 80_000)
    assert fake.holds() == {}


def test_a_burst_of_somebody_else_is_left_alone(fake: Rig) -> None:
    fake.add("/b", TWO, burst_us=80_000)
    fake.tick(cut("/b", 0.5))
    fake.tree.put("/b", fake.burst_file(), "12345")
    fake.tick()
    assert (fake.limit("/b"), fake.burst_us("/b")) == (TWO, 12_345)


# ---- the journal fails


def test_without_a_recorded_intent_nothing_is_cut_or_raised(rig: Rig) -> None:
    rig.add("/b", TWO)
    rig.tick(cut("/a", 1.0))
    rig.journal.broken = True
    told = [revision for _ in range(8) for revision in rig.tick(cut("/a", 0.5), own("/b", 3.0), seconds=0.25)]
    assert sorted(results(told)) == [("/a", "not-recorded"), ("/b", "not-recorded")]
    assert (rig.limit("/a").cores, rig.limit("/b").cores) == (1.0, 2.0)
    assert [alert.kind for alert in rig.executor.alerts] == ["journal"]
    rig.journal.broken = False
    rig.tick(cut("/a", 0.5))
    assert rig.limit("/a").cores == 0.5
    assert rig.executor.alerts == []


def test_what_goes_towards_the_base_waits_for_no_journal(rig: Rig) -> None:
    rig.add("/b", TWO)
    rig.tick(cut("/a", 0.5), cut("/b", 0.5))
    rig.journal.broken = True
    # The step can't be recorded, and after a crash nobody would know it for ours: so all the way.
    assert sorted(results(rig.tick(cut("/a", 0.8)))) == [("/a", "restored"), ("/b", "restored")]
    assert (rig.limit("/a"), rig.limit("/b")) == (TWO, TWO)
    rig.journal.broken = False
    rig.tick()
    assert rig.holds() == {}


def test_what_was_to_be_forgotten_does_not_take_a_new_entry_with_it(rig: Rig) -> None:
    rig.tick(cut("/a", 0.5))
    rig.journal.broken = True
    rig.tick()
    rig.journal.broken = False
    rig.now += 1
    listed = list(rig.containers.values())
    rig.executor.apply({"/a": cut("/a", 0.4)}, listed, rig.now, rig.now)  # no keep_up in between
    assert rig.holds()["/a"].ours == {40_000}
    rig.tick(cut("/a", 0.4))
    assert "/a" in rig.holds()


# ---- dry run


def dry(rig: Rig, on: bool) -> None:
    rig.executor.settings = merge(rig.settings, {"dry_run": on})


def test_a_dry_run_writes_nothing_at_all(rig: Rig) -> None:
    dry(rig, True)
    assert results(rig.tick(cut("/a", 0.5))) == [("/a", "dry-run")]
    assert rig.tick(cut("/a", 0.5)) == []
    assert results(rig.tick(cut("/a", 0.4))) == [("/a", "dry-run")]
    assert results(rig.tick()) == [("/a", "dry-run")]
    rig.restore_all()
    assert rig.limit("/a") == TWO
    assert rig.holds() == {}
    assert rig.executor.held() == {}
    assert rig.written() == []


def test_a_dry_run_gives_back_at_once_what_is_held(rig: Rig) -> None:
    rig.tick(cut("/a", 0.5))
    dry(rig, True)
    assert results(rig.tick(cut("/a", 0.5), seconds=0.25))[0] == ("/a", "restored")
    assert rig.limit("/a") == TWO
    written = len(rig.written())
    for _ in range(5):
        rig.tick(cut("/a", 0.5))
    assert len(rig.written()) == written
    dry(rig, False)
    rig.tick(cut("/a", 0.5))
    assert rig.limit("/a").cores == 0.5


def test_a_dry_run_gives_back_what_was_refused_at_first(fake: Rig) -> None:
    fake.tick(cut("/a", 0.5))
    dry(fake, True)
    fake.tree.fail("/a", fake.limit_file(), errno.EIO, "write")
    before = len(fake.files.writes)
    for _ in range(20):
        fake.tick(cut("/a", 0.5), seconds=0.25)
    assert len(fake.files.writes) - before <= 6
    fake.tree.heal()
    fake.tick(cut("/a", 0.5))
    assert fake.limit("/a") == TWO


def test_without_a_journal_the_simulator_is_driven_all_the_same(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "simulated")
    rig.add("/a", TWO)
    rig.executor = Executor(rig.node, None, rig.settings)
    rig.tick(cut("/a", 0.5))
    assert rig.limit("/a").cores == 0.5
    rig.restore_all()
    assert rig.limit("/a") == TWO
