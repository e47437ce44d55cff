"""Telling a sandbox by its process, on directories like cgroupfs and /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.discovery.sandbox import SandboxCheck


def make(root: Path, pids: str, below: str = "", **programs: str) -> SandboxCheck:
    group = root / "cpu/pod/x"
    (group / "container").mkdir(parents=True)
    (group / "cgroup.procs").write_text(pids)
    (group / "container/cgroup.procs").write_text(below)
    for pid, comm in programs.items():
        (root / "proc" / pid[1:]).mkdir(parents=True)
        (root / "proc" / pid[1:] / "comm").write_text(comm + "\n")
    return SandboxCheck(str(root / "cpu"), str(root / "proc"))


@pytest.mark.parametrize(
    ("comm", "verdict"),
    [("pause", True), ("catatonit", True), ("nginx", False), ("runc:[2:INIT]", None), ("crun", None)],
)
def test_by_the_only_process(tmp_path: Path, comm: str, verdict: bool | None) -> None:
    assert make(tmp_path, "7\n", p7=comm)("/pod/x") is verdict


def test_a_process_one_level_down_counts_as_its_own(tmp_path: Path) -> None:
    assert make(tmp_path, "", "7\n", p7="pause")("/pod/x") is True


def test_several_processes_work(tmp_path: Path) -> None:
    assert make(tmp_path, "7\n8\n", p7="catatonit", p8="sh")("/pod/x") is False


def test_no_process_yet_or_none_to_be_seen(tmp_path: Path) -> None:
    check = make(tmp_path, "")
    assert check("/pod/x") is None
    assert check("/pod/nowhere") is None
    (tmp_path / "cpu/pod/x/cgroup.procs").write_text("0\n")
    assert check("/pod/x") is None
