"""Trees of groups on the real kernel."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from controller.demo.groups import NAME, hierarchies
from controller.demo.playground import Branch, Playground

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="not root: cgroups cannot be made"),
]


def test_a_process_runs_on_the_cpus_of_its_group_only() -> None:
    branches = (Branch("/slice", 512), Branch("/slice/pinned", 2, cpus=(0,)), Branch("/free"))
    with Playground(branches) as ground:
        process = ground.start(ground.prefix + "/slice/pinned", ["sleep", "60"])
        other = ground.start(ground.prefix + "/free", ["sleep", "60"])
        while any(Path(f"/proc/{p.pid}/comm").read_text() != "sleep\n" for p in (process, other)):
            time.sleep(0.01)
        assert os.sched_getaffinity(process.pid) == {0}
        assert os.sched_getaffinity(other.pid) == os.sched_getaffinity(0)
        layout = ground.layout
    assert not [p for root in hierarchies(layout, cpuset=True) for p in root.glob(f"{NAME}-{os.getpid()}*")]


def test_weights_are_those_of_the_branches() -> None:
    with Playground((Branch("/slice", 512), Branch("/slice/light", 2)), shares=4096) as ground:
        if ground.layout.cpu.is_v2:
            pytest.skip("cpu.shares is v1's")
        found = [
            int(ground.cpu_file(ground.prefix + path, "cpu.shares").read_text())
            for path in ("", "/slice", "/slice/light")
        ]
    assert found == [4096, 512, 2]
