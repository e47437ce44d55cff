"""Priorities by the time of day."""

from __future__ import annotations

from datetime import datetime, time

import pytest

from controller.config import PriorityWindow
from controller.priorities import priorities
from models.container import Container

MONDAY = "2026-01-05T"
TUESDAY = "2026-01-06T"
SHOP = Container("shop-1", "/shop", 1, tier="online", priority=100)
BATCH = Container("batch", "/batch", 2)


def at(when: str, *windows: PriorityWindow) -> list[int]:
    return [int(n) for n in priorities([SHOP, BATCH], windows, datetime.fromisoformat(when))]


def window(start: str, end: str, priority: int = 7, **which: object) -> PriorityWindow:
    return PriorityWindow(
        start=time.fromisoformat(start),
        end=time.fromisoformat(end),
        priority=priority,
        **which,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("clock", "inside"), [("08:59:59", False), ("09:00", True), ("16:59:59", True), ("17:00", False)]
)
def test_a_window_begins_with_its_start_and_ends_before_its_end(clock: str, inside: bool) -> None:
    assert at(MONDAY + clock, window("09:00", "17:00")) == ([7, 7] if inside else [100, 0])


@pytest.mark.parametrize(
    ("when", "inside"),
    [
        (MONDAY + "21:59", False),
        (MONDAY + "22:00", True),
        (TUESDAY + "00:00", True),
        (TUESDAY + "05:59", True),
        (TUESDAY + "06:00", False),
        (TUESDAY + "22:30", False),
        (MONDAY + "03:00", False),  # that night began on Sunday
    ],
)
def test_over_midnight_the_day_it_began_counts(when: str, inside: bool) -> None:
    assert at(when, window("22:00", "06:00", days=("mon",)))[1] == (7 if inside else 0)


def test_days() -> None:
    assert at(TUESDAY + "10:00", window("09:00", "17:00", days=("mon", "wed"))) == [100, 0]


def test_only_what_it_names_and_the_last_that_matches_wins() -> None:
    assert at(MONDAY + "10:00", window("09:00", "17:00", 150, containers="shop-*")) == [150, 0]
    assert at(MONDAY + "10:00", window("09:00", "17:00", 150, tier="offline")) == [100, 150]
    assert at(MONDAY + "10:00", window("09:00", "17:00", 1), window("09:30", "10:30", 2, tier="online")) == [
        2,
        1,
    ]
    assert at(MONDAY + "10:00", window("09:00", "17:00", 1, tier="online", containers="batch")) == [100, 0]
