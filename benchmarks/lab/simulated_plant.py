"""The simulated machine as a baseline sees it."""

from __future__ import annotations

from benchmarks.lab.simulated_world import World

_RATE_WINDOW_SECONDS = 1.0


class SimulatedPlant:
    """A `benchmarks.lab.plant.Plant` over a `World`."""

    def __init__(self, world: World, slo_seconds: float) -> None:
        scenario = world.scenario
        self._world, self._node = world, world.node
        self._full_rate = world.node.cpus * 1000 / scenario.victim.request_ms
        self.cpus = world.node.cpus
        self.slo_seconds = slo_seconds
        self.victim = scenario.victim.name
        self.online = tuple(online.name for online in scenario.online)
        self.peers = tuple(peer.name for peer in scenario.peers)
        self.may_reweight = scenario.reweight

    def usage_seconds(self, name: str) -> float:
        """See `Plant.usage_seconds`."""
        return self._node.look(self._world.groups[name]).usage_seconds

    def busy_seconds(self) -> float:
        """See `Plant.busy_seconds`."""
        return self._node.busy_seconds

    def throttling(self, name: str) -> tuple[int, int]:
        """See `Plant.throttling`."""
        state = self._node.look(self._world.groups[name])
        return state.periods, state.throttled_periods

    def latency_seconds(self, window_seconds: float, percentile: float) -> float:
        """See `Plant.latency_seconds`."""
        return self._world.services[self.victim].latency_seconds(window_seconds, percentile)

    def load_ratio(self) -> float:
        """See `Plant.load_ratio`. Of the requests that finished, as the service's metrics count them."""
        return self._world.services[self.victim].rate_per_second(_RATE_WINDOW_SECONDS) / self._full_rate

    def limit_cores(self, name: str) -> float:
        """See `Plant.limit_cores`."""
        return self._node.look(self._world.groups[name]).limit.cores

    def set_limit(self, name: str, cores: float) -> None:
        """See `Plant.set_limit`."""
        group = self._world.groups[name]
        old = self._node.limit(group)
        if (new := old.with_cores(cores)) != old:
            self._node.set_limit(group, new)

    def set_shares(self, name: str, shares: int) -> None:
        """See `Plant.set_shares`."""
        group = self._world.groups[name]
        if self.may_reweight and self._node.look(group).weight != shares:
            self._node.set_weight(group, shares)

    def set_idle(self, name: str, idle: bool) -> None:
        """See `Plant.set_idle`."""
        if self.may_reweight:
            self._node.set_idle(self._world.groups[name], idle)
