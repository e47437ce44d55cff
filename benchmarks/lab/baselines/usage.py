"""How many cores groups use between two looks."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.lab.plant import Plant


class UsageMeter:
    """The cores used by some containers since the look before."""

    def __init__(self, plant: Plant, names: Iterable[str], now_seconds: float) -> None:
        self._at = now_seconds
        self._used = {name: plant.usage_seconds(name) for name in names}
        self._cores = dict.fromkeys(self._used, 0.0)

    def read(self, plant: Plant, now_seconds: float, at_least_seconds: float = 0.0) -> dict[str, float]:
        """By name. Over a time not longer than `at_least_seconds` the earlier answer stays: counters of a
        short time say little."""
        elapsed = now_seconds - self._at
        if elapsed > at_least_seconds:
            used = {name: plant.usage_seconds(name) for name in self._used}
            self._cores = {name: max(0.0, used[name] - self._used[name]) / elapsed for name in used}
            self._at, self._used = now_seconds, used
        return self._cores
