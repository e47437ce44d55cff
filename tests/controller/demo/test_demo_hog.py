from __future__ import annotations

import time
from pathlib import Path

import pytest

from controller.demo.hog import Timing, pause_until, read_units, run


@pytest.mark.parametrize(
    ("now", "work_at"), [(-1.0, 2.0), (2.0, 2.0), (3.0, 3.0), (4.0, 6.0), (5.0, 6.0), (8.0, None)]
)
def test_intervals_say_when_to_work(now: float, work_at: float | None) -> None:
    assert pause_until(now, Timing([(2.0, 4.0), (6.0, 8.0)])) == work_at


def test_without_intervals_it_is_always_time_to_work() -> None:
    assert pause_until(-5.0, Timing()) == -5.0


@pytest.mark.parametrize(
    ("now", "work_at"), [(0.0, 0.0), (0.29, 0.29), (0.3, 0.5), (-0.5, 0.0), (2.1, 3.0), (3.5, 3.5)]
)
def test_a_duty_cycle_works_in_the_first_part_of_each_period(now: float, work_at: float) -> None:
    timing = Timing([(0.0, 2.1), (3.0, 4.0)], duty=0.6, period_seconds=0.5)
    assert pause_until(now, timing) == pytest.approx(work_at)


def test_the_work_says_how_many_units_a_piece_was(tmp_path: Path) -> None:
    begun = time.monotonic()
    run(1, tmp_path / "work", Timing([(0.0, 0.05)]), lambda: time.monotonic() - begun, lambda: lambda: 7)
    assert read_units(tmp_path / "work") % 7 == 0
    assert read_units(tmp_path / "work") > 0


def test_a_loop_that_fails_is_an_error(tmp_path: Path) -> None:
    def broken() -> int:
        raise RuntimeError("on purpose")

    with pytest.raises(SystemExit, match="loops ended with"):
        run(1, tmp_path / "work", Timing(), time.monotonic, lambda: broken)


def test_all_loops_count_in_one_file_and_end_with_their_interval(tmp_path: Path) -> None:
    work_file = tmp_path / "work"
    assert read_units(work_file) == 0
    begun = time.monotonic()
    run(2, work_file, Timing([(0.0, 0.2)]), lambda: time.monotonic() - begun)
    done = read_units(work_file)
    assert done > 10
    assert work_file.stat().st_size == 16
