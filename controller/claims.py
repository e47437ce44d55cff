"""Who holds back whom: the ledger of claims.

Several victims may claim one peer. Its effective target is the lowest claim; a victim moves and releases only
its own, so a peer goes back as far as all claims on it allow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Claim:
    """One victim's claim on one peer.

    `target_cores` is the limit it wants for the peer. `reference_cores` is what the peer used when it was
    first claimed: the measure of what is withheld from it. `not_before_seconds` delays the next raise after a
    relapse, up to `hurt_cores`, the level that hurt. `helped`: the victim got well while it stood.
    """

    victim: str
    peer: str
    target_cores: float
    reference_cores: float
    since_seconds: float
    rung: str = "quota"
    hurt_cores: float | None = None
    not_before_seconds: float = 0.0
    idle_since_seconds: float | None = None
    moved_at_seconds: float = 0.0
    helped: bool = False


@dataclass
class Ledger:
    """All claims, by (victim, peer)."""

    _claims: dict[tuple[str, str], Claim] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Claim]:
        return iter(list(self._claims.values()))

    def get(self, victim: str, peer: str) -> Claim | None:
        """The victim's claim on the peer, if it has one."""
        return self._claims.get((victim, peer))

    def put(self, claim: Claim) -> None:
        """Enter a claim; it takes the place of the same victim's on the same peer."""
        self._claims[claim.victim, claim.peer] = claim

    def release(self, claim: Claim) -> None:
        """Strike a claim out."""
        self._claims.pop((claim.victim, claim.peer), None)

    def of_victim(self, victim: str) -> list[Claim]:
        """The claims a container owns."""
        return [claim for claim in self._claims.values() if claim.victim == victim]

    def on_peer(self, peer: str) -> list[Claim]:
        """The claims on a container: its `holds`."""
        return [claim for claim in self._claims.values() if claim.peer == peer]

    def targets(self) -> dict[str, float]:
        """Every held peer's effective target: the lowest claim on it."""
        lowest: dict[str, float] = {}
        for claim in self._claims.values():
            lowest[claim.peer] = min(claim.target_cores, lowest.get(claim.peer, claim.target_cores))
        return lowest
