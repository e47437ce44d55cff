"""A circuit breaker: a source that keeps failing is asked less and less often."""

from __future__ import annotations

import random
from typing import Literal, NamedTuple


class SourceState(NamedTuple):
    """`ok`: the source is asked as usual; `open`: it is cut off. `reason`: the last trouble, or empty."""

    state: Literal["ok", "open"]
    reason: str


class Breaker:
    """Opens after `failures` in a row; then lets one probe through after each back-off, which doubles.

    The back-off is drawn from the upper half of its nominal length, so that sources which failed together are
    not asked together again, and none waits longer than `backoff_max_seconds`. One success closes it.
    """

    def __init__(
        self,
        rng: random.Random,
        failures: int = 3,
        backoff_seconds: float = 1.0,
        backoff_max_seconds: float = 60.0,
    ) -> None:
        self._rng = rng
        self._failures = failures
        self._first_seconds, self._max_seconds = backoff_seconds, backoff_max_seconds
        self._in_a_row = 0
        self._nominal_seconds = backoff_seconds
        self._probe_at_seconds = 0.0
        self._reason = ""

    @property
    def state(self) -> SourceState:
        """What the breaker does, and why."""
        return SourceState("open" if self._in_a_row >= self._failures else "ok", self._reason)

    def wait_seconds(self, now_seconds: float) -> float:
        """How long the source must be left alone yet; 0 when it may be asked."""
        return max(0.0, self._probe_at_seconds - now_seconds) if self.state.state == "open" else 0.0

    def succeeded(self, remark: str = "") -> None:
        """The source has answered. `remark`: what was odd all the same, shown as the reason."""
        self._in_a_row = 0
        self._nominal_seconds = self._first_seconds
        self._reason = remark

    def failed(self, reason: str, now_seconds: float) -> None:
        """The source has not answered, or not sensibly."""
        self._in_a_row += 1
        self._reason = reason
        if self._in_a_row >= self._failures:
            self._probe_at_seconds = now_seconds + self._nominal_seconds * self._rng.uniform(0.5, 1.0)
            self._nominal_seconds = min(2 * self._nominal_seconds, self._max_seconds)
