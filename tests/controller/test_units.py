from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.units import format_seconds, parse_cores, parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("2s", 2.0),
        (" 1.5 m ", 90.0),
        ("1h", 3600.0),
        ("7d", 604800.0),
        ("0s", 0.0),
        ("5us", 5e-6),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("value", [2, 0.25, "2", "2 minutes", "-2s", "1e3s", "nan", "٢s", "", None, True])
def test_what_is_no_time(value: object) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_seconds(value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "250ms"),
        (90.0, "90s"),
        (60.0, "1m"),
        (86400.0, "1d"),
        (0.0, "0s"),
        (1.5, "1.5s"),
        (2e-5, "20us"),
    ],
)
def test_times_are_written_short(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@given(st.floats(min_value=0, max_value=1e12, allow_nan=False))
def test_a_time_that_is_written_reads_back_the_same(seconds: float) -> None:
    assert parse_seconds(format_seconds(seconds)) == seconds


@pytest.mark.parametrize(
    ("value", "cores"), [(0.5, 0.5), (2, 2.0), ("500m", 0.5), ("2", 2.0), ("1.5", 1.5), (" 250m ", 0.25)]
)
def test_cores(value: object, cores: float) -> None:
    assert parse_cores(value) == cores


@pytest.mark.parametrize("value", ["half", "1_000", "-1", "nan", "inf", "2 cores", True, None, [1]])
def test_what_is_no_amount_of_cpu(value: object) -> None:
    with pytest.raises(ValueError, match="is not an amount of CPU"):
        parse_cores(value)
