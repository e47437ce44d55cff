"""The closed loop on real kernels. Outcomes are asserted, not times: those are the benchmarks' business."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scenarios.run import run_scenario
from benchmarks.scenarios.table import SCENARIOS, Scenario
from controller.cli import main
from controller.demo.work import calibrate
from tests.system.kernel.uml import GUEST_OUT_DIR, run_in_uml

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="not root: cgroups cannot be made"),
]


def assert_recovered(report: dict[str, Any]) -> None:
    states = [move["to"] for move in report["transitions"] if move["container"] == "online"]
    assert "throttling-peer" in states, states
    assert states[-1] in ("normal", "recovering"), states
    assert report["first_cut_at_seconds"] is not None
    assert report["recovered_at_seconds"] is not None
    assert report["recovered_at_seconds"] < report["surge_until_seconds"]
    assert report["restored"]
    assert report["p95_during_seconds"] < report["uncontrolled"]["p95_during_seconds"]


def test_the_demo_on_the_hosts_kernel(tmp_path: Path) -> None:
    code = main(["demo", "--backend", "kernel", "--timeline", "short", "--out", str(tmp_path)])
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["backend"] in ("cgroup-v1", "cgroup-v2")
    assert_recovered(report)
    assert code == 0
    assert (tmp_path / "demo.png").stat().st_size > 10_000


def test_the_loop_on_a_cgroup_v2_kernel(v2_kernel: Path, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "tests.system.guest_loop", GUEST_OUT_DIR]
    assert run_in_uml(argv, tmp_path, timeout_seconds=400) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["backend"] == "cgroup-v2"
    assert_recovered(report)


def test_the_fake_tree_refuses_what_cgroup_v2_refuses(v2_kernel: Path, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "tests.fakes.cgroup_compare", "v2", "/sys/fs/cgroup"]
    assert run_in_uml(argv, tmp_path, timeout_seconds=120) == 0


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_causes_are_told_apart(scenario: Scenario) -> None:
    outcome, figures = run_scenario(scenario, calibrate())
    assert scenario.is_right(outcome), (outcome, figures)
