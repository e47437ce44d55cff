"""The process of a baseline: what it is told, when it starts, and that it stops."""

from __future__ import annotations

import json
import math
import threading
from pathlib import Path

import pytest

from benchmarks.lab.baseline_process import Config, control, start_of_load
from benchmarks.lab.plant import Plant
from tests.benchmarks.lab.fake_plant import FakePlant


def config(**changes: object) -> Config:
    told = {
        "baseline": "oracle",
        "victim": "web",
        "slo_seconds": 0.25,
        "online": {"web": "/a/web"},
        "peers": {"batch": "/a/batch"},
        "metrics_url": "http://127.0.0.1:1/metrics",
        "full_rate_per_second": 166.7,
        "requests_file": "requests",
        "ready_file": "ready",
    }
    return Config(**{**told, **changes})  # type: ignore[arg-type]


class TestConfig:
    @pytest.mark.parametrize("caps", [None, ((-1.0, {"batch": 0.5}), (8.0, {"batch": math.inf}))])
    def test_it_is_read_as_it_was_written(self, tmp_path: Path, caps: object) -> None:
        written = config(caps=caps, may_reweight=False)
        written.write(tmp_path / "config.json")
        assert Config.read(tmp_path / "config.json") == written

    def test_what_is_no_config_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text('{"baseline": "idle"}')
        with pytest.raises(TypeError, match="victim"):
            Config.read(tmp_path / "config.json")


class TestStart:
    def test_it_waits_for_the_whole_head_line(self, tmp_path: Path) -> None:
        file, stop = tmp_path / "requests", threading.Event()
        found: list[float | None] = []
        waiting = threading.Thread(target=lambda: found.append(start_of_load(file, stop)))
        waiting.start()
        head = json.dumps({"start_at_seconds": 123.5, "seed": 1})
        file.write_text(head[:20])
        assert waiting.is_alive()
        file.write_text(head + "\n")
        waiting.join(10)
        assert found == [123.5]

    def test_it_can_be_stopped_before_there_is_a_load(self, tmp_path: Path) -> None:
        stop = threading.Event()
        stop.set()
        assert start_of_load(tmp_path / "requests", stop) is None

    def test_another_first_line_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "requests").write_text("{}\n")
        with pytest.raises(KeyError):
            start_of_load(tmp_path / "requests", threading.Event())


class Watched:
    """Stops after its third step, and takes a tenth of a second for each."""

    name = "watched"
    interval_seconds = 0.02

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop
        self.called: list[float] = []
        self.clock = 99.9

    def start(self, plant: Plant, now_seconds: float) -> None:
        self.called.append(now_seconds)

    def step(self, plant: Plant, now_seconds: float) -> None:
        self.called.append(now_seconds)
        self.clock += 0.1
        if len(self.called) == 4:
            self.stop.set()


def test_it_is_stepped_until_stopped_and_told_the_time_of_the_load() -> None:
    baseline = Watched(threading.Event())
    control(baseline, FakePlant(), 100.0, baseline.stop, clock=lambda: baseline.clock)
    assert baseline.called == pytest.approx([-0.1, -0.1, 0.0, 0.1])
