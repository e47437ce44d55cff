"""The text of cgroup files as numbers. All raise ValueError on anything else, a cut-off line included."""

from __future__ import annotations

import math
from typing import NamedTuple


class Throttling(NamedTuple):
    """The bandwidth lines of cpu.stat, cumulative; the time in the file's own unit (v1 ns, v2 µs)."""

    periods: int
    throttled_periods: int
    throttled_time: int


NO_THROTTLING = Throttling(0, 0, 0)


def parse_int(data: bytes) -> int:
    """A file of one number."""
    if data[-1:] != b"\n":  # in place of _whole: read several times for each container
        raise ValueError(f"cut off: {data!r}")
    return int(data)


def parse_throttling(data: bytes) -> Throttling:
    """The three lines that v1 and v2 both print together (kernel/sched/core.c, cpu_cfs_stat_show)."""
    _whole(data)
    words = data[data.index(b"nr_periods ") :].split(None, 6)
    if len(words) < 6 or words[2] != b"nr_throttled" or not words[4].startswith(b"throttled_"):
        raise ValueError(f"unknown cpu.stat {data!r}")
    return Throttling(int(words[1]), int(words[3]), int(words[5]))


def parse_usage_us(data: bytes) -> int:
    """`usage_usec`, the first line of v2's cpu.stat."""
    if not data.startswith(b"usage_usec "):
        raise ValueError(f"unknown cpu.stat {data!r}")
    return int(data[11 : data.index(b"\n", 11)])


def parse_cpu_max(data: bytes) -> tuple[int | None, int]:
    """v2's cpu.max: the quota in µs (None for "max") and the period in µs."""
    _whole(data)
    quota, period = data.split()
    return (None if quota == b"max" else int(quota)), int(period)


def parse_pressure_us(data: bytes) -> int:
    """`total` of the `some` line, which comes first (kernel/sched/psi.c, psi_show)."""
    if not data.startswith(b"some "):
        raise ValueError(f"unknown pressure {data!r}")
    start = data.index(b" total=") + 7
    return int(data[start : data.index(b"\n", start)])


def parse_memory_limit(data: bytes) -> float:
    """Bytes; infinite for v2's "max" and for v1's "no limit", which is just under 2**63."""
    if data == b"max\n":
        return math.inf
    limit = parse_int(data)
    return math.inf if limit >= 1 << 62 else float(limit)


def parse_cpu_list(text: str) -> frozenset[int]:
    """ "0-3,8" as a set of CPU numbers; empty for an empty list."""
    cpus: set[int] = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus)


def _whole(data: bytes) -> None:
    # A number cut off in a short read is a number too; the missing line end gives it away.
    if data[-1:] != b"\n":
        raise ValueError(f"cut off: {data!r}")
