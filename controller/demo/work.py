"""Real CPU work of a known cost: PBKDF2 in OpenSSL, which lets go of the GIL and hardly touches memory."""

from __future__ import annotations

import hashlib
import time

_TRIES = 10
_FIRST_ITERATIONS = 10_000
# Some kernels (user-mode Linux) count CPU time in steps of 10 ms.
_SHORTEST_SECONDS = 0.04


def burn(iterations: int) -> None:
    """Use CPU in proportion to `iterations` (at least one)."""
    hashlib.pbkdf2_hmac("sha256", b"quotapilot", b"demo", max(1, iterations))


def calibrate() -> float:
    """Iterations per millisecond of CPU time on this machine.

    The fastest of several tries: a disturbed one (cold cache, a busy sibling thread) only ever looks slower.
    """
    iterations = _FIRST_ITERATIONS
    while _seconds(iterations) < _SHORTEST_SECONDS:
        iterations *= 2
    best = min(seconds for _ in range(_TRIES) if (seconds := _seconds(iterations)) > 0)
    return iterations / (best * 1000)


def _seconds(iterations: int) -> float:
    started = time.thread_time()
    burn(iterations)
    return time.thread_time() - started
