"""Paths of groups: what a user writes, what lies below, what a pattern matches."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from backends.cgroup.layout import Layout


class Tree:
    """The groups of the CPU hierarchy, as paths below its mount point. Looks; keeps nothing open."""

    def __init__(self, layout: Layout) -> None:
        self._top = Path(layout.cpu.point)
        self._root = layout.cpu
        self._mounts = sorted(layout.mounts, key=lambda mount: len(mount.point), reverse=True)

    def relative(self, path: str) -> str:
        """The group of "/sys/fs/cgroup/cpu/a/b" (below any cgroup mount), "/a/b" or "a/b": "/a/b".

        Raises ValueError for a path with "..", and for one in a mount whose groups this backend cannot reach.
        """
        if ".." in path.split("/"):
            raise ValueError(f"a group's path may not contain '..': {path}")
        # Where cpu is a link to cpu,cpuacct, only the link's target is a mount point.
        for candidate in (path, os.path.realpath(path)) if path.startswith("/") else ():
            for mount in self._mounts:
                if Path(candidate).is_relative_to(mount.point):
                    inside = candidate[len(mount.point) :]
                    group = self._root.below(f"{mount.root}/{inside}")
                    if group is None:
                        raise ValueError(f"{path} lies outside {self._root.point}")
                    return group
        return "/" + "/".join(part for part in path.split("/") if part)

    def groups(self, pattern: str) -> list[str]:
        """The groups that a glob over group paths matches, sorted: "/kubepods/*/pod*/*", ** for any depth."""
        inside = self.relative(pattern).strip("/") + "/"  # a trailing slash matches directories only
        # Not Path.glob, which raises when a directory vanishes under it.
        found = glob.iglob(inside, root_dir=self._top, recursive=True)  # noqa: PTH207
        return sorted({"/" + match.rstrip("/") for match in found if match.strip("/")})

    def children(self, group: str) -> list[str]:
        """The groups right below, sorted; none when the group has vanished."""
        base = group.rstrip("/")
        try:
            with os.scandir(f"{self._top}{base}") as entries:
                return sorted(f"{base}/{entry.name}" for entry in entries if entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []


def ancestors(group: str) -> tuple[str, ...]:
    """The groups above, nearest first, without the root: "/a/b/c" -> ("/a/b", "/a")."""
    above = []
    while (group := group.rpartition("/")[0]) != "":
        above.append(group)
    return tuple(above)
