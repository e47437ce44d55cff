from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from controller.demo.records import JsonLines, observations_of, requests_of


def test_a_growing_file_is_read_by_whole_lines(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "out")
    assert lines.read() == []
    with open(tmp_path / "out", "w") as out:
        out.write('{"a": 1}\n{"a"')
        out.flush()
        assert lines.read() == [{"a": 1}]
        out.write(": 2}\n")
        out.flush()
        assert lines.read() == [{"a": 2}]
        assert lines.read() == []


def test_a_request_without_a_good_answer_waits_until_the_end() -> None:
    def record(intended: float, status: int) -> dict[str, float]:
        return {
            "intended_seconds": intended,
            "latency_seconds": 0.05,
            "send_lag_seconds": 0,
            "status": status,
        }

    found = requests_of([record(3.0, 0), record(1.0, 200), record(2.0, 503)], ends_at_seconds=10.0)
    assert found.intended_seconds.tolist() == [1.0, 2.0, 3.0]
    assert found.latency_seconds.tolist() == [0.05, 8.0, 7.0]
    assert found.answered.tolist() == [True, False, False]


def test_null_is_no_limit_for_a_limit_and_unknown_for_pressure() -> None:
    row = {
        "at_seconds": 105.0,
        "a_work_units": 3,
        "b_work_units": 4,
        "busy_seconds": 1.0,
        "stolen_seconds": 0.0,
    }
    row |= {f"online_{name}": 1.0 for name in ("usage_seconds", "throttled_seconds", "weight", "idle")}
    row |= {"online_limit_cores": None, "online_wait_seconds": None}
    found = observations_of([json.loads(json.dumps(row))], ["online"], start_at_seconds=100.0)
    assert found.at_seconds.tolist() == [5.0]
    assert found.work_units.tolist() == [7.0]
    assert found.online.limit_cores.tolist() == [math.inf]
    assert np.isnan(found.online.wait_seconds).all()
