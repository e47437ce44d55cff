"""The SLO: what it is made of, and that it is measured once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.lab.calibrate import SEEDS, alone_at, calibrate, measured_loads, slo_seconds
from benchmarks.lab.measured import Measured
from benchmarks.lab.scenario import Change, Online, Peer, Scenario
from tests.benchmarks.lab.fake_stage import FakeStage


def scenario(online: Online, name: str = "test") -> Scenario:
    peers = (Peer(),)
    return Scenario(
        name=name, title="", why="", seconds=60, surge_seconds=(10, 60), online=(online,), peers=peers
    )


def told(line: str) -> None:
    """Progress is not wanted."""


def by_load(at_usual: float, at_other: float) -> FakeStage:
    return FakeStage(
        lambda found, caps, seed: at_usual if found.victim.load[0][1] == 0.6 else at_other + seed / 1e6
    )


class TestSlo:
    def test_three_times_the_usual_or_1_3_times_the_peak_whichever_is_more(self) -> None:
        assert slo_seconds(0.040, 0.060) == 0.120
        assert slo_seconds(0.040, 0.200) == 0.260

    def test_it_is_rounded_up_to_a_millisecond(self) -> None:
        assert slo_seconds(0.0401, 0.0) == 0.121

    def test_a_scenarios_slo_is_of_the_median_seed_after_the_warm_up(self, tmp_path: Path) -> None:
        stage = by_load(0.04, 0.2)
        found = calibrate(
            stage,
            scenario(Online(load=((0, 0.3), (5, 0.8)))),
            Measured(tmp_path / "slo.json", "simulated"),
            told,
        )
        assert found.p99_at_peak_seconds == pytest.approx(0.2 + np.median(SEEDS) / 1e6)
        assert found.slo_seconds == pytest.approx(1.3 * found.p99_at_peak_seconds, abs=0.001)
        assert (found.usual_load, found.peak_load) == (0.6, 0.8)
        assert {controller for _, controller, _, _ in stage.asked} == {"alone"}


class TestLoads:
    def test_the_peak_is_the_largest_step_or_the_traces_peak(self) -> None:
        assert measured_loads(Online(load=((0, 0.3), (5, 0.8), (9, 0.1))), 2) == (0.6, 0.8)
        assert measured_loads(Online(trace="a.txt", trace_peak_load=0.85), 2) == (0.6, 0.85)

    def test_overload_is_no_load_to_measure_at(self) -> None:
        assert measured_loads(Online(load=((0, 1.15),)), 2) == (0.6, 0.9)

    def test_a_service_on_one_of_two_cpus_is_measured_at_half_the_loads(self) -> None:
        assert measured_loads(Online(load=((0, 0.55),), cpus=(0,)), 2) == (0.3, 0.45)

    def test_alone_is_without_its_own_limit_and_without_what_happens_on_the_way(self) -> None:
        online = Online(
            name="shop",
            group="/slice/shop",
            load=((0, 0.1),),
            limit_cores=0.4,
            sigma=0.5,
            changes=(Change(at_seconds=3, cpu_ms=30),),
        )
        alone = alone_at(online, 0.6)
        assert alone.peers == ()
        assert alone.victim == Online(load=((0, 0.6),), sigma=0.5)


class TestKept:
    def test_the_same_service_is_measured_once(self, tmp_path: Path) -> None:
        stage, file = by_load(0.04, 0.1), tmp_path / "slo.json"
        online = Online(load=((0, 0.8),))
        first = calibrate(stage, scenario(online), Measured(file, "simulated"), told)
        other_place = online.model_copy(update={"name": "shop", "group": "/a", "limit_cores": 0.4})
        again = calibrate(stage, scenario(other_place, "other"), Measured(file, "simulated"), told)
        assert again == first
        assert len(stage.asked) == 2 * len(SEEDS)

    def test_other_settings_another_backend_and_fresh_are_measured_anew(self, tmp_path: Path) -> None:
        stage, file = by_load(0.04, 0.1), tmp_path / "slo.json"
        online = Online(load=((0, 0.6),))
        calibrate(stage, scenario(online), Measured(file, "simulated"), told)
        calibrate(stage, scenario(online.model_copy(update={"cpu_ms": 6})), Measured(file, "simulated"), told)
        assert len(stage.asked) == 2 * len(SEEDS)
        calibrate(stage, scenario(online), Measured(file, "cgroup-v1"), told)
        assert len(stage.asked) == 3 * len(SEEDS)
        fresh = Measured(file, "cgroup-v1", fresh=True)
        calibrate(stage, scenario(online), fresh, told)
        calibrate(stage, scenario(online), fresh, told)
        assert len(stage.asked) == 4 * len(SEEDS)

    def test_the_file_tells_machine_and_date(self, tmp_path: Path) -> None:
        file = tmp_path / "slo.json"
        Measured(file, "cgroup-v1").figures({"a": 1}, lambda: {"x": 2})
        (entry,) = json.loads(file.read_text())
        assert "Linux" in entry["machine"] and entry["measured_at"].endswith("+00:00")
        assert (entry["settings"], entry["figures"]) == ({"a": 1}, {"x": 2})

    def test_what_another_machine_measured_is_not_used_and_not_lost(self, tmp_path: Path) -> None:
        file = tmp_path / "slo.json"
        Measured(file, "cgroup-v1").figures({"a": 1}, lambda: {"x": 2})
        file.write_text(file.read_text().replace("Linux", "Linux of another machine"))
        assert Measured(file, "cgroup-v1").figures({"a": 1}, lambda: {"x": 3}) == {"x": 3}
        assert [entry["figures"]["x"] for entry in json.loads(file.read_text())] == [2, 3]

    @pytest.mark.parametrize("text", ["{", "[1]", '[{"backend": "cgroup-v1"}]'])
    def test_a_file_of_something_else_is_refused_by_name(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "slo.json"
        file.write_text(text)
        with pytest.raises(ValueError, match=r"slo\.json: not a file of measurements"):
            Measured(file, "cgroup-v1")
