"""A peer at work: `python -m benchmarks.lab.batch PEER.json START_FILE WORK_FILE`, PEER.json being a
`scenario.Peer`.

Its workers count what they get done in the work file, in units of their kind:
loops     iterations of PBKDF2, in thousands of two (below a millisecond)
stream    megabytes copied in memory, over arrays that fit in no cache
compress  megabytes that gzip, a program that is not ours, has compressed
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.lab.scenario import Peer
from controller.demo.hog import MakeWork, Timing, burn_a_unit, run
from controller.demo.load import start_in

_STREAM_BYTES = 64 * 2**20  # twice (from and to); L3 caches share less than that with one of many workers
_STREAM_STEP_BYTES = 2**20
_BLOCK_BYTES = 2**20
_ALPHABET_BITS = 5  # of 8: gzip makes about two thirds of it, as of other data that is not compressed yet


def make_loops() -> Callable[[], int]:
    """See `hog.run`."""
    return burn_a_unit


def make_stream() -> Callable[[], int]:
    """Copies a megabyte a time, on and on through the arrays."""
    source = np.ones(_STREAM_BYTES, dtype=np.uint8)
    target = np.zeros_like(source)
    at = 0

    def work() -> int:
        nonlocal at
        target[at : at + _STREAM_STEP_BYTES] = source[at : at + _STREAM_STEP_BYTES]
        at = (at + _STREAM_STEP_BYTES) % _STREAM_BYTES
        return 1

    return work


def make_compress() -> Callable[[], int]:
    """Compresses the same generated megabyte again and again."""
    block = tempfile.TemporaryFile()  # noqa: SIM115  it is there as long as the process
    block.write(np.random.default_rng(1).integers(0, 2**_ALPHABET_BITS, _BLOCK_BYTES, np.uint8).tobytes())
    block.flush()

    def work() -> int:
        block.seek(0)
        subprocess.run(["gzip", "--stdout"], stdin=block, stdout=subprocess.DEVNULL, check=True)
        return 1

    return work


KINDS: dict[str, MakeWork] = {"loops": make_loops, "stream": make_stream, "compress": make_compress}


class Clock:
    """Seconds since the start that a start file tells; far below zero before it is there."""

    def __init__(self, start_file: Path) -> None:
        self._file = start_file
        self._start_at: float | None = None

    def __call__(self) -> float:
        now = time.monotonic()
        if self._start_at is None:
            self._start_at = start_in(self._file)
        return now - 1e9 if self._start_at is None else now - self._start_at


def main() -> None:
    peer_file, start_file, work_file = map(Path, sys.argv[1:])
    peer = Peer.model_validate_json(peer_file.read_text())
    timing = Timing(peer.active, peer.duty, peer.period_seconds)
    run(peer.workers, work_file, timing, Clock(start_file), KINDS[peer.kind])


if __name__ == "__main__":
    main()
