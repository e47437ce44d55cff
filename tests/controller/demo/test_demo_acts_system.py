"""Whole acts on the real kernel, small ones."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from controller.demo.acts import ServiceSettings, run_act
from controller.demo.controllers import NoControl, WeightsOnly
from controller.demo.crew import ActFailed
from controller.demo.progress import Progress
from controller.demo.report import act_figures, onset_of
from controller.demo.scene import Scene
from controller.demo.timeline import make_timeline
from controller.demo.work import calibrate
from models.container import Slo

sys.path.insert(0, str(Path(__file__).parent))
from leftovers import MARK, groups_of, processes_marked

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="not root: cgroups cannot be made"),
]
HERE = Path(__file__).parent
SLO = Slo(0.25)
FOREIGN_LIMIT = 0.2  # with 0.7 of the machine needed for the surge, nothing is left to win above


def test_a_surge_hurts_without_control_and_cpu_idle_helps() -> None:
    line = make_timeline("test", (2.0, 5.0, 1.0), cpus=os.cpu_count() or 1)
    service = ServiceSettings(calibrate())
    looks: list[Progress] = []
    with Scene() as scene:
        uncontrolled = run_act(
            scene, line, NoControl(), slo=SLO, service=service, seed=5, progress=looks.append
        )
        weights = run_act(scene, line, WeightsOnly(), slo=SLO, service=service, seed=5)

    onset = onset_of(uncontrolled, SLO.latency_seconds)
    assert onset is not None
    assert line.surge_from_seconds <= onset < line.surge_until_seconds
    free = act_figures(uncontrolled, SLO.latency_seconds, onset)
    idle = act_figures(weights, SLO.latency_seconds, onset)
    assert free["p95_during_seconds"] > 2 * SLO.latency_seconds
    assert free["first_cut_at_seconds"] is None
    assert idle["first_cut_at_seconds"] is not None, "cpu.idle is a cut, though no limit"
    assert idle["offline_cores_during"] < free["offline_cores_during"]
    assert free["offline_work_units_per_second_during"] > 0
    assert uncontrolled.restored
    assert weights.restored
    assert (uncontrolled.requests.intended_seconds == weights.requests.intended_seconds).all()
    assert {look.phase for look in looks} == {"before", "surge", "after"}
    assert max(look.p95_seconds for look in looks[2:]) > SLO.latency_seconds
    if (foreign := idle["foreign_load_ratio"]) > FOREIGN_LIMIT:
        pytest.skip(f"others use {foreign:.0%} of this machine, which no weight among siblings can help")
    assert idle["p95_during_seconds"] < free["p95_during_seconds"] / 2


class Breaks(NoControl):
    """A controller that does not come up."""

    stopped = False

    def start(self, *arguments: object) -> None:
        raise RuntimeError("on purpose")

    def stop(self) -> None:
        self.stopped = True


class KillsTheService(NoControl):
    """Somebody kills the service while the act runs."""

    def start(self, scene: Scene, online_group: str, *arguments: object) -> None:
        for pid in scene.cpu_file(online_group, "cgroup.procs").read_text().split():
            os.kill(int(pid), signal.SIGKILL)


def test_a_controller_that_fails_is_stopped_and_the_scene_emptied() -> None:
    line = make_timeline("test", (1.0, 1.0, 1.0), cpus=1)
    controller = Breaks()
    with Scene() as scene:
        with pytest.raises(RuntimeError, match="on purpose"):
            run_act(scene, line, controller, slo=SLO, service=ServiceSettings(1000.0))
        assert controller.stopped
        assert scene.cpu_file(scene.offline, "cgroup.procs").read_text() == ""


def test_an_act_whose_service_dies_fails_and_says_which() -> None:
    line = make_timeline("test", (1.0, 1.0, 1.0), cpus=1)
    with Scene() as scene, pytest.raises(ActFailed, match="service: ended with -9"):
        run_act(scene, line, KillsTheService(), slo=SLO, service=ServiceSettings(1000.0))


# Spread over the whole of an act; a little chance on top, so that over many runs every moment is tried.
@pytest.mark.parametrize("after_seconds", [0.7, 1.0, 1.4, 2.0, 3.0, 5.0])
def test_ctrl_c_at_any_moment_leaves_nothing(after_seconds: float) -> None:
    mark = uuid.uuid4().hex
    environment = {**os.environ, MARK: mark, "PYTHONPATH": str(HERE.parents[2])}
    program = subprocess.Popen(
        [sys.executable, str(HERE / "small_act.py")],
        env=environment,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        time.sleep(after_seconds + random.random() * 0.4)
        program.send_signal(signal.SIGINT)
        time.sleep(0.02)
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=15)
    finally:
        program.kill()
    assert program.returncode in (-signal.SIGINT, 1, 130), errors.decode()
    assert errors.rstrip().endswith(b"KeyboardInterrupt"), errors.decode()
    assert processes_marked(mark) == []
    assert groups_of(program.pid) == []
