"""What discovery needs to see of the cgroup tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Tree(Protocol):
    """The groups that there are. A group is a path below the CPU controller's mount point ("/a/b")."""

    def relative(self, path: str) -> str:
        """The group of an absolute path below a cgroup mount, or of a relative one. Raises ValueError."""

    def groups(self, pattern: str) -> Sequence[str]:
        """The groups that a glob matches, in a stable order."""

    def children(self, group: str) -> Sequence[str]:
        """The groups right below, as whole paths in a stable order; none when it has vanished."""

    def inode(self, group: str) -> int:
        """The directory's inode. Raises backends.base.Gone."""
