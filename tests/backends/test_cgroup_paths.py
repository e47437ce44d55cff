"""Paths of groups, children, patterns and allowed CPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.cgroup import CgroupNode, open_node
from tests.fakes.cgroup_tree import CgroupTree, Kind

KINDS = pytest.mark.parametrize("kind", ["v1", "v1-joint", "hybrid", "v2"])


def machine(base: Path, kind: Kind = "hybrid") -> tuple[CgroupTree, CgroupNode]:
    tree = CgroupTree(base, kind)
    return tree, open_node(mountinfo_path=tree.mountinfo, proc=tree.proc, files=tree.files)


@KINDS
def test_relative(tmp_path: Path, kind: Kind) -> None:
    tree, node = machine(tmp_path, kind)
    for controller in ("cpu", "memory"):
        point = tree.directory("/", controller)
        assert node.relative(f"{point}/a//b/") == "/a/b"
        assert node.relative(str(point)) == "/"
    assert node.relative("/a/b") == node.relative("a/b/") == "/a/b"
    with pytest.raises(ValueError, match=r"'\.\.'"):
        node.relative("/a/../b")


def test_relative_follows_a_link_to_the_mount_point(tmp_path: Path) -> None:
    tree, node = machine(tmp_path, "v1-joint")
    link = tree.directory("/").with_name("cpu")
    link.symlink_to("cpu,cpuacct")
    assert node.relative(f"{link}/a") == "/a"


def test_relative_to_a_mounted_sub_tree(tmp_path: Path) -> None:
    tree, _ = machine(tmp_path, "v2")
    point = tree.directory("/")
    tree.mountinfo.write_text(
        f"30 1 0:26 /docker/x {point} rw - cgroup2 cgroup2 rw\n"
        "31 1 0:26 / /host/cgroup ro - cgroup2 cgroup2 rw\n"
    )
    node = open_node(mountinfo_path=tree.mountinfo, proc=tree.proc, files=tree.files)
    assert node.relative("/host/cgroup/docker/x/a") == "/a"
    with pytest.raises(ValueError, match="outside"):
        node.relative("/host/cgroup/docker/y")


@KINDS
def test_groups_and_children(tmp_path: Path, kind: Kind) -> None:
    tree, node = machine(tmp_path, kind)
    for group in ("/kube/pod1/c1", "/kube/pod2/c2", r"/kube\x2d.slice/c3"):
        tree.add(group)
    assert node.groups("/kube/pod*/*") == ["/kube/pod1/c1", "/kube/pod2/c2"]
    assert node.groups("kube/**/c2") == ["/kube/pod2/c2"]
    assert node.groups(f"{tree.directory('/')}/kube/*") == ["/kube/pod1", "/kube/pod2"]
    assert node.groups("/none*") == []
    assert node.children("/kube") == ["/kube/pod1", "/kube/pod2"]
    assert node.children("/") == ["/kube", r"/kube\x2d.slice"]
    assert node.children("/none") == []


def test_ancestors(tmp_path: Path) -> None:
    _, node = machine(tmp_path)
    assert node.ancestors("/a/b/c") == ("/a/b", "/a")
    assert node.ancestors("/a") == ()


@KINDS
def test_allowed_cpus(tmp_path: Path, kind: Kind) -> None:
    tree, node = machine(tmp_path, kind)
    file = "cpuset.cpus.effective" if kind == "v2" else "cpuset.effective_cpus"
    tree.add("/pod/web")
    tree.put("/pod", file, "0-3,8")
    tree.put("/pod/web", file, "2")
    assert node.allowed_cpus("/pod/web") == {2}
    assert node.allowed_cpus("/pod/gone") == {0, 1, 2, 3, 8}
    tree.put("/pod/web", file, "")
    assert node.allowed_cpus("/pod/web") == {0, 1, 2, 3, 8}
    for group in ("/pod/web", "/pod", "/"):
        tree.path(group, file).unlink()
    assert node.allowed_cpus("/pod/web") == frozenset(range(node.cpus))
