from __future__ import annotations

import time
from pathlib import Path

import pytest

from controller.demo.hog import pause_until, read_units, run


@pytest.mark.parametrize(
    ("now", "work_at"), [(-1.0, 2.0), (2.0, 2.0), (3.0, 3.0), (4.0, 6.0), (5.0, 6.0), (8.0, None)]
)
def test_intervals_say_when_to_work(now: float, work_at: float | None) -> None:
    assert pause_until(now, [(2.0, 4.0), (6.0, 8.0)]) == work_at


def test_without_intervals_it_is_always_time_to_work() -> None:
    assert pause_until(-5.0, None) == -5.0


def test_all_loops_count_in_one_file_and_end_with_their_interval(tmp_path: Path) -> None:
    work_file = tmp_path / "work"
    assert read_units(work_file) == 0
    run(2, work_file, time.monotonic(), [(0.0, 0.2)])
    done = read_units(work_file)
    assert done > 10
    assert work_file.stat().st_size == 16
