"""Scenes on the real kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path

import pytest

from backends.cgroup.layout import load_layout
from controller.demo.groups import NAME, directories, hierarchies, remove, sweep
from controller.demo.scene import Scene

sys.path.insert(0, str(Path(__file__).parent))
from leftovers import MARK, groups_of, processes_marked

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="not root: cgroups cannot be made"),
]
ROOT = Path(__file__).parents[3]


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> str:
    value = uuid.uuid4().hex
    monkeypatch.setenv(MARK, value)
    return value


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_process_is_in_its_group_in_every_hierarchy_and_gone_afterwards(mark: str) -> None:
    with Scene() as scene:
        process = scene.start(scene.offline, ["sleep", "60"])
        while Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":
            time.sleep(0.01)
        memberships = Path(f"/proc/{process.pid}/cgroup").read_text().splitlines()
        joined = {line.split(":")[1] for line in memberships if line.endswith(scene.offline)}
        assert joined >= ({""} if scene.layout.cpu.is_v2 else {"cpu", "cpuacct"})
        assert os.getsid(process.pid) == process.pid, "Ctrl-C at the terminal must not reach it"
    assert process.returncode == -signal.SIGKILL
    assert processes_marked(mark) == []
    assert groups_of(os.getpid()) == []


def test_online_and_offline_weigh_the_same_and_the_load_more() -> None:
    with Scene() as scene:
        file = "cpu.weight" if scene.layout.cpu.is_v2 else "cpu.shares"
        online, offline, load = (
            int(scene.cpu_file(group, file).read_text())
            for group in (scene.online, scene.offline, scene.load)
        )
    assert online == offline
    assert load == 10 * online


def test_grandchildren_and_an_exception_leave_nothing(mark: str) -> None:
    with pytest.raises(ValueError, match="on purpose"), Scene() as scene:
        scene.start(scene.online, ["sh", "-c", "sleep 60 & sleep 60 & wait"])
        time.sleep(0.3)
        assert len(processes_marked(mark)) == 3
        raise ValueError("on purpose")
    assert processes_marked(mark) == []
    assert groups_of(os.getpid()) == []


def test_killing_its_processes_keeps_the_scene_usable(mark: str) -> None:
    with Scene() as scene:
        first = scene.start(scene.offline, ["sleep", "60"])
        scene.kill()
        assert first.returncode == -signal.SIGKILL
        second = scene.start(scene.offline, ["true"])
        assert second.wait(5) == 0


def test_a_scene_that_cannot_be_made_leaves_nothing() -> None:
    prefix = f"/{NAME}-{os.getpid()}-twice"
    with Scene(prefix):
        pass
    with Scene(), pytest.raises(FileExistsError), Scene(prefix=None):
        pass
    assert groups_of(os.getpid()) == []


def test_a_prefix_that_no_sweep_would_find_is_refused() -> None:
    with pytest.raises(ValueError, match=NAME):
        Scene("/my-own-name")


def test_a_sweep_takes_dead_owners_groups_and_no_others() -> None:
    layout = load_layout()
    roots = hierarchies(layout)
    dead, living, other = (
        f"{NAME}-{dead_pid()}",
        f"{NAME}-{os.getpid()}-sweep",
        f"quotapilot-test-{uuid.uuid4().hex}",
    )
    leftover = None
    try:
        for name in (dead, living, other):
            for directory in directories(roots, name):
                (directory / "offline").mkdir(parents=True)
        leftover = subprocess.Popen(["sleep", "60"])
        (directories(roots, dead)[0] / "offline" / "cgroup.procs").write_text(str(leftover.pid))
        assert dead in sweep(layout)
        assert leftover.wait(5) == -signal.SIGKILL
        assert not any(path.exists() for path in directories(roots, dead))
        assert all(path.exists() for name in (living, other) for path in directories(roots, name))
    finally:
        if leftover is not None:
            leftover.kill()
        for name in (dead, living, other):
            with suppress(FileNotFoundError):
                remove(directories(roots, name))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_an_ended_program_leaves_no_process(mark: str, number: int, status: int) -> None:
    code = (
        "import time; from controller.demo.scene import Scene\n"
        "with Scene() as scene:\n"
        "    scene.start(scene.offline, ['sleep', '60']); print('on', flush=True); time.sleep(60)\n"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "on\n"
    time.sleep(0.2)
    program.send_signal(number)
    assert program.wait(10) == status
    program.stdout.close()
    if number == signal.SIGKILL:
        time.sleep(0.2)
        sweep(load_layout())
    assert processes_marked(mark) == []
    assert groups_of(program.pid) == []
