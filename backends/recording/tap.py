"""Listens at the protocols between the engine and a node that runs, and makes a line of each tick.

Reads, writes and exceptions go through unchanged. What the engine itself writes is not recorded as something
the node answered: only what it was told that it did not know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from backends.base import Discovery, Gone, Node, Refused
from backends.recording.lines import SampleWriter, plain, plain_answer, plain_container
from models.container import Container, CpuLimit, CpuWeight, Sample, Slo

Answer = TypeVar("Answer")


class _Latencies(Protocol):
    def watch(self, containers: Sequence[Container]) -> None: ...

    def quantile_seconds(self, container_id: str, slo: Slo, now_seconds: float) -> float: ...

    def source_states(self) -> Mapping[str, tuple[str, str]]: ...


class _Health(Protocol):
    def check(self, now_seconds: float, wall_seconds: float, collection_failed: bool) -> tuple[str, ...]: ...


class Tap:
    """Collects what one engine is shown. `put` takes each line, and must not wait."""

    def __init__(self, put: Callable[[dict[str, Any]], None]) -> None:
        self._put = put
        self._line: dict[str, Any] = {}
        self._known: dict[tuple[str, str], object] = {}
        self._samples = SampleWriter()
        self._containers: list[dict[str, Any]] | None = None
        self._latency: dict[str, Any] = {}
        self._heard: dict[str, Any] = {}
        self._sources: dict[str, Any] = {}

    def end_tick(
        self, now_seconds: float, wall_seconds: float, freeze: str = "", alerts: Sequence[Sequence[str]] = ()
    ) -> None:
        """A tick is over; `freeze` and `alerts` are what the agent put into it."""
        line = {"at": now_seconds, "wall": wall_seconds} | self._line
        if self._heard != self._latency:
            line["latency"] = self._latency = self._heard
        if freeze:
            line["freeze"] = freeze
        if alerts:
            line["alerts"] = [list(alert) for alert in alerts]
        self._line, self._heard = {}, {}
        self._put(line)

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        """The engine said this: a transition, a revision or an alert."""
        self._line.setdefault("told", []).append([kind, data])

    def configured(self, config: dict[str, Any]) -> None:
        """The configuration is another one from the next tick on."""
        self._line["config"] = config

    def learnt(self, state: dict[str, Any]) -> None:
        """What the learner knows is another thing from the next tick on."""
        self._line["learnt"] = state

    def restored(self, now_seconds: float, wall_seconds: float, reason: str) -> None:
        """Everything was given back by hand."""
        self._line.setdefault("restored", []).append([now_seconds, wall_seconds, reason])

    # What the parts below note.

    def answer(self, question: str, group: str, answer: object) -> None:
        """The node answered this; kept when it did not say so before."""
        found = plain_answer(answer)
        if self._known.get((question, group), self) != found:
            self._known[question, group] = found
            self._line.setdefault("answers", {}).setdefault(question, {})[group] = found

    def wrote(self, question: str, group: str, value: object) -> None:
        """The engine wrote this, so it is no news when the node answers it."""
        self._known[question, group] = plain_answer(value)

    def refused(self, question: str, group: str, error: Exception) -> None:
        """The node did not take a write."""
        self._line.setdefault("refused", []).append([question, group, plain_answer(error)])

    def sampled(self, sample: Sample) -> None:
        """All containers were read."""
        self._line.setdefault("samples", []).append(self._samples.plain(sample))

    def failed(self, error: Exception) -> None:
        """Nothing could be read."""
        self._line["failed"] = str(error)

    def found(self, containers: Sequence[Container]) -> None:
        """Discovery found these."""
        fields = [plain_container(container) for container in containers]
        if fields != self._containers:
            self._line["containers"] = self._containers = fields

    def latency(self, container_id: str, seconds: float) -> None:
        """A container's latency, NaN when it is not known."""
        if not math.isnan(seconds):
            self._heard[container_id] = plain(seconds)

    def sources(self, states: Mapping[str, tuple[str, str]]) -> None:
        """How the latency sources fare."""
        found = {name: list(state) for name, state in states.items()}
        if found != self._sources:
            self._line["sources"] = self._sources = found

    def abnormal(self, reasons: tuple[str, ...]) -> None:
        """Why the node is not well."""
        if reasons:
            self._line["abnormal"] = list(reasons)


class TappedNode:
    """A `Node` whose answers are heard."""

    def __init__(self, node: Node, tap: Tap) -> None:
        self._node, self._tap = node, tap
        self.name, self.cpus = node.name, node.cpus

    def watch(self, containers: Sequence[Container]) -> None:
        """See `Node.watch`. Each is asked what another configuration might ask of it."""
        self._node.watch(containers)
        for container in containers:
            for question in (self.limit, self.inode, self.burst_us, self.weight):
                _ignore(question, container.cgroup)
            for group in _ignore(self.ancestors, container.cgroup) or ():
                for question in (self.limit, self.inode, self.weight):
                    _ignore(question, group)

    def collect(self, now_seconds: float) -> Sample:
        """See `Node.collect`."""
        try:
            sample = self._node.collect(now_seconds)
        except Exception as error:
            self._tap.failed(error)
            raise
        self._tap.sampled(sample)
        return sample

    def allowed_cpus(self, group: str) -> frozenset[int]:
        """See `Node.allowed_cpus`."""
        return self._ask("allowed_cpus", self._node.allowed_cpus, group)

    def inode(self, group: str) -> int:
        """See `Node.inode`."""
        return self._ask("inode", self._node.inode, group)

    def limit(self, group: str) -> CpuLimit:
        """See `Node.limit`."""
        return self._ask("limit", self._node.limit, group)

    def set_limit(self, group: str, limit: CpuLimit) -> None:
        """See `Node.set_limit`."""
        self._do("limit", self._node.set_limit, group, limit)

    def burst_us(self, group: str) -> int | None:
        """See `Node.burst_us`."""
        return self._ask("burst_us", self._node.burst_us, group)

    def set_burst_us(self, group: str, burst_us: int) -> None:
        """See `Node.set_burst_us`."""
        self._do("burst_us", self._node.set_burst_us, group, burst_us)

    def weight(self, group: str) -> CpuWeight:
        """See `Node.weight`."""
        return self._ask("weight", self._node.weight, group)

    def reweigh(self, group: str, weight: CpuWeight) -> None:
        """See `Node.reweigh`."""
        self._do("weight", self._node.reweigh, group, weight)
        # While cpu.idle is set the kernel shows a weight of its own: no news either.
        if (shown := _ignore(self._node.weight, group)) is not None:
            self._tap.wrote("weight", group, shown)

    def weight_of(self, shares: int) -> int:
        """See `Node.weight_of`."""
        return self._node.weight_of(shares)

    def ancestors(self, group: str) -> tuple[str, ...]:
        """See `Node.ancestors`."""
        return self._ask("ancestors", self._node.ancestors, group)

    def close(self) -> None:
        """See `Node.close`."""
        self._node.close()

    def _ask(self, question: str, ask: Callable[[str], Answer], group: str) -> Answer:
        try:
            answer = ask(group)
        except (Gone, Refused) as error:
            self._tap.answer(question, group, error)
            raise
        self._tap.answer(question, group, answer)
        return answer

    def _do(self, question: str, do: Callable[[str, Any], None], group: str, value: object) -> None:
        try:
            do(group, value)
        except (Gone, Refused) as error:
            self._tap.refused(question, group, error)
            raise
        self._tap.wrote(question, group, value)


class TappedDiscovery:
    """A `Discovery` whose findings are heard."""

    def __init__(self, discovery: Discovery, tap: Tap) -> None:
        self._discovery, self._tap = discovery, tap

    def containers(self) -> Sequence[Container]:
        """See `Discovery.containers`."""
        found = self._discovery.containers()
        self._tap.found(found)
        return found


class TappedLatencies:
    """Latencies that are heard."""

    def __init__(self, latencies: _Latencies, tap: Tap) -> None:
        self._latencies, self._tap = latencies, tap

    def watch(self, containers: Sequence[Container]) -> None:
        """See `engine.Latencies`."""
        self._latencies.watch(containers)

    def quantile_seconds(self, container_id: str, slo: Slo, now_seconds: float) -> float:
        """See `engine.Latencies`."""
        seconds = self._latencies.quantile_seconds(container_id, slo, now_seconds)
        self._tap.latency(container_id, seconds)
        return seconds

    def source_states(self) -> Mapping[str, tuple[str, str]]:
        """See `engine.Latencies`."""
        states = self._latencies.source_states()
        self._tap.sources(states)
        return states


class TappedHealth:
    """The node's health, heard."""

    def __init__(self, health: _Health, tap: Tap) -> None:
        self._health, self._tap = health, tap

    def check(self, now_seconds: float, wall_seconds: float, collection_failed: bool) -> tuple[str, ...]:
        """See `engine.Health`."""
        reasons = self._health.check(now_seconds, wall_seconds, collection_failed)
        self._tap.abnormal(reasons)
        return reasons


def _ignore(ask: Callable[[str], Answer], group: str) -> Answer | None:
    try:
        return ask(group)
    except (Gone, Refused):
        return None
