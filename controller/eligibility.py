"""Who may claim whom: only a more important container, on CPUs that both may use, and nobody else's hands on
the peer."""

from __future__ import annotations

from controller.cases import Round
from models.rates import NODE


def priority_of(victim: str, round_: Round) -> int:
    """A victim's priority now. The node's own is just above the least important tier, which it may trim."""
    if victim == NODE:
        return min(round_.settings.tiers.values()) + 1
    row = round_.seen.row(victim)
    return 0 if row is None else int(round_.seen.priority[row])


def may_claim(victim: str, peer_row: int, round_: Round) -> bool:
    """Whether a victim that is there may hold back the container in a row."""
    seen = round_.seen
    peer = seen.containers[peer_row]
    if peer.id == victim or not peer.adjustable or peer.id in seen.hands_off:
        return False
    if seen.priority[peer_row] >= priority_of(victim, round_):
        return False
    if victim == NODE:
        return True
    row = seen.row(victim)
    return row is not None and not seen.allowed_cpus[row].isdisjoint(seen.allowed_cpus[peer_row])
