"""Writing limits through CgroupNode: what the kernel refuses, and what is done about it."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path

import pytest

from backends.base import Gone, Refused
from backends.cgroup import CgroupNode, open_node
from models.container import Container, CpuLimit
from tests.fakes.cgroup_tree import CgroupTree, FakeFiles, Kind

POD, WEB = "/pod", "/pod/web"


def machine(base: Path, kind: Kind = "hybrid") -> tuple[CgroupTree, CgroupNode]:
    tree = CgroupTree(base, kind)
    tree.add(WEB)
    return tree, open_node(mountinfo_path=tree.mountinfo, proc=tree.proc, files=tree.files)


def watch(tree: CgroupTree, node: CgroupNode) -> None:
    node.watch([Container(WEB, WEB, tree.inode(WEB))])


@pytest.mark.parametrize("watched", [True, False])
def test_v1_writes_the_quota_only(tmp_path: Path, watched: bool) -> None:
    tree, node = machine(tmp_path)
    if watched:
        watch(tree, node)
    node.set_limit(WEB, CpuLimit(50_000, 20_000))
    node.set_limit(WEB, CpuLimit(None))
    assert [(Path(path).name, text) for path, text in tree.files.writes] == [
        ("cpu.cfs_quota_us", "50000"),
        ("cpu.cfs_quota_us", "-1"),
    ]


@pytest.mark.parametrize("watched", [True, False])
def test_v2_writes_quota_and_period(tmp_path: Path, watched: bool) -> None:
    tree, node = machine(tmp_path, "v2")
    if watched:
        watch(tree, node)
    node.set_limit(WEB, CpuLimit(50_000, 20_000))
    assert tree.text(WEB, "cpu.max") == "50000 20000"
    node.set_limit(WEB, CpuLimit(None, 20_000))
    assert tree.text(WEB, "cpu.max") == "max 20000"


@pytest.mark.parametrize("kind", ["hybrid", "v2"])
def test_a_burst_above_the_new_quota_is_lowered_first(tmp_path: Path, kind: Kind) -> None:
    _, node = machine(tmp_path, kind)
    node.set_limit(WEB, CpuLimit(50_000))
    node.set_burst_us(WEB, 40_000)
    node.set_limit(WEB, CpuLimit(30_000))
    assert node.limit(WEB) == CpuLimit(30_000)
    assert node.burst_us(WEB) == 30_000
    node.set_limit(WEB, CpuLimit(50_000))
    assert node.burst_us(WEB) == 30_000


def test_v1_child_above_its_parent_is_refused(tmp_path: Path) -> None:
    tree, node = machine(tmp_path)
    node.set_limit(POD, CpuLimit(50_000))
    with pytest.raises(Refused) as refused:
        node.set_limit(WEB, CpuLimit(60_000))
    assert (refused.value.group, refused.value.file) == (WEB, "cpu.cfs_quota_us")
    assert (refused.value.errno, refused.value.value) == (errno.EINVAL, "60000")
    assert tree.text(WEB, "cpu.cfs_quota_us") == "-1"


def test_v2_child_above_its_parent_is_held_by_the_parent(tmp_path: Path) -> None:
    tree, node = machine(tmp_path, "v2")
    watch(tree, node)
    node.set_limit(POD, CpuLimit(50_000))
    node.set_limit(WEB, CpuLimit(60_000))
    assert node.collect(1.0).limit_cores[0] == 0.5


@pytest.mark.parametrize("kind", ["hybrid", "v2"])
@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.parametrize("number", [errno.EIO, errno.EBUSY, errno.EINVAL])
def test_other_errors_are_refusals(tmp_path: Path, kind: Kind, watched: bool, number: int) -> None:
    tree, node = machine(tmp_path, kind)
    if watched:
        watch(tree, node)
    file = "cpu.max" if kind == "v2" else "cpu.cfs_quota_us"
    tree.fail(WEB, file, number, "write")
    tree.fail(WEB, file, number, "read")
    with pytest.raises(Refused) as refused:
        node.set_limit(WEB, CpuLimit(50_000))
    assert refused.value.errno == number
    with pytest.raises(Refused):
        node.limit(WEB)


@pytest.mark.parametrize("kind", ["hybrid", "v2"])
def test_garbage_in_the_limit_is_a_refusal(tmp_path: Path, kind: Kind) -> None:
    tree, node = machine(tmp_path, kind)
    tree.garble(WEB, "cpu.max" if kind == "v2" else "cpu.cfs_quota_us", lambda data: b"what?\n")
    with pytest.raises(Refused):
        node.limit(WEB)


@pytest.mark.parametrize("kind", ["hybrid", "v2"])
def test_a_group_that_is_not_there_is_gone(tmp_path: Path, kind: Kind) -> None:
    _, node = machine(tmp_path, kind)
    for call in (node.limit, node.inode, node.burst_us):
        with pytest.raises(Gone):
            call("/none")
    with pytest.raises(Gone):
        node.set_limit("/none", CpuLimit(50_000))


def test_v2_group_without_the_cpu_controller(tmp_path: Path) -> None:
    tree, node = machine(tmp_path, "v2")
    for file in ("cpu.max", "cpu.max.burst"):
        tree.path(WEB, file).unlink()
    tree.path(WEB, "cpu.stat").write_text("usage_usec 7000000\nuser_usec 0\nsystem_usec 0\n")
    watch(tree, node)
    sample = node.collect(1.0)
    assert sample.gone == frozenset()
    assert (sample.usage_seconds[0], sample.limit_cores[0], sample.periods[0]) == (7.0, math.inf, 0.0)
    with pytest.raises(Refused) as refused:
        node.set_limit(WEB, CpuLimit(50_000))
    assert refused.value.errno == errno.ENOENT
    tree.path(WEB, "cpu.max").write_text("20000 100000\n")  # the controller is switched on
    assert node.collect(3.0).limit_cores[0] == 0.2


class ReadOnlyFiles(FakeFiles):
    """As on a read-only mount."""

    def open(self, path: str, flags: int) -> int:
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise OSError(errno.EROFS, "Read-only file system")
        return super().open(path, flags)

    def mkdir(self, path: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system")


def test_read_only_tree_can_be_watched_but_not_written(tmp_path: Path) -> None:
    tree = CgroupTree(tmp_path)
    tree.add(WEB)
    node = open_node(mountinfo_path=tree.mountinfo, proc=tree.proc, files=ReadOnlyFiles(tree))
    watch(tree, node)
    assert node.collect(1.0).limit_cores[0] == math.inf
    assert node.limit(WEB) == CpuLimit(None)
    with pytest.raises(Refused) as refused:
        node.set_limit(WEB, CpuLimit(50_000))
    assert refused.value.errno == errno.EROFS
    assert not node.writable()
    assert "Read-only" in (node.write_problem() or "")


@pytest.mark.parametrize("kind", ["v1", "v1-joint", "hybrid", "v2"])
def test_the_write_test_leaves_nothing_and_touches_nothing(tmp_path: Path, kind: Kind) -> None:
    tree, node = machine(tmp_path, kind)
    assert node.write_problem() is None
    assert node.writable()
    assert node.children("/") == ["/pod"]
    assert all("quotapilot-probe" in path for path, _ in tree.files.writes)
