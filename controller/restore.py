"""Giving back what an earlier agent held, from its journal."""

from __future__ import annotations

from backends.base import Gone, Node, Refused
from controller.journal import Journal


def restore_journal(node: Node, journal: Journal) -> tuple[list[str], list[str]]:
    """Give back everything an earlier agent held: groups restored, and what could not be (with the reason).

    A group that is gone or another one by now, and one that holds a value that was never ours, is let go.
    """
    restored: list[str] = []
    failed: list[str] = []
    for hold in sorted(journal.holds(), key=lambda hold: hold.group.count("/")):  # raise parents first
        try:
            if node.inode(hold.group) == hold.inode:
                found = node.limit(hold.group)
                if found.quota_us in hold.ours and found.quota_us != hold.base.quota_us:
                    node.set_limit(hold.group, hold.base)
                    restored.append(hold.group)
                if hold.base_burst_us and node.burst_us(hold.group) != hold.base_burst_us:
                    node.set_burst_us(hold.group, hold.base_burst_us)
        except Gone:
            pass
        except Refused as error:
            failed.append(f"{hold.group}: {error}")
            continue
        journal.forget(hold.group, hold.inode)
    return restored, failed
