"""Offline work: busy loops, one process each, that count what they get done in a shared file.

The file is an array of 64-bit counters, one per loop, that anybody may map or read while the loops run.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import struct
import time
from collections.abc import Sequence
from pathlib import Path

from controller.demo.work import burn

UNIT_ITERATIONS = 2_000  # of work.burn: below a millisecond, so that a count is never far behind the work
_COUNTER = struct.Struct("=q")
_LOOK_AROUND_SECONDS = 0.1


def read_units(path: Path) -> int:
    """Work units done so far by all loops; 0 before there is a file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return 0
    return sum(count for (count,) in _COUNTER.iter_unpack(data))


def pause_until(now_seconds: float, intervals: Sequence[tuple[float, float]] | None) -> float | None:
    """When to work next: now inside an interval (None: always inside), else at the start of the next one.

    None when no interval is left. Intervals are (start, end) in seconds, ascending.
    """
    if intervals is None:
        return now_seconds
    return next((max(now_seconds, start) for start, end in intervals if now_seconds < end), None)


def _loop(
    counters: mmap.mmap,
    offset: int,
    parent: int,
    start_at: float,
    intervals: Sequence[tuple[float, float]] | None,
) -> None:
    count = 0
    while os.getppid() == parent:
        now = time.monotonic() - start_at
        work_at = pause_until(now, intervals)
        if work_at is None:
            return
        if work_at > now:
            time.sleep(min(work_at - now, _LOOK_AROUND_SECONDS))
            continue
        look_at = time.monotonic() + _LOOK_AROUND_SECONDS
        while time.monotonic() < look_at:
            burn(UNIT_ITERATIONS)
            count += 1
            _COUNTER.pack_into(counters, offset, count)


def run(
    loops: int, work_file: Path, start_at_seconds: float, intervals: Sequence[tuple[float, float]] | None
) -> None:
    """Run the loops until their intervals are over; zero of those is `start_at_seconds`, CLOCK_MONOTONIC."""
    work_file.write_bytes(bytes(loops * _COUNTER.size))
    with open(work_file, "r+b") as file, mmap.mmap(file.fileno(), 0) as counters:
        parent = os.getpid()
        children = []
        for number in range(loops):
            child = os.fork()
            if child == 0:
                try:
                    _loop(counters, number * _COUNTER.size, parent, start_at_seconds, intervals)
                finally:
                    os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loops", type=int, required=True)
    parser.add_argument("--work-file", type=Path, required=True)
    parser.add_argument(
        "--start-at", type=float, default=0.0, help="zero of the intervals, CLOCK_MONOTONIC seconds"
    )
    parser.add_argument("--intervals", help="JSON [[start, end], ...] in seconds; default: always on")
    options = parser.parse_args()
    intervals = json.loads(options.intervals) if options.intervals else None
    run(options.loops, options.work_file, options.start_at, intervals)


if __name__ == "__main__":
    main()
