"""Priorities by the time of day: A's important hour may outrank B's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from controller.config import PriorityWindow
from models.container import Container

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def priorities(
    containers: Sequence[Container], windows: Sequence[PriorityWindow], local: datetime
) -> NDArray[np.int64]:
    """The priority in force of each container at a local time; the last window that matches wins."""
    result = np.array([container.priority for container in containers], np.int64)
    for window in windows:
        if not _open(window, local):
            continue
        for n, container in enumerate(containers):
            tier_fits = window.tier is None or window.tier == container.tier
            if tier_fits and fnmatchcase(container.id, window.containers):
                result[n] = window.priority
    return result


def _open(window: PriorityWindow, local: datetime) -> bool:
    clock: time = local.time()
    if window.start <= window.end:
        return window.start <= clock < window.end and _DAYS[local.weekday()] in window.days
    if clock >= window.start:  # over midnight: the day it began counts
        return _DAYS[local.weekday()] in window.days
    return clock < window.end and _DAYS[(local - timedelta(days=1)).weekday()] in window.days
