"""The parts of a node that was recorded, for an engine that runs over the recording. Open loop: a write is
remembered, so that reading it back gives it, and changes nothing of what was measured.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backends.base import Gone, Refused, v2_weight
from backends.recording.reader import Header, Tick
from models.container import Container, CpuLimit, CpuWeight, Sample, Slo


class RecordedNode:
    """A `Node` of which nothing is left but what it answered. It also is discovery, latencies and health."""

    def __init__(
        self, header: Header, policy_of: Callable[[Container], Container] = lambda container: container
    ) -> None:
        """`policy_of` gives a container another policy than the recorded one."""
        self.name, self.cpus = header.backend, header.cpus
        self._policy_of = policy_of
        self._answers: dict[tuple[str, str], object] = {}
        self._refused: dict[tuple[str, str], list[Exception]] = {}
        self._found: tuple[Container, ...] = ()
        self._watched: tuple[Container, ...] = ()
        self._samples: list[Sample] = []
        self._failed: str | None = None
        self.latency: Mapping[str, float] = {}
        self.sources: Mapping[str, tuple[str, str]] = {}
        self.abnormal: tuple[str, ...] = ()

    def show(self, tick: Tick) -> None:
        """From now on it is as it was in this tick."""
        for question, group, answer in tick.answers:
            self._answers[question, group] = answer
        self._refused = {}
        for question, group, error in tick.refused:
            if isinstance(error, Exception):
                self._refused.setdefault((question, group), []).append(error)
        if tick.containers is not None:
            self._found = tuple(self._policy_of(container) for container in tick.containers)
        self._samples, self._failed = tick.samples, tick.failed
        self.latency = self.latency if tick.latency is None else tick.latency
        self.sources = self.sources if tick.sources is None else tick.sources
        self.abnormal = tick.abnormal

    # ---- the Node protocol

    def watch(self, containers: Sequence[Container]) -> None:
        """See `Node.watch`."""
        self._watched = tuple(containers)

    def collect(self, now_seconds: float) -> Sample:
        """See `Node.collect`. A container of which this tick has no reading is a row of NaN."""
        if not self._samples:
            raise OSError(errno.ENODATA, self._failed or "nothing was recorded in this tick")
        recorded = self._samples.pop(0) if len(self._samples) > 1 else self._samples[0]
        ids = tuple(container.id for container in self._watched)
        if ids == recorded.ids:
            return recorded
        rows = {name: n for n, name in enumerate(recorded.ids)}
        sample = Sample.empty(recorded.taken_at_seconds, ids, recorded.node)
        known = [(n, rows[name]) for n, name in enumerate(ids) if name in rows]
        for column in Sample.COLUMNS:
            for n, row in known:
                getattr(sample, column)[n] = getattr(recorded, column)[row]
        sample.gone = recorded.gone & frozenset(ids)
        return sample

    def allowed_cpus(self, group: str) -> frozenset[int]:
        """See `Node.allowed_cpus`."""
        found: frozenset[int] = self._answer("allowed_cpus", group, frozenset(range(self.cpus)))
        return found

    def inode(self, group: str) -> int:
        """See `Node.inode`."""
        found: int = self._answer("inode", group, Gone(group))
        return found

    def limit(self, group: str) -> CpuLimit:
        """See `Node.limit`."""
        found: CpuLimit = self._answer("limit", group, Gone(group))
        return found

    def set_limit(self, group: str, limit: CpuLimit) -> None:
        """See `Node.set_limit`. Refused where the recorded one was in this tick."""
        self._write("limit", group, limit)

    def burst_us(self, group: str) -> int | None:
        """See `Node.burst_us`."""
        found: int | None = self._answer("burst_us", group, None)
        return found

    def set_burst_us(self, group: str, burst_us: int) -> None:
        """See `Node.set_burst_us`."""
        self._write("burst_us", group, burst_us)

    def weight(self, group: str) -> CpuWeight:
        """See `Node.weight`. The default where it was not recorded."""
        found: CpuWeight = self._answer("weight", group, CpuWeight(self.weight_of(1024)))
        return found

    def reweigh(self, group: str, weight: CpuWeight) -> None:
        """See `Node.reweigh`. Refused where the recorded one was in this tick."""
        self._write("weight", group, weight)

    def weight_of(self, shares: int) -> int:
        """See `Node.weight_of`."""
        return v2_weight(shares) if self.name == "cgroup-v2" else shares

    def ancestors(self, group: str) -> tuple[str, ...]:
        """See `Node.ancestors`."""
        found: tuple[str, ...] = self._answer("ancestors", group, ())
        return found

    def close(self) -> None:
        """Nothing is open."""

    def _answer(self, question: str, group: str, unknown: object) -> Any:
        answer = self._answers.get((question, group), unknown)
        if isinstance(answer, Gone | Refused):
            raise answer
        return answer

    def _write(self, question: str, group: str, value: object) -> None:
        if errors := self._refused.get((question, group)):
            raise errors.pop(0)
        self._answers[question, group] = value

    # ---- discovery, latencies and health

    def containers(self) -> Sequence[Container]:
        """See `Discovery.containers`."""
        return self._found


class RecordedLatencies:
    """The latencies that the recorded agent was told."""

    def __init__(self, node: RecordedNode) -> None:
        self._node = node

    def watch(self, containers: Sequence[Container]) -> None:
        """See `engine.Latencies`."""

    def quantile_seconds(self, container_id: str, slo: Slo, now_seconds: float) -> float:
        """See `engine.Latencies`. The recorded SLO's percentile, whatever `slo` says."""
        return self._node.latency.get(container_id, math.nan)

    def source_states(self) -> Mapping[str, tuple[str, str]]:
        """See `engine.Latencies`."""
        return self._node.sources


class RecordedHealth:
    """The health that the recorded agent saw."""

    def __init__(self, node: RecordedNode) -> None:
        self._node = node

    def check(self, now_seconds: float, wall_seconds: float, collection_failed: bool) -> tuple[str, ...]:
        """See `engine.Health`."""
        return self._node.abnormal
