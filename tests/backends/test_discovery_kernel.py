"""The walk on a real cgroup hierarchy, and what it must not rely on there."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.cgroup.layout import LayoutError, load_layout
from backends.cgroup.tree import Tree
from backends.discovery.cgroupfs import CgroupfsDiscovery
from backends.discovery.sandbox import SandboxCheck
from models.container import Container

pytestmark = pytest.mark.system

A, B = "a" * 64, "b" * 64


class RealTree(Tree):
    def __init__(self) -> None:
        layout = load_layout()
        super().__init__(layout)
        self.top = Path(layout.cpu.point)

    def inode(self, group: str) -> int:
        return Path(f"{self.top}{group}").stat().st_ino


@pytest.fixture
def root(cgroup_name: str) -> Iterator[tuple[RealTree, str]]:
    try:
        tree = RealTree()
        (tree.top / cgroup_name).mkdir()
    except (LayoutError, OSError) as error:
        pytest.skip(f"no cgroup to write to: {error}")
    yield tree, f"/{cgroup_name}"
    for directory, _, _ in os.walk(tree.top / cgroup_name, topdown=False):
        for _ in range(100):
            try:
                Path(directory).rmdir()
                break
            except OSError:  # EBUSY until the tasks are reaped
                time.sleep(0.01)


def test_a_sandbox_beside_a_container(root: tuple[RealTree, str], tmp_path: Path) -> None:
    tree, top = root
    pause = tmp_path / "pause"
    pause.symlink_to("/bin/sleep")
    started = []
    try:
        for name, program in ((A, str(pause)), (B, "/bin/sleep")):
            group = tree.top / top.strip("/") / "podx" / name
            group.mkdir(parents=True)
            started.append(subprocess.Popen([program, "60"]))
            (group / "cgroup.procs").write_text(str(started[-1].pid))
        discovery = CgroupfsDiscovery(
            tree, [top], [], default=Container("", "", 0), is_sandbox=SandboxCheck(str(tree.top))
        )
        assert [(c.id, c.inode) for c in discovery.containers()] == [
            (B, (tree.top / top.strip("/") / "podx" / B).stat().st_ino)
        ]
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_directory_times_and_link_counts_do_not_tell_that_a_child_was_replaced(
    root: tuple[RealTree, str],
) -> None:
    tree, top = root
    parent = tree.top / top.strip("/")
    (parent / A).mkdir()
    before = parent.stat()
    (parent / A).rmdir()
    (parent / B).mkdir()
    after = parent.stat()
    assert (before.st_mtime_ns, before.st_nlink) == (after.st_mtime_ns, after.st_nlink)
