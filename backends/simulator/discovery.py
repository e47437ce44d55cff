"""The containers of a simulated node, with the policy that the caller gives them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from backends.simulator.node import SimulatedNode
from models.container import Container

PolicyOf = Callable[[str, str, int], Container]
"""Makes the Container of an id, a cgroup path and an inode."""


class SimulatedDiscovery:
    """A `Discovery` of the containers that are on the node now.

    `policy_of` is called once for each container, when it is first seen; a container started again under the
    same id has a new inode and counts as another one. Default: a Container with the defaults of its class.
    Of the ids in `only`, if given.
    """

    def __init__(
        self, node: SimulatedNode, policy_of: PolicyOf = Container, only: Collection[str] | None = None
    ) -> None:
        self._node = node
        self._only = only
        self._policy_of = policy_of
        self._generation = -1
        self._known: dict[tuple[str, str, int], Container] = {}

    def containers(self) -> Sequence[Container]:
        """See `Discovery.containers`."""
        if self._generation != self._node.generation:
            self._generation = self._node.generation
            self._known = {
                place: self._known.get(place) or self._policy_of(*place)
                for place in self._node.running()
                if self._only is None or place[0] in self._only
            }
        return tuple(self._known.values())
