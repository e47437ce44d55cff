from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from benchmarks.lab.batch import KINDS, Clock
from benchmarks.lab.scenario import Peer
from controller.demo.load import start_in, write_start


def test_every_kind_that_a_scenario_may_name_is_there() -> None:
    named = Peer.model_fields["kind"].annotation
    assert set(KINDS) == set(named.__args__)  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_piece_of_work_is_a_unit(kind: str) -> None:
    if kind == "compress" and shutil.which("gzip") is None:
        pytest.skip("no gzip")
    work = KINDS[kind]()
    assert [work(), work()] == [1, 1]


def test_before_the_start_is_known_the_time_is_far_below_zero(tmp_path: Path) -> None:
    file = tmp_path / "start"
    clock = Clock(file)
    assert clock() < -1e6
    assert start_in(file) is None
    start_at = write_start(file)
    assert start_in(file) == start_at
    assert clock() == pytest.approx(time.monotonic() - start_at, abs=0.2)
