"""A scene on cgroup v2, in a guest of its own: mechanics only, its clock is no good for latencies."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.system.kernel.uml import GUEST_OUT_DIR, run_in_uml

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("apt-get") is None,
        reason="user-mode Linux is built from Debian's source package and run as root",
    ),
]


def test_a_scene_on_cgroup_v2(tmp_path: Path) -> None:
    script = Path(__file__).with_name("guest_scene.py")
    source = f"PYTHONPATH={Path(__file__).parents[3]}"
    command = ["env", source, sys.executable, str(script), f"{GUEST_OUT_DIR}/report.json"]
    assert run_in_uml(command, tmp_path, timeout_seconds=60) == 0

    report = json.loads((tmp_path / "report.json").read_text())
    assert report["backend"] == "cgroup-v2"
    assert report["joined"]
    assert report["row"]["usage_seconds"] > 0.2
    assert report["row"]["limit_cores"] is None
    assert report["row"]["idle"] == 1
    assert report["load_weight"] == "1000"
    assert report["idle_afterwards"] == "0"
    assert not report["left"]
