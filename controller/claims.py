"""Who holds back whom: the ledger of claims.

Several victims may claim one peer. Its effective target is the lowest claim; a victim moves and releases only
its own, so a peer goes back as far as all claims on it allow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

QUOTA = "quota"  # rung 1; the others, "idle" and "weight", are rung 0 (`controller.rung0`)


@dataclass(slots=True)
class Claim:
    """One victim's claim on one peer, by one rung: a quota, or a weight.

    `target_cores` is the limit it wants for the peer, infinite for a weight. `reference_cores` is what the
    peer used when it was first claimed: the measure of what is withheld from it. `not_before_seconds` delays
    the next raise after a relapse, up to `hurt_cores`, the level that hurt. `helped`: the victim got well
    while it stood. `guilty`: a probe has shown that holding this peer back helps.
    """

    victim: str
    peer: str
    target_cores: float
    reference_cores: float
    since_seconds: float
    rung: str = QUOTA
    hurt_cores: float | None = None
    not_before_seconds: float = 0.0
    idle_since_seconds: float | None = None
    moved_at_seconds: float = 0.0
    helped: bool = False
    guilty: bool = False


@dataclass
class Ledger:
    """All claims, by (victim, peer, rung)."""

    _claims: dict[tuple[str, str, str], Claim] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Claim]:
        return iter(list(self._claims.values()))

    def get(self, victim: str, peer: str, rung: str = QUOTA) -> Claim | None:
        """The victim's claim on the peer by this rung, if it has one."""
        return self._claims.get((victim, peer, rung))

    def put(self, claim: Claim) -> None:
        """Enter a claim; it takes the place of the same victim's on the same peer by the same rung."""
        self._claims[claim.victim, claim.peer, claim.rung] = claim

    def release(self, claim: Claim) -> None:
        """Strike a claim out."""
        self._claims.pop((claim.victim, claim.peer, claim.rung), None)

    def of_victim(self, victim: str, rung: str | None = None) -> list[Claim]:
        """The claims a container owns, of one rung or of all."""
        return [c for c in self._claims.values() if c.victim == victim and rung in (None, c.rung)]

    def on_peer(self, peer: str) -> list[Claim]:
        """The claims on a container: its `holds`."""
        return [claim for claim in self._claims.values() if claim.peer == peer]

    def targets(self) -> dict[str, float]:
        """The effective target of every peer held by quota: the lowest claim on it."""
        lowest: dict[str, float] = {}
        for claim in self._claims.values():
            if claim.rung == QUOTA:
                lowest[claim.peer] = min(claim.target_cores, lowest.get(claim.peer, claim.target_cores))
        return lowest
