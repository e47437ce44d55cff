"""Texts of cgroup files, whole and broken."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.cgroup.parse import (
    parse_cpu_list,
    parse_cpu_max,
    parse_int,
    parse_memory_limit,
    parse_pressure_us,
    parse_throttling,
    parse_usage_us,
)

V2_STAT = (
    b"usage_usec 900\nuser_usec 500\nsystem_usec 400\nnice_usec 0\ncore_sched.force_idle_usec 0\n"
    b"nr_periods 10\nnr_throttled 3\nthrottled_usec 70\nnr_bursts 0\nburst_usec 0\n"
)
PARSERS = [
    parse_int,
    parse_throttling,
    parse_usage_us,
    parse_cpu_max,
    parse_pressure_us,
    parse_memory_limit,
]


def test_throttling_of_both_versions() -> None:
    assert parse_throttling(V2_STAT) == (10, 3, 70)
    assert parse_throttling(b"nr_periods 1\nnr_throttled 2\nthrottled_time 3\n") == (1, 2, 3)


def test_usage_pressure_limits() -> None:
    assert parse_usage_us(V2_STAT) == 900
    pressure = b"some avg10=0.00 avg60=0.00 avg300=0.00 total=123\nfull avg10=0 avg60=0 avg300=0 total=9\n"
    assert parse_pressure_us(pressure) == 123
    assert parse_cpu_max(b"max 100000\n") == (None, 100000)
    assert parse_cpu_max(b"50000 20000\n") == (50000, 20000)
    assert parse_memory_limit(b"max\n") == math.inf
    assert parse_memory_limit(b"9223372036854771712\n") == math.inf
    assert parse_memory_limit(b"4096\n") == 4096


@pytest.mark.parametrize("parse", PARSERS)
@given(data=st.binary(max_size=40))
def test_garbage_is_a_value_error(parse: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse(data)


@pytest.mark.parametrize("length", range(len(V2_STAT)))
def test_a_short_read_is_never_a_smaller_number(length: int) -> None:
    cut = V2_STAT[:length]
    with contextlib.suppress(ValueError):
        assert parse_throttling(cut) == (10, 3, 70)


@given(st.frozensets(st.integers(0, 300)))
def test_cpu_list_of_single_numbers(cpus: frozenset[int]) -> None:
    assert parse_cpu_list(",".join(map(str, sorted(cpus))) + "\n") == cpus


def test_cpu_list_of_ranges() -> None:
    assert parse_cpu_list("0-3,8\n") == {0, 1, 2, 3, 8}
