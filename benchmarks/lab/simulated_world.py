"""A scenario on the simulated node: its tree, its services with their load, its peers, the load generator."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator

import numpy as np

from backends.simulator import Hogs, OnlineService, SimulatedNode, Workload
from benchmarks.lab.arrivals import arrival_seed, phases
from benchmarks.lab.run import Floats, Requests
from benchmarks.lab.scenario import Online, Peer, Scenario
from benchmarks.lab.scraped import ServiceMetrics
from benchmarks.lab.traits import Traits
from controller.demo.load import draw_arrivals
from models.container import CpuLimit

LEAD_SECONDS = 2.0  # the processes are at work before the load starts
DRAIN_SECONDS = 2.0  # the generator waits that long for answers still due (controller.demo.load.Plan)
LOAD = "load"
_HIGH_WEIGHT = 10 * 1024  # the generator's group, as controller.demo.scene gives it


class World:
    """One run's simulated machine. Its clock begins `LEAD_SECONDS` before the load. A group of the tree that
    the scenario does not list among its slices has the usual weight.

    Every peer is busy loops, whatever its kind: caches, memory bandwidth and disks are not simulated. Its
    work units are CPU seconds. `peers_at_work` False: the peers are there and do nothing ("alone").
    """

    def __init__(self, scenario: Scenario, seed: int, cpus: int, traits: Traits, peers_at_work: bool) -> None:
        self.scenario = scenario
        self.ends_seconds = scenario.seconds + DRAIN_SECONDS
        self.node = SimulatedNode(
            cpus,
            start_seconds=-LEAD_SECONDS,
            stacked_ratio=traits.stacked_ratio,
            sleeper_bonus_ratio=traits.sleeper_bonus_ratio,
        )
        self.services: dict[str, ServiceMetrics] = {}
        self.hogs: dict[str, Hogs] = {}
        parts: list[Online | Peer] = [*scenario.online, *scenario.peers]
        self.groups = {part.name: part.group for part in parts}
        self.load_groups: list[str] = []
        self._cpus = cpus
        self._arrivals: dict[str, Floats] = {}
        for group, weight in scenario.slices.items():
            self.node.add_group(group, weight=weight)
        for number, online in enumerate(scenario.online):
            self._add_service(online, arrival_seed(seed, number), traits)
        for peer in scenario.peers:
            self.hogs[peer.name] = Hogs(peer.workers, list(stretches(peer, self.ends_seconds)))
            self._add(peer, self.hogs[peer.name] if peers_at_work else None)
        self._add_generator(traits)

    def requests(self) -> Requests:
        """The victim's requests, once the clock is at the end."""
        name = self.scenario.victim.name
        arrivals = self._arrivals[name]
        answered = {round(finish - latency, 6): latency for finish, latency in self.services[name].finished}
        latency = [answered.get(round(at, 6), self.ends_seconds - at) for at in arrivals.tolist()]
        return Requests(arrivals, np.array(latency), np.zeros_like(arrivals))

    def _add_service(self, online: Online, seed: int, traits: Traits) -> None:
        arrivals = draw_arrivals(seed, phases(self.scenario, online, self._cpus))
        downstream = _over_time(arrivals, online.downstream_ms, _changes(online, "downstream_ms"))
        cpu = _over_time(arrivals, online.cpu_ms, _changes(online, "cpu_ms")) * _spread(
            online, seed, len(arrivals)
        )
        service = OnlineService(
            arrivals,
            (cpu + traits.service_ms) / 1000,
            online.threads,
            downstream / 1000,
            holds_worker=False,
        )
        self._add(online, service)
        if online.limit_cores is not None:
            self.node.write_from_outside(online.group, CpuLimit().with_cores(online.limit_cores))
        self._arrivals[online.name] = arrivals
        self.services[online.name] = ServiceMetrics()

    def _add_generator(self, traits: Traits) -> None:
        """One part for each cpuset, as containers whose cpusets overlap in part can't be simulated."""
        arrivals = np.sort(np.concatenate(list(self._arrivals.values())))
        cpusets = {self.node.allowed_cpus(group) for group in self.groups.values()}
        for number, cpus in enumerate(sorted(cpusets, key=sorted)):
            cost = traits.generator_ms / 1000 * len(cpus) / sum(map(len, cpusets))
            group = f"/{LOAD}-{number}"
            service = OnlineService(arrivals, cost) if cost else None
            self.node.add_container(group[1:], group, service, weight=_HIGH_WEIGHT, allowed_cpus=cpus)
            self.load_groups.append(group)

    def _add(self, part: Online | Peer, workload: Workload | None) -> None:
        for above in _parents(part.group):
            if not self.node.has_group(above):
                self.node.add_group(above)
        cpus = None if part.cpus is None else frozenset(part.cpus)
        self.node.add_container(part.name, part.group, workload, weight=part.weight, allowed_cpus=cpus)


def stretches(peer: Peer, until_seconds: float) -> Iterator[tuple[float, float]]:
    """When the peer's workers are busy. A period begins at each multiple of `period_seconds`."""
    active = ((-math.inf, math.inf),) if peer.active is None else peer.active
    if peer.duty >= 1.0:
        yield from active
        return
    first = math.floor(-LEAD_SECONDS / peer.period_seconds)
    for number in range(first, math.ceil(until_seconds / peer.period_seconds)):
        start = number * peer.period_seconds
        for begin, end in active:
            busy = max(start, begin), min(start + peer.duty * peer.period_seconds, end)
            if busy[0] < busy[1]:
                yield busy


def _changes(online: Online, name: str) -> Iterator[tuple[float, float]]:
    for change in online.changes:
        if (value := getattr(change, name)) is not None:
            yield change.at_seconds, value


def _over_time(arrivals: Floats, first: float, changes: Iterable[tuple[float, float]]) -> Floats:
    values = np.full(len(arrivals), first)
    for at, value in changes:
        values[arrivals >= at] = value
    return values


def _spread(online: Online, seed: int, count: int) -> Floats:
    """The factors of CPU time, one by one as controller.demo.service draws them."""
    if not online.sigma:
        return np.ones(count)
    draw = random.Random(seed).lognormvariate
    return np.array([draw(-(online.sigma**2) / 2, online.sigma) for _ in range(count)])


def _parents(group: str) -> list[str]:
    parts = group.strip("/").split("/")
    return ["/" + "/".join(parts[:n]) for n in range(1, len(parts))]
