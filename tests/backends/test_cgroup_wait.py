"""CPU wait: where PSI is found on a hybrid host, and the run delay in its place."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from backends.cgroup import CgroupNode, open_node
from models.container import Container
from tests.fakes.cgroup_tree import CgroupTree, Kind

WEB = "/pod/web"


def machine(base: Path, kind: Kind = "hybrid") -> tuple[CgroupTree, CgroupNode]:
    tree = CgroupTree(base, kind)
    inode = tree.add(WEB)
    node = open_node(mountinfo_path=tree.mountinfo, proc=tree.proc, files=tree.files)
    node.watch([Container("web", WEB, inode)])
    return tree, node


def wait(node: CgroupNode, now: float) -> float:
    return float(node.collect(now).wait_seconds[0])


def delay(node: CgroupNode, now: float) -> float:
    return float(node.collect(now).run_delay_seconds[0])


def test_psi_is_found_where_the_processes_are(tmp_path: Path) -> None:
    tree, node = machine(tmp_path)
    tree.add("/machine.slice/web.scope")
    tree.add_process(WEB, 10, unified_group="/machine.slice/web.scope")
    start = wait(node, 1.0)
    tree.stall("/machine.slice/web.scope", 0.5)
    assert wait(node, 2.0) - start == pytest.approx(0.5)


def test_psi_of_the_whole_container_when_it_has_groups_of_its_own(tmp_path: Path) -> None:
    tree, node = machine(tmp_path)
    tree.add(f"{WEB}/init.scope")
    tree.add_process(WEB, 10, unified_group=f"{WEB}/init.scope")
    start = wait(node, 1.0)
    tree.stall(WEB, 0.5)
    assert wait(node, 2.0) - start == pytest.approx(0.5)


@pytest.mark.parametrize("shared", ["/", "/agent.service"])
def test_psi_shared_with_others_is_not_the_containers(tmp_path: Path, shared: str) -> None:
    tree, node = machine(tmp_path)
    tree.add("/agent.service")
    tree.add_process("/agent.service", 5, unified_group=shared)
    tree.add_process(WEB, 10, unified_group=shared)
    sample = node.collect(1.0)
    assert math.isnan(sample.wait_seconds[0])
    assert sample.run_delay_seconds[0] == 0.0


def test_without_the_hosts_processes_the_same_path_counts_if_populated(tmp_path: Path) -> None:
    tree, node = machine(tmp_path)
    assert math.isnan(wait(node, 1.0))
    tree.put(WEB, "cgroup.procs", "")
    events = tree.directory(WEB, "unified") / "cgroup.events"
    events.write_text("populated 1\nfrozen 0\n")
    assert math.isnan(wait(node, 1.5)), "asked again about once a second only"
    assert wait(node, 2.1) == 0.0


def test_a_vanished_v2_group_is_looked_for_again_without_a_jump(tmp_path: Path) -> None:
    tree, node = machine(tmp_path)
    tree.add_process(WEB, 10)
    tree.stall(WEB, 100.0)
    assert wait(node, 1.0) == 0.0
    tree.stall(WEB, 1.0)
    assert wait(node, 2.0) == 1.0
    shutil.rmtree(tree.directory(WEB, "unified"))
    assert math.isnan(wait(node, 3.0))
    tree.make_directory(tree.directory(WEB, "unified"))
    (tree.directory(WEB, "unified") / "cgroup.procs").write_text("10\n")
    tree.stall(WEB, 50.0)
    assert wait(node, 5.0) == 1.0
    tree.stall(WEB, 1.0)
    assert wait(node, 6.0) == 2.0


def test_neither_psi_nor_processes_is_no_signal(tmp_path: Path) -> None:
    _, node = machine(tmp_path, "v1")
    sample = node.collect(1.0)
    assert math.isnan(sample.wait_seconds[0])
    assert math.isnan(sample.run_delay_seconds[0])


def test_run_delay_while_threads_come_and_go(tmp_path: Path) -> None:
    tree, node = machine(tmp_path, "v1")
    tree.add_process(WEB, 10, threads=[11])
    tree.set_run_delay(10, 500.0)
    assert delay(node, 1.0) == 0.0, "the past before the first look does not count"
    tree.set_run_delay(10, 500.25)
    tree.set_run_delay(11, 0.5)
    assert delay(node, 2.0) == pytest.approx(0.75)
    tree.remove_thread(WEB, 11)
    assert delay(node, 3.0) == pytest.approx(0.75)
    tree.add_process(WEB, 12)
    tree.set_run_delay(12, 0.5)  # born since the last look
    tree.add_process(WEB, 13)
    tree.set_run_delay(13, 300.0)  # moved here with a past
    assert delay(node, 4.0) == pytest.approx(1.25)
    tree.set_run_delay(13, 300.5)
    assert delay(node, 5.0) == pytest.approx(1.75)
    tree.set_run_delay(13, 0.25)  # the id is another thread's now
    assert delay(node, 6.0) == pytest.approx(2.0)


def test_a_thread_that_exits_between_two_reads_is_skipped(tmp_path: Path) -> None:
    tree, node = machine(tmp_path, "v1")
    tree.add_process(WEB, 10, threads=[11])
    shutil.rmtree(tree.proc / "11")
    assert delay(node, 1.0) == 0.0
