"""One resource per time window, and one target per container.

Two loops that move different resources of the same node at the same time spoil each other's measurements, so
whichever resource acts first has the node for the window. And whatever several victims want of a container,
it gets one target: the lowest claim on it, never below its floor; only a container that nobody claims may
have its own limit raised.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller.cases import Case, Round, Target
from controller.claims import QUOTA

CPU = "cpu"


class Arbiter:
    """Grants the node to one resource at a time."""

    def __init__(self, window_seconds: float) -> None:
        self.window_seconds = window_seconds
        self._holder = ""
        self._until_seconds = float("-inf")

    def grant(self, resource: str, now_seconds: float) -> bool:
        """Whether `resource` may be adjusted now; if so, no other may until the window has passed."""
        if resource != self._holder and now_seconds < self._until_seconds:
            return False
        self._holder, self._until_seconds = resource, now_seconds + self.window_seconds
        return True


def settle(cases: Iterable[Case], round_: Round) -> dict[str, Target]:
    """One target per container that is to have another limit than its base."""
    targets: dict[str, Target] = {}
    for claim in round_.ledger:
        row = round_.seen.row(claim.peer)
        if row is None or claim.rung != QUOTA:
            continue
        cores = max(claim.target_cores, round_.seen.containers[row].floor_cores)
        lowest = targets.get(claim.peer)
        if lowest is None or cores < lowest.cores:
            reason = f"claimed by {claim.victim}"
            targets[claim.peer] = Target(claim.peer, cores, claim.victim, reason, claim.reference_cores)
    for case in cases:
        if case.own_cores is not None and case.id not in targets:
            base = case.own_cores
            targets[case.id] = Target(case.id, case.own_cores, case.id, "its own limit throttles it", base)
    return targets
