"""Containers found by walking the cgroup tree: kubepods, Docker, podman, systemd units."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from backends.base import Gone
from backends.discovery.names import Kind, recognise
from backends.discovery.tree import Tree
from models.container import Container

# A group whose program isn't seen after this many looks is taken for a container: its processes are hidden.
_SANDBOX_LOOKS = 10


@dataclass(frozen=True, slots=True)
class TierPattern:
    """The policy for the groups whose path matches `match`, a glob in which * also crosses "/"."""

    match: str
    template: Container


@dataclass(slots=True)
class _Found:
    """What is known of one group since it was first seen."""

    container: Container
    looks_left: int
    sandbox: bool = False


class CgroupfsDiscovery:
    """The containers and systemd units below some roots, each with the policy of the first pattern that fits.

    A container's id is the runtime's, a unit's is its group path. The walk ends at a container or unit: what
    is below belongs to it. Left out: groups without a policy (no pattern fits and there is no default),
    sandboxes as far as they can be told (see `SandboxCheck`), conmon, init.scope, and our own group.

    Every scan lists all levels anew. Directory times would not do: on cgroup v1 and v2 they never change, and
    the link count is the same after one group has been replaced by another (measured on Linux 6.18).
    """

    def __init__(
        self,
        tree: Tree,
        roots: Sequence[str],
        patterns: Sequence[TierPattern],
        default: Container | None = None,
        own: Collection[str] = (),
        is_sandbox: Callable[[str], bool | None] | None = None,
    ) -> None:
        """`own`: our own groups, see `own_groups`. Raises ValueError for a root that can't be a group."""
        self._tree = tree
        self._roots = [tree.relative(root) for root in roots]
        self._patterns = [(re.compile(fnmatch.translate(p.match)), p.template) for p in patterns]
        self._default = default
        self._own = tuple(f"{group.rstrip('/')}/" for group in own)
        self._is_sandbox = is_sandbox
        self._known: dict[str, _Found] = {}

    def containers(self) -> Sequence[Container]:
        """See `Discovery.containers`."""
        seen: dict[str, _Found] = {}
        for root in self._roots:
            for group, runtime_id in self._walk(root):
                if group not in seen and (found := self._look(group, runtime_id)) is not None:
                    seen[group] = found
        self._known = seen
        return tuple(found.container for found in seen.values() if not found.sandbox)

    def _walk(self, group: str) -> Iterator[tuple[str, str]]:
        """All containers and units below, each with its runtime's id."""
        try:
            children = self._tree.children(group)
        except OSError:
            return
        parent = group.rpartition("/")[2]
        for child in children:
            kind, runtime_id = recognise(child.rpartition("/")[2], parent)
            if kind is Kind.LEVEL:
                yield from self._walk(child)
            elif kind is not Kind.HELPER:
                yield child, runtime_id

    def _look(self, group: str, runtime_id: str) -> _Found | None:
        try:
            inode = self._tree.inode(group)
        except Gone:
            return None
        found = self._known.get(group)
        if found is None or found.container.inode != inode:
            template = self._template(group)
            if template is None:
                return None
            container = replace(template, id=runtime_id or group, cgroup=group, inode=inode)
            found = _Found(container, looks_left=_SANDBOX_LOOKS if runtime_id and self._is_sandbox else 0)
        if found.looks_left and self._is_sandbox:
            verdict = self._is_sandbox(group)
            found.sandbox = verdict is True
            found.looks_left = found.looks_left - 1 if verdict is None else 0
        return found

    def _template(self, group: str) -> Container | None:
        if any(own.startswith(f"{group}/") for own in self._own):
            return None
        for pattern, template in self._patterns:
            if pattern.match(group):
                return template
        return self._default
