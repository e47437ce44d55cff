"""Short runs on the real kernel."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from backends.cgroup.layout import load_layout
from benchmarks.lab import nginx
from benchmarks.lab.run import Run, Unavailable
from benchmarks.lab.scenario import Scenario, load_scenario
from benchmarks.lab.speed import Speed
from benchmarks.lab.stage import RealStage
from controller.demo.groups import NAME, hierarchies
from tests.benchmarks.lab.small_scenario import SMALL

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="not root: cgroups cannot be made"),
]
SLO_SECONDS = 0.05


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> RealStage:
    return RealStage(Speed(tmp_path_factory.mktemp("speed") / "speed.json"))


@pytest.fixture(scope="module")
def uncontrolled(stage: RealStage) -> Run:
    return stage.run(SMALL, "none", 1, slo_seconds=SLO_SECONDS)


def groups_left() -> list[Path]:
    roots = hierarchies(load_layout(), cpuset=True)
    return [path for root in roots for path in root.glob(f"{NAME}-{os.getpid()}*")]


def between(run: Run, name: str, column: str, start: float, end: float) -> float:
    counter = getattr(run.groups[name], column)
    return float(np.diff(np.interp([start, end], run.at_seconds, counter))[0])


def test_without_control_all_is_counted_and_nothing_is_left(uncontrolled: Run) -> None:
    run = uncontrolled
    assert groups_left() == []
    assert run.restored
    assert run.events == []
    assert run.groups.keys() == {"web", "batch", "light", "load", "agent"}
    assert run.at_seconds[0] < 0 < SMALL.seconds < run.at_seconds[-1]
    assert run.requests.intended_seconds.size > 100
    assert (run.requests.latency_seconds > 0).all()
    for peer in ("batch", "light"):
        assert between(run, peer, "work_units", 1, 6) > 0
    assert between(run, "web", "usage_seconds", 1, 6) > 1
    assert between(run, "load", "usage_seconds", 1, 6) > 0
    assert (run.groups["web"].limit_cores == 1.5).all()
    assert np.isinf(run.groups["batch"].limit_cores).all()


def test_a_peer_works_in_its_stretches_only(uncontrolled: Run) -> None:
    assert between(uncontrolled, "batch", "work_units", uncontrolled.at_seconds[0], 0.9) == 0
    assert between(uncontrolled, "light", "work_units", uncontrolled.at_seconds[0], 0.9) > 0


def test_a_saved_run_is_read_back(uncontrolled: Run, tmp_path: Path) -> None:
    uncontrolled.save(tmp_path / "run.npz")
    read = Run.load(tmp_path / "run.npz")
    assert read.groups.keys() == uncontrolled.groups.keys()
    assert np.array_equal(read.requests.latency_seconds, uncontrolled.requests.latency_seconds)


def test_quotapilot_cuts_is_observed_and_gives_everything_back(stage: RealStage, uncontrolled: Run) -> None:
    run = stage.run(SMALL, "quotapilot", 1, slo_seconds=SLO_SECONDS)
    assert groups_left() == []
    assert run.restored
    batch = run.groups["batch"]
    assert batch.idle.max() == 1 or batch.limit_cores.min() < 2, "it gave way, by weight or by quota"
    assert {event["kind"] for event in run.events} >= {"transition", "revision"}
    assert all(run.at_seconds[0] < event["at_seconds"] < run.at_seconds[-1] for event in run.events)
    assert 10e6 < run.agent_memory_bytes < 1e9
    assert between(run, "agent", "usage_seconds", 0, 6) > 0
    assert np.array_equal(run.requests.intended_seconds, uncontrolled.requests.intended_seconds)


def test_what_a_baseline_leaves_is_put_back(stage: RealStage) -> None:
    run = stage.run(SMALL, "idle+static-0.8", 1, slo_seconds=SLO_SECONDS)
    assert run.restored
    assert run.groups["batch"].idle.max() == 1
    assert run.groups["batch"].limit_cores.min() < 1


def test_alone_no_peer_is_started(stage: RealStage) -> None:
    run = stage.run(SMALL, "alone", 1, slo_seconds=SLO_SECONDS)
    assert between(run, "batch", "usage_seconds", 0, 6) == 0
    assert run.groups["batch"].work_units.max() == 0


def test_a_controller_that_is_not_there_is_refused(stage: RealStage) -> None:
    with pytest.raises(ValueError, match="nobody-knows"):
        stage.run(SMALL, "nobody-knows", 1, slo_seconds=SLO_SECONDS)


def test_a_scenario_for_more_cpus_than_there_are_is_refused(stage: RealStage) -> None:
    far = SMALL.model_copy(update={"peers": (SMALL.peers[1].model_copy(update={"cpus": (4096,)}),)})
    with pytest.raises(Unavailable, match="small needs CPU 4096"):
        stage.run(far, "none", 1, slo_seconds=SLO_SECONDS)


@pytest.mark.skipif(not nginx.is_installed(), reason=f"no nginx: apt-get install {nginx.PACKAGE}")
def test_nginx_answers_beside_real_batch_work(stage: RealStage) -> None:
    real = load_scenario("r1-nginx")
    short = Scenario.model_validate(
        real.model_dump()
        | {
            "seconds": 5.0,
            "surge_seconds": (1.0, 5.0),
            "release_seconds": None,
            "online": [real.victim.model_dump() | {"load": ((0.0, 0.4),)}],
            "peers": [real.peers[0].model_dump() | {"active": None}],
        }
    )
    run = stage.run(short, "none", 1, slo_seconds=SLO_SECONDS)
    assert np.median(run.requests.latency_seconds) < 5
    assert between(run, "nginx", "usage_seconds", 1, 5) > 0.3
    assert between(run, "compress", "work_units", 1, 5) > 0


def test_a_server_that_is_not_installed_is_named_with_its_package(
    stage: RealStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nginx.shutil, "which", lambda name: None)
    with pytest.raises(Unavailable, match="apt-get install --no-install-recommends nginx"):
        stage.run(load_scenario("r1-nginx"), "none", 1, slo_seconds=SLO_SECONDS)
