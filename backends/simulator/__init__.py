"""A simulated node: the engine's `Node` and `Discovery` in memory, in time of its own.

Build a `SimulatedNode`, add containers that run an `OnlineService` or `Hogs`, and alternate `advance` with
a round of the engine. What is approximate stands at each class: the mechanisms are the kernel's, the numbers
are not.
"""

from backends.simulator.arrivals import lognormal_cpu_seconds, poisson_arrivals
from backends.simulator.discovery import PolicyOf, SimulatedDiscovery
from backends.simulator.hogs import Hogs
from backends.simulator.node import GroupState, LimitWrite, SimulatedNode
from backends.simulator.online import OnlineService
from backends.simulator.workload import Workload

__all__ = [
    "GroupState",
    "Hogs",
    "LimitWrite",
    "OnlineService",
    "PolicyOf",
    "SimulatedDiscovery",
    "SimulatedNode",
    "Workload",
    "lognormal_cpu_seconds",
    "poisson_arrivals",
]
