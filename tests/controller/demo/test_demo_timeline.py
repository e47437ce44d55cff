from __future__ import annotations

import pytest

from controller.demo.timeline import SHAPES, make_timeline


@pytest.mark.parametrize("cpus", [1, 2, 16])
def test_demand_follows_the_machine(cpus: int) -> None:
    line = make_timeline("compressed", SHAPES["compressed"], cpus=cpus, cpu_ms=12.0)
    cost = line.cpu_ms / 1000
    assert line.before.rate_per_second * cost == pytest.approx(0.15 * cpus)
    assert line.surge.rate_per_second * cost == pytest.approx(0.62 * cpus)
    assert line.hogs == 2 * cpus


def test_phases_follow_each_other() -> None:
    line = make_timeline("short", SHAPES["short"], cpus=2)
    assert [line.phase_at(t).name for t in (-1, 0, 4.9, 5, 24.9, 25, 99)] == [
        *("before", "before", "before"),
        *("surge", "surge"),
        *("after", "after"),
    ]
    assert line.total_seconds == 37


def test_the_original_lasts_300_seconds_and_is_low_until_90() -> None:
    line = make_timeline("article", SHAPES["article"], cpus=2)
    assert (line.surge_from_seconds, line.total_seconds) == (90, 300)


@pytest.mark.parametrize("name", SHAPES)
def test_every_surge_is_long_enough_to_recover_in(name: str) -> None:
    assert make_timeline(name, SHAPES[name], cpus=2).surge.seconds >= 20
