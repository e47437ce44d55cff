"""Is the node itself well? While it is not, the engine adjusts nothing and leaves the scene as it is.

A fault is something that was there at the start and is lost: a host that never had a network, or a file
system that was read-only from the beginning, is well. A file that can't be read is no signal.
"""

from __future__ import annotations

from backends.health.node import HealthSettings, NodeHealth

__all__ = ["HealthSettings", "NodeHealth"]
