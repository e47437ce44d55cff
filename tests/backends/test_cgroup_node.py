"""CgroupNode on the fake tree, the same for v1 apart and together, hybrid and v2."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

from backends.base import Gone, Node
from backends.cgroup import CgroupNode, open_node
from models.container import Container, CpuLimit, Sample
from tests.fakes.cgroup_tree import CgroupTree, Kind

POD, WEB = "/pod", "/pod/web"


@dataclass
class Machine:
    """A fake tree with a node on it. The clock runs one second for each sample."""

    tree: CgroupTree
    node: CgroupNode
    now: float = 0.0

    def watch(self, *groups: str) -> list[Container]:
        containers = [Container(group, group, self.tree.inode(group)) for group in groups]
        self.node.watch(containers)
        return containers

    def sample(self) -> Sample:
        self.now += 1.0
        return self.node.collect(self.now)


def make(base: Path, kind: Kind) -> Machine:
    tree = CgroupTree(base, kind)
    node = open_node(mountinfo_path=tree.mountinfo, proc=tree.proc, files=tree.files)
    tree.add(WEB)
    return Machine(tree, node)


@pytest.fixture(params=get_args(Kind))
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    made = make(tmp_path / "with a blank", request.param)
    yield made
    made.node.close()
    assert made.tree.files.open_paths == []


@pytest.fixture
def v1(tmp_path: Path) -> Machine:
    return make(tmp_path, "hybrid")


@pytest.fixture
def v2(tmp_path: Path) -> Machine:
    return make(tmp_path, "v2")


def limit_file(machine: Machine) -> str:
    return "cpu.max" if machine.tree.kind == "v2" else "cpu.cfs_quota_us"


def test_is_a_node(machine: Machine) -> None:
    node: Node = machine.node
    assert node.name == ("cgroup-v2" if machine.tree.kind == "v2" else "cgroup-v1")
    assert node.cpus >= 1


def test_every_column(machine: Machine) -> None:
    tree = machine.tree
    tree.add_process(WEB, 10, threads=[11])
    machine.watch(WEB)
    before = machine.sample()
    tree.use_cpu(WEB, 1.5)
    tree.throttle(WEB, periods=10, throttled=5, seconds=0.25)
    tree.set_memory(WEB, 8192)
    has_psi = tree.kind in ("hybrid", "v2")
    if has_psi:
        tree.stall(WEB, 0.5)
    tree.set_run_delay(11, 0.75)
    after = machine.sample()

    def grown(column: str) -> float:
        return float((getattr(after, column) - getattr(before, column))[0])

    assert after.ids == (WEB,)
    assert after.taken_at_seconds == machine.now
    assert grown("usage_seconds") == pytest.approx(1.5)
    assert (grown("periods"), grown("throttled_periods")) == (10, 5)
    assert grown("throttled_seconds") == pytest.approx(0.25)
    assert grown("memory_bytes") == 8192
    assert after.memory_limit_bytes[0] == math.inf
    assert after.limit_cores[0] == math.inf
    if has_psi:
        assert grown("wait_seconds") == pytest.approx(0.5)
        assert math.isnan(after.run_delay_seconds[0])
    else:
        assert math.isnan(after.wait_seconds[0])
        assert grown("run_delay_seconds") == pytest.approx(0.75)
    assert after.node.busy_seconds > 0
    assert 0 < after.node.memory_bytes < after.node.memory_total_bytes


def test_no_containers(machine: Machine) -> None:
    sample = machine.sample()
    assert sample.ids == ()
    assert all(len(getattr(sample, name)) == 0 for name in Sample.COLUMNS)


def test_effective_limit_is_the_least_along_the_path(machine: Machine) -> None:
    machine.tree.add("/pod/db")
    machine.watch(WEB, "/pod/db")
    machine.node.set_limit(POD, CpuLimit(80_000))
    machine.node.set_limit(WEB, CpuLimit(50_000))
    assert machine.sample().limit_cores.tolist() == [0.5, 0.8]
    machine.node.set_limit(WEB, CpuLimit(None))
    assert machine.sample().limit_cores.tolist() == [0.8, 0.8]
    machine.node.set_limit(POD, CpuLimit(None))
    assert machine.sample().limit_cores.tolist() == [math.inf, math.inf]


def test_a_custom_period_counts_and_is_kept(machine: Machine) -> None:
    if machine.tree.kind == "v2":
        machine.tree.put(WEB, "cpu.max", "max 20000")
    else:
        machine.tree.put(WEB, "cpu.cfs_period_us", "20000")
    machine.watch(WEB)
    limit = machine.node.limit(WEB)
    assert limit == CpuLimit(None, 20_000)
    machine.node.set_limit(WEB, limit.with_cores(0.5))
    assert machine.node.limit(WEB) == CpuLimit(10_000, 20_000)
    assert machine.sample().limit_cores[0] == 0.5


def test_a_period_changed_by_others_is_noticed_in_time(v1: Machine) -> None:
    v1.watch(WEB)
    v1.node.set_limit(WEB, CpuLimit(50_000))
    assert v1.sample().limit_cores[0] == 0.5
    v1.tree.put(WEB, "cpu.cfs_period_us", "50000")
    v1.now += 20
    assert v1.sample().limit_cores[0] == 1.0
    assert v1.node.limit(WEB).cores == 1.0


def test_throttling_of_the_ancestor_that_binds(machine: Machine) -> None:
    machine.node.set_limit(POD, CpuLimit(30_000))
    machine.watch(WEB)
    before = machine.sample()
    machine.tree.throttle(POD, periods=10, throttled=8, seconds=0.4)
    after = machine.sample()
    assert (after.throttled_periods - before.throttled_periods)[0] == 8
    assert (after.throttled_seconds - before.throttled_seconds)[0] == pytest.approx(0.4)


def test_a_pod_that_throttles_binds_though_its_limit_is_higher(machine: Machine) -> None:
    machine.node.set_limit(POD, CpuLimit(80_000))
    machine.node.set_limit(WEB, CpuLimit(60_000))
    machine.watch(WEB)
    before = machine.sample()
    machine.tree.throttle(WEB, periods=10)
    machine.tree.throttle(POD, periods=10, throttled=4, seconds=0.1)
    after = machine.sample()
    assert (after.throttled_periods - before.throttled_periods)[0] == 4
    assert after.limit_cores[0] == 0.6


def test_counters_do_not_jump_when_another_group_begins_to_bind(machine: Machine) -> None:
    machine.tree.throttle(POD, periods=1000, throttled=900, seconds=90)
    machine.tree.throttle(WEB, periods=10, throttled=5, seconds=1)
    machine.node.set_limit(WEB, CpuLimit(50_000))
    machine.watch(WEB)
    seen = [machine.sample()]
    machine.tree.throttle(WEB, periods=10, throttled=5, seconds=1)
    seen.append(machine.sample())
    machine.tree.throttle(POD, periods=10, throttled=7, seconds=2)
    seen.append(machine.sample())
    machine.tree.throttle(WEB, periods=10, throttled=1, seconds=3)
    seen.append(machine.sample())
    assert [float(s.throttled_periods[0]) for s in seen] == [5, 10, 17, 18]
    assert [float(s.throttled_seconds[0]) for s in seen] == pytest.approx([1, 2, 4, 7])


def test_vanished_container_is_gone_and_its_files_closed(machine: Machine) -> None:
    machine.tree.add("/other")
    machine.watch(WEB, "/other")
    machine.sample()
    machine.tree.remove(WEB)
    sample = machine.sample()
    assert sample.gone == {WEB}
    assert all(math.isnan(getattr(sample, name)[0]) for name in Sample.COLUMNS)
    assert sample.usage_seconds[1] == 0
    assert not [path for path in machine.tree.files.open_paths if path.parent.name == "web"]
    with pytest.raises(Gone):
        machine.node.set_limit(WEB, CpuLimit(50_000))
    with pytest.raises(Gone):
        machine.node.limit(WEB)
    with pytest.raises(Gone):
        machine.node.inode(WEB)


def test_a_new_group_of_the_same_path_is_never_written_for_the_old_one(machine: Machine) -> None:
    machine.watch(WEB)
    machine.sample()
    old = machine.tree.inode(WEB)
    assert machine.tree.replace(WEB) != old
    untouched = machine.tree.text(WEB, limit_file(machine))
    with pytest.raises(Gone):
        machine.node.set_limit(WEB, CpuLimit(50_000))
    with pytest.raises(Gone):
        machine.node.set_burst_us(WEB, 1_000)
    assert machine.sample().gone == {WEB}
    with pytest.raises(Gone):
        machine.node.set_limit(WEB, CpuLimit(50_000))
    assert machine.tree.text(WEB, limit_file(machine)) == untouched
    machine.watch(WEB)
    machine.node.set_limit(WEB, CpuLimit(50_000))
    assert machine.sample().limit_cores[0] == 0.5


def test_watching_with_the_inode_of_another_group_is_gone(machine: Machine) -> None:
    machine.node.watch([Container("x", WEB, inode=machine.tree.inode(WEB) + 999)])
    assert machine.sample().gone == {"x"}


def test_replaced_pod_is_opened_anew_with_its_container(machine: Machine) -> None:
    machine.watch(WEB)
    machine.sample()
    machine.tree.remove(POD)
    machine.tree.add(WEB)
    machine.watch(WEB)  # before any sample could tell that the old ones are gone
    machine.node.set_limit(POD, CpuLimit(40_000))
    sample = machine.sample()
    assert sample.gone == frozenset()
    assert sample.limit_cores[0] == 0.4


def test_watch_again_keeps_what_is_open(machine: Machine) -> None:
    machine.watch(WEB)
    machine.sample()
    machine.tree.throttle(WEB, periods=3)
    paths = sorted(machine.tree.files.open_paths)
    machine.watch(WEB)
    assert sorted(machine.tree.files.open_paths) == paths
    assert machine.sample().periods[0] == 3
    machine.node.watch([])
    assert machine.tree.files.open_paths == []


def test_unmounted_tree_is_an_error(machine: Machine) -> None:
    machine.watch(WEB)
    machine.tree.remove("/")
    with pytest.raises(OSError, match="No such file"):
        machine.sample()


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "garbage": lambda data: b"\xff?!\n",
    "short": lambda data: data[:-1],
    "empty": lambda data: b"",
}


@pytest.mark.parametrize("fault", ["EIO", *CHANGES])
def test_one_bad_file_is_nan_in_its_column_only(machine: Machine, fault: str) -> None:
    tree = machine.tree
    v2 = tree.kind == "v2"
    usage = {"usage_seconds"}
    columns_of = {
        "cpu.stat": {"periods", "throttled_periods", "throttled_seconds"} | (usage if v2 else set()),
        limit_file(machine): {"limit_cores"},
        "memory.current" if v2 else "memory.usage_in_bytes": {"memory_bytes"},
        "memory.max" if v2 else "memory.limit_in_bytes": {"memory_limit_bytes"},
        **({} if v2 else {"cpuacct.usage": usage}),
    }
    machine.watch(WEB)
    machine.sample()
    absent = {name for name in Sample.COLUMNS if math.isnan(getattr(machine.sample(), name)[0])}
    for file, columns in columns_of.items():
        tree.use_cpu(WEB, 0.1)
        tree.throttle(WEB, periods=1)
        if fault == "EIO":
            tree.fail(WEB, file, errno.EIO)
        else:
            tree.garble(WEB, file, CHANGES[fault])
        sample = machine.sample()
        nan = {name for name in Sample.COLUMNS if math.isnan(getattr(sample, name)[0])}
        assert nan - absent == columns, file
        assert sample.gone == frozenset()
        tree.heal()
    assert machine.sample().periods[0] == len(columns_of)
