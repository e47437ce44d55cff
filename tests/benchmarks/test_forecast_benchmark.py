from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.forecast.backtest import TARGETS, Windows, came, last_value, made, ours, score
from benchmarks.forecast.compare import compare
from benchmarks.forecast.report import table, write
from benchmarks.forecast.traces import TUNING, NoData, Trace, load

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"


def line(name: str = "line") -> Trace:
    times = 0.25 * np.arange(200)
    return Trace(name, times, 1.0 + 0.01 * times)


def test_scores() -> None:
    scores = score(np.array([1.0, 3.0]), np.array([2.0, 2.0]))
    assert (scores.under_rate, scores.over, scores.shortfall) == (0.5, 0.25, 0.25)
    assert scores.pinball == pytest.approx((0.95 + 0.05) / 2 / 2)


def test_what_came_lies_behind_what_was_seen() -> None:
    trace = line()
    targets = came(trace, Windows(), 100.0)
    assert targets[0] == pytest.approx(trace.values[19 + 12])  # 20 ticks of window, 12 of horizon
    np.testing.assert_allclose(made(trace, last_value, Windows())[0], trace.values[19])
    assert len(targets) == len(made(trace, ours(), Windows())) == 200 - 19 - 12


def test_times_are_stretched_with_the_step() -> None:
    slow = Trace("slow", np.arange(200.0), np.ones(200))
    assert Windows().stretched(slow) == (20.0, 12.0)
    assert Windows().stretched(line()) == (5.0, 3.0)


def test_margins_make_it_even(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    noise = Trace("noise", 0.25 * np.arange(400), 2 + rng.random(400))
    rows = compare([noise, line(TUNING[0])], Windows())
    over = {row.method: row.scores.over for row in rows if (row.trace, row.target) == ("noise", "max")}
    assert over["last-margin"] == pytest.approx(over["ours"], rel=1e-3)
    assert over["maximum-margin"] == pytest.approx(over["ours"], rel=1e-3)
    assert "held-out" in table(rows)
    write(rows, tmp_path / "new" / "report.json")
    report = json.loads((tmp_path / "new" / "report.json").read_text())
    assert report["noise_max_ours_under_ratio"] == pytest.approx(
        next(row.scores.under_rate for row in rows if row.method == "ours"), abs=1e-5
    )
    assert {"commit", "machine"} <= set(report)
    assert all(isinstance(value, str) or math.isfinite(value) for value in report.values())


def test_no_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoData, match="is not there"):
        load(tmp_path / "none")
    command = [sys.executable, "-m", "benchmarks.forecast", "--data", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("forecast: no data: ")


def test_ours_beats_the_simple_ones_on_a_held_out_trace() -> None:
    if not DATA.is_dir():
        pytest.skip("the traces are not beside the checkout (../shared/data)")
    trace = next(trace for trace in load(DATA) if trace.name == "diurnal-2")
    rows = {row.method: row.scores for row in compare([trace], Windows()) if row.trace == trace.name}
    assert len(TARGETS) == 2
    assert rows["ours"].pinball < 0.5 * rows["last"].pinball
    assert rows["ours"].pinball < 0.5 * rows["maximum"].pinball
