"""When others write what we wrote: how often, and when it is to be left alone. Pure: it is told the time."""

from __future__ import annotations

import math
from dataclasses import dataclass

RETURNS_BEFORE_HANDS_OFF = 2  # design §3: re-asserted once
MOVES_BEFORE_HANDS_OFF = 5  # a resize or two is no fight
PEACE_SECONDS = 600.0  # without a foreign write for so long, an earlier one is no part of a fight


@dataclass(slots=True, eq=False)
class Dispute:
    """What others did to one setting (`what`: "its limit") of one group while we held it.

    `contended` says why it is left alone, until `until_seconds`; empty while it is not. `returned_at_seconds`
    is when somebody last put it back to its base.
    """

    what: str
    contended: str = ""
    until_seconds: float = math.inf
    returned_at_seconds: float = -math.inf
    disturbed_at_seconds: float = -math.inf
    returns: int = 0
    moves: int = 0

    def returned(self, now_seconds: float) -> str:
        """Somebody put it back to its base. What that was, for people."""
        self._disturb(now_seconds)
        self.returns += 1
        self.returned_at_seconds = now_seconds
        if self.returns >= RETURNS_BEFORE_HANDS_OFF:
            self.leave_alone(f"someone else puts {self.what} back again and again; it is left alone")
        return "someone else put it back to its base"

    def moved(self, now_seconds: float) -> str:
        """Somebody set it to a value of their own. What that was, for people."""
        self._disturb(now_seconds)
        self.moves += 1
        if self.moves >= MOVES_BEFORE_HANDS_OFF:
            self.leave_alone(f"someone else changes {self.what} again and again; it is left alone")
        return "someone else set it; that is its base now"

    def leave_alone(self, why: str, until_seconds: float = math.inf) -> None:
        """Hands off it from now on."""
        self.contended, self.until_seconds = why, until_seconds

    def settle_down(self) -> None:
        """What we wrote was given back undisturbed: earlier writes of others are no part of a fight."""
        self.returns = self.moves = 0

    def make_peace(self) -> None:
        """Nobody fights for it any more: a person says so, or the time is over."""
        self.settle_down()
        self.contended, self.until_seconds = "", math.inf
        self.returned_at_seconds = -math.inf

    def _disturb(self, now_seconds: float) -> None:
        if now_seconds - self.disturbed_at_seconds > PEACE_SECONDS:
            self.settle_down()
        self.disturbed_at_seconds = now_seconds
