"""Several discoveries seen as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.base import Discovery
from models.container import Container


class Merged:
    """All containers of all sources; where two know the same group, or use the same id, the first wins.

    A source that fails hides no other: its last good list stands until it answers again, since a container
    that is taken for gone would lose its limits. `problems` says which sources failed at the last look, and
    why.
    """

    def __init__(self, sources: Mapping[str, Discovery]) -> None:
        """`sources`: by the name that problems are reported under, in order of precedence."""
        self._sources = dict(sources)
        self._last_good: dict[str, Sequence[Container]] = {}
        self.problems: dict[str, str] = {}

    def containers(self) -> Sequence[Container]:
        """See `Discovery.containers`. Never raises."""
        self.problems = {}
        for name, source in self._sources.items():
            try:
                self._last_good[name] = source.containers()
            except Exception as error:
                # A source may be a user's plug-in: whatever it raises must not blind the others.
                self.problems[name] = f"{type(error).__name__}: {error}"
        found: dict[str, Container] = {}
        ids: set[str] = set()
        for name in self._sources:
            for container in self._last_good.get(name, ()):
                if container.cgroup not in found and container.id not in ids:
                    found[container.cgroup] = container
                    ids.add(container.id)
        return tuple(found.values())
