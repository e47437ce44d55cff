"""The domain types: a container and its policy, a CPU limit, and one sample of the whole node.

Four values of a limit are kept apart everywhere (the kubelet's resize does the same):
`spec` is what the cluster asked for, `base` what we go back to, `target` what was decided,
`effective` what the kernel was read to hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

DEFAULT_PERIOD_US = 100_000
MIN_QUOTA_US = 1_000  # kernel/sched/core.c, min_cfs_quota_period


@dataclass(frozen=True, slots=True)
class CpuLimit:
    """A CFS bandwidth limit: `quota_us` of CPU time in every `period_us` of wall time.

    `quota_us` None means no limit (v1 writes it as -1, v2 as "max").
    """

    quota_us: int | None = None
    period_us: int = DEFAULT_PERIOD_US

    @property
    def cores(self) -> float:
        """The limit in cores; infinite when there is none."""
        return math.inf if self.quota_us is None else self.quota_us / self.period_us

    def with_cores(self, cores: float) -> CpuLimit:
        """The limit of `cores` at this limit's own period: a custom period is never changed."""
        if math.isinf(cores):
            return replace(self, quota_us=None)
        return replace(self, quota_us=max(MIN_QUOTA_US, round(cores * self.period_us)))


@dataclass(frozen=True, slots=True)
class CpuWeight:
    """How a group stands among its siblings when all want CPU.

    `weight` is in the scale of its hierarchy (v1 `cpu.shares` 2 to 262144, v2 `cpu.weight` 1 to 10000).
    `idle`: `cpu.idle` is set, and the weight is the least there is, whatever the file shows.
    """

    weight: int
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Slo:
    """The latency an online container promises: `percentile` of requests within `latency_seconds`."""

    latency_seconds: float
    percentile: float = 95.0


@dataclass(frozen=True, slots=True)
class Scrape:
    """A Prometheus endpoint that tells a container's latency: a histogram or a summary, in seconds."""

    url: str
    metric: str
    labels: tuple[tuple[str, str], ...] = ()
    interval_seconds: float = 0.5
    timeout_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Container:
    """A container as discovery found it, with the policy that holds for it.

    `cgroup` is the path below the controllers' mount points ("/kubepods/burstable/pod1/c1"), the same in
    every hierarchy. `inode` is the cgroup directory's inode in the hierarchy that carries the CPU
    controller; (inode, id) is the container's identity, since ids and paths are re-used.
    `floor_cores`: it is never cut below. `ceiling_cores`: its own limit is never raised above (None: as
    the configuration's default says). `spec_cores`: the limit its spec asks for (None: no spec known,
    infinite: a spec without a limit). `reweight`: its weight may be changed, that of its pod too. `image` is
    the digest or version of what it runs, empty when not known.
    """

    id: str
    cgroup: str
    inode: int
    tier: str = "offline"
    priority: int = 0
    app: str = ""
    slo: Slo | None = None
    floor_cores: float = 0.1
    ceiling_cores: float | None = None
    spec_cores: float | None = None
    adjustable: bool = True
    reweight: bool = True
    scrape: Scrape | None = None
    image: str = ""

    @property
    def identity(self) -> tuple[int, str]:
        """What tells this container from a later one under the same path or id."""
        return (self.inode, self.id)

    @property
    def release(self) -> str:
        """What it runs, as far as that is known: image, application, or at least which container it is."""
        return self.image or self.app or self.id


@dataclass(frozen=True, slots=True)
class NodeSample:
    """The whole node at one moment. `busy_seconds` is cumulative over all CPUs; the rest are gauges."""

    cpus: int
    busy_seconds: float
    load_1m: float
    memory_bytes: float
    memory_total_bytes: float


def _nan() -> FloatArray:
    return np.empty(0)


@dataclass(slots=True)
class Sample:
    """One reading of the node: columns over containers, row i of each belongs to `ids[i]`.

    Counters are cumulative and only their differences mean anything. NaN: not to be had for that container
    (no PSI, no v2 tree, the file could not be read). `gone` lists containers whose cgroup has vanished or is
    another one by now; their rows are NaN.

    `usage_seconds`      CPU time used (cpuacct.usage; cpu.stat usage_usec)
    `periods`, `throttled_periods`, `throttled_seconds`   cpu.stat of the group that binds: its own, or on v2
                         the ancestor whose limit is the effective one
    `wait_seconds`       PSI `some` total of cpu.pressure: wall time in which a thread of the group waited
    `run_delay_seconds`  the fallback: run delay summed over all threads (/proc/PID/task/*/schedstat,
                         field 2); NaN wherever PSI is there
    `limit_cores`        effective CPU limit, the minimum along the path; infinite when there is none
    """

    taken_at_seconds: float
    ids: tuple[str, ...]
    node: NodeSample
    usage_seconds: FloatArray = field(default_factory=_nan)
    periods: FloatArray = field(default_factory=_nan)
    throttled_periods: FloatArray = field(default_factory=_nan)
    throttled_seconds: FloatArray = field(default_factory=_nan)
    wait_seconds: FloatArray = field(default_factory=_nan)
    run_delay_seconds: FloatArray = field(default_factory=_nan)
    memory_bytes: FloatArray = field(default_factory=_nan)
    memory_limit_bytes: FloatArray = field(default_factory=_nan)
    limit_cores: FloatArray = field(default_factory=_nan)
    gone: frozenset[str] = frozenset()

    COLUMNS = (
        "usage_seconds",
        "periods",
        "throttled_periods",
        "throttled_seconds",
        "wait_seconds",
        "run_delay_seconds",
        "memory_bytes",
        "memory_limit_bytes",
        "limit_cores",
    )

    @classmethod
    def empty(cls, taken_at_seconds: float, ids: tuple[str, ...], node: NodeSample) -> Sample:
        """A sample with every column NaN, for a backend to fill in."""
        sample = cls(taken_at_seconds, ids, node)
        for name in cls.COLUMNS:
            setattr(sample, name, np.full(len(ids), np.nan))
        return sample
