"""Weights and cpu.idle through CgroupNode, on the fake that refuses what the kernel refuses."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from backends.base import Gone, Refused
from models.container import CpuWeight
from tests.backends.test_cgroup_writes import WEB, machine, watch
from tests.fakes.cgroup_tree import Kind

KINDS: list[Kind] = ["v1", "v1-joint", "hybrid", "v2"]


def weight_file(kind: Kind) -> str:
    return "cpu.weight" if kind == "v2" else "cpu.shares"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("watched", [True, False])
def test_idle_goes_before_the_weight_comes_back(tmp_path: Path, kind: Kind, watched: bool) -> None:
    tree, node = machine(tmp_path, kind)
    if watched:
        watch(tree, node)
    node.reweigh(WEB, CpuWeight(300))
    assert node.weight(WEB) == CpuWeight(300)
    node.reweigh(WEB, CpuWeight(0, idle=True))
    assert node.weight(WEB).idle
    node.reweigh(WEB, CpuWeight(300))
    assert node.weight(WEB) == CpuWeight(300)
    written = [(Path(path).name, text) for path, text in tree.files.writes]
    assert written[-2:] == [("cpu.idle", "0"), (weight_file(kind), "300")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_without_cpu_idle_has_weights(tmp_path: Path, kind: Kind) -> None:
    tree, node = machine(tmp_path, kind)
    tree.path(WEB, "cpu.idle").unlink()
    node.reweigh(WEB, CpuWeight(2))
    assert node.weight(WEB) == CpuWeight(2)
    with pytest.raises(Refused) as refused:
        node.reweigh(WEB, CpuWeight(0, idle=True))
    assert refused.value.errno == errno.ENOENT


@pytest.mark.parametrize("kind", KINDS)
def test_refusals_name_the_file(tmp_path: Path, kind: Kind) -> None:
    tree, node = machine(tmp_path, kind)
    tree.fail(WEB, weight_file(kind), errno.EACCES, "write")
    with pytest.raises(Refused, match=weight_file(kind)):
        node.reweigh(WEB, CpuWeight(2))
    tree.garble(WEB, weight_file(kind), lambda data: b"x\n")
    with pytest.raises(Refused, match=weight_file(kind)):
        node.weight(WEB)


@pytest.mark.parametrize("kind", KINDS)
def test_another_group_of_the_same_path_is_not_written(tmp_path: Path, kind: Kind) -> None:
    tree, node = machine(tmp_path, kind)
    watch(tree, node)
    tree.replace(WEB)
    with pytest.raises(Gone):
        node.reweigh(WEB, CpuWeight(0, idle=True))
    assert tree.text(WEB, "cpu.idle") == "0"
    assert tree.files.open_paths
    node.close()
    assert tree.files.open_paths == []


@pytest.mark.parametrize(("shares", "weight"), [(1024, 100), (2, 1), (512, 50), (262_144, 10_000)])
def test_shares_in_the_scale_of_v2(tmp_path: Path, shares: int, weight: int) -> None:
    _, node = machine(tmp_path, "v2")
    assert node.weight_of(shares) == weight


def test_shares_in_the_scale_of_v1(tmp_path: Path) -> None:
    _, node = machine(tmp_path, "v1")
    assert node.weight_of(2) == 2
