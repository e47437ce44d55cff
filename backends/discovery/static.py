"""Containers named one by one in the configuration, each with its cgroup or a glob of cgroups."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from backends.base import Gone
from backends.discovery.tree import Tree
from models.container import Container

_WILDCARD = re.compile(r"[*?\[\]]")


@dataclass(frozen=True, slots=True)
class StaticEntry:
    """`cgroup` is a path or a glob, absolute below a mount point or relative to the tree.

    `template` carries the policy, and as its id the configured name.
    """

    cgroup: str
    template: Container


class StaticDiscovery:
    """The groups of a fixed list that exist now. One that is missing is not there yet: that is no error.

    A plain path has the configured name as its id. A glob gives one container for each group it matches, with
    the name and what the wildcards stood for as its id: "batch" with "/jobs/job-*" finds "batch-17". Where
    two entries match one group, or make one id, the first wins.
    """

    def __init__(self, tree: Tree, entries: Sequence[StaticEntry]) -> None:
        """Raises ValueError for a path that can't be one of a group."""
        self._tree = tree
        self._entries = [(tree.relative(entry.cgroup), entry.template) for entry in entries]
        self._known: dict[str, Container] = {}

    def containers(self) -> Sequence[Container]:
        """See `Discovery.containers`."""
        found: dict[str, Container] = {}
        ids: set[str] = set()
        for group, container_id, template in self._candidates():
            if group in found or container_id in ids:
                continue
            try:
                inode = self._tree.inode(group)
            except Gone:
                continue
            known = self._known.get(group)
            if known is None or known.inode != inode:
                known = replace(template, id=container_id, cgroup=group, inode=inode)
            found[group] = known
            ids.add(container_id)
        self._known = found
        return tuple(found.values())

    def _candidates(self) -> Iterator[tuple[str, str, Container]]:
        for pattern, template in self._entries:
            wildcards = [match.span() for match in _WILDCARD.finditer(pattern)]
            if not wildcards:
                yield pattern, template.id, template
                continue
            before, after = wildcards[0][0], len(pattern) - wildcards[-1][1]
            for group in self._tree.groups(pattern):
                varying = group[before : len(group) - after]
                yield group, f"{template.id}-{varying}" if varying else template.id, template
