"""cgroup v2: one tree for everything (Documentation/admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

import math

from backends.base import v2_weight
from backends.cgroup.cpu_group import CpuGroup
from backends.cgroup.files import Files
from backends.cgroup.layout import Layout
from backends.cgroup.parse import (
    NO_THROTTLING,
    Throttling,
    parse_cpu_max,
    parse_throttling,
    parse_usage_us,
)
from models.container import CpuLimit


class V2CpuGroup(CpuGroup):
    """cpu.max and cpu.stat, which has the usage too."""

    limit_file = "cpu.max"
    burst_file = "cpu.max.burst"
    weight_file = "cpu.weight"
    throttled_unit_seconds = 1e-6

    __slots__ = ("_usage_us",)

    def __init__(self, files: Files, directory: str, group: str, parent: CpuGroup | None) -> None:
        self._usage_us = 0
        super().__init__(files, directory, group, parent)

    def usage_seconds(self, now_seconds: float) -> float:
        return self._usage_us * 1e-6 if self.counted else math.nan

    def _parse_stat(self, text: bytes) -> Throttling:
        # Without the cpu controller a group has its usage, and no limit to be throttled by.
        throttling = parse_throttling(text) if b"\nnr_periods " in text else NO_THROTTLING
        self._usage_us = parse_usage_us(text)
        return throttling

    def _read_limit(self, now_seconds: float) -> None:
        text = self._limit_bytes(now_seconds)
        if text is None:
            self.cores, self._limit_text = math.inf, b""
        elif text != self._limit_text:
            self.cores = self._parse_limit(text).cores
            self._limit_text = text

    def _parse_limit(self, text: bytes) -> CpuLimit:
        return CpuLimit(*parse_cpu_max(text))

    def _format_limit(self, limit: CpuLimit) -> str:
        quota = "max" if limit.quota_us is None else str(limit.quota_us)
        return f"{quota} {limit.period_us}"


class V2:
    """The names and places of v2."""

    name = "cgroup-v2"

    def __init__(self, files: Files, layout: Layout) -> None:
        self._files, self._point = files, layout.cpu.point

    def cpu_group(self, group: str, parent: CpuGroup | None) -> CpuGroup:
        return V2CpuGroup(self._files, self._point + group, group, parent)

    def weight_of(self, shares: int) -> int:
        return v2_weight(shares)

    def memory_usage_path(self, group: str) -> str | None:
        return f"{self._point}{group}/memory.current"

    def memory_limit_path(self, group: str) -> str | None:
        return f"{self._point}{group}/memory.max"

    def cpuset_path(self, group: str) -> str | None:
        return f"{self._point}{group}/cpuset.cpus.effective"

    def threads_path(self, group: str) -> str:
        return f"{self._point}{group}/cgroup.threads"

    def pressure_path(self, group: str) -> str | None:
        return f"{self._point}{group}/cpu.pressure"
