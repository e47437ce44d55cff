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
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.demo.work import burn

UNIT_ITERATIONS = 2_000  # of work.burn: below a millisecond, so that a count is never far behind the work
Clock = Callable[[], float]
MakeWork = Callable[[], Callable[[], int]]
_COUNTER = struct.Struct("=q")
_LOOK_AROUND_SECONDS = 0.1


def read_units(path: Path) -> int:
    """Work units done so far by all loops; 0 before there is a file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return 0
    return sum(count for (count,) in _COUNTER.iter_unpack(data))


@dataclass(frozen=True, slots=True)
class Timing:
    """When loops are at work: in the intervals (start, end) in seconds, ascending (None: always), and there
    in the first part `duty` of every `period_seconds`, counted from zero."""

    intervals: Sequence[tuple[float, float]] | None = None
    duty: float = 1.0
    period_seconds: float = 1.0


def pause_until(now_seconds: float, timing: Timing) -> float | None:
    """When to work next: now when it is time to, else when that may be; ask again then.

    None when no interval is left.
    """
    if timing.intervals is None:
        work_at: float | None = now_seconds
    else:
        left = ((start, end) for start, end in timing.intervals if now_seconds < end)
        work_at = next((max(now_seconds, start) for start, _ in left), None)
    if work_at != now_seconds or timing.duty >= 1:
        return work_at
    period = now_seconds // timing.period_seconds
    if now_seconds - period * timing.period_seconds < timing.duty * timing.period_seconds:
        return now_seconds
    return (period + 1) * timing.period_seconds


def burn_a_unit() -> int:
    """The work of a busy loop: one unit."""
    burn(UNIT_ITERATIONS)
    return 1


def _loop(
    counters: mmap.mmap, offset: int, parent: int, now: Clock, timing: Timing, make_work: MakeWork
) -> None:
    work = make_work()
    count = 0
    while os.getppid() == parent:
        seconds = now()
        work_at = pause_until(seconds, timing)
        if work_at is None:
            return
        if work_at > seconds:
            time.sleep(min(work_at - seconds, _LOOK_AROUND_SECONDS))
            continue
        count += work()
        _COUNTER.pack_into(counters, offset, count)


def run(
    loops: int, work_file: Path, timing: Timing, now: Clock, make_work: MakeWork = lambda: burn_a_unit
) -> None:
    """Run the loops, each a process, until their intervals are over. `now` tells the time in seconds.

    `make_work` is called once in each process; what it returns does a piece of work and says how many units
    that was.
    """
    work_file.write_bytes(bytes(loops * _COUNTER.size))
    with open(work_file, "r+b") as file, mmap.mmap(file.fileno(), 0) as counters:
        parent = os.getpid()
        children = []
        for number in range(loops):
            child = os.fork()
            if child == 0:
                try:
                    _loop(counters, number * _COUNTER.size, parent, now, timing, make_work)
                except BaseException:
                    traceback.print_exc()
                    os._exit(1)
                os._exit(0)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(codes):
        raise SystemExit(f"loops ended with {codes}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loops", type=int, required=True)
    parser.add_argument("--work-file", type=Path, required=True)
    parser.add_argument(
        "--start-at", type=float, default=0.0, help="zero of the intervals, CLOCK_MONOTONIC seconds"
    )
    parser.add_argument("--intervals", help="JSON [[start, end], ...] in seconds; default: always on")
    options = parser.parse_args()
    timing = Timing(json.loads(options.intervals) if options.intervals else None)
    run(options.loops, options.work_file, timing, lambda: time.monotonic() - options.start_at)


if __name__ == "__main__":
    main()
