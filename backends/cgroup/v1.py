"""cgroup v1: a hierarchy per controller, mounted apart or together (Documentation/admin-guide/cgroup-v1)."""

from __future__ import annotations

import math

from backends.cgroup.cpu_group import CpuGroup
from backends.cgroup.files import Files
from backends.cgroup.kept import KeptFile
from backends.cgroup.layout import Layout, Mount
from backends.cgroup.parse import Throttling, parse_int, parse_throttling
from backends.cgroup.pressure import find_pressure
from models.container import CpuLimit

PERIOD_REFRESH_SECONDS = 10.0


class V1CpuGroup(CpuGroup):
    """cpu.cfs_quota_us, cpu.cfs_period_us, cpu.stat, and cpuacct.usage of the hierarchy that has it."""

    limit_file = "cpu.cfs_quota_us"
    burst_file = "cpu.cfs_burst_us"
    weight_file = "cpu.shares"
    throttled_unit_seconds = 1e-9

    __slots__ = ("_period_due", "_usage")

    def __init__(
        self, files: Files, directory: str, group: str, parent: CpuGroup | None, usage_path: str | None
    ) -> None:
        self._usage = None if usage_path is None else KeptFile(files, usage_path)
        self._period_due = -math.inf
        super().__init__(files, directory, group, parent)

    def usage_seconds(self, now_seconds: float) -> float:
        data = self._usage.read(now_seconds) if self._usage else None
        try:
            return math.nan if data is None else parse_int(data) * 1e-9
        except ValueError:
            return math.nan

    def close(self) -> None:
        super().close()
        if self._usage:
            self._usage.close()

    def _parse_stat(self, text: bytes) -> Throttling:
        return parse_throttling(text)

    def _read_limit(self, now_seconds: float) -> None:
        text = self._limit_bytes(now_seconds)
        if text is None:
            self.cores = math.inf
        elif text != self._limit_text or now_seconds >= self._period_due:
            # The period hardly ever changes: it is read with a changed quota, else only now and then.
            self.cores = self._parse_limit(text).cores
            self._limit_text = text
            self._period_due = now_seconds + PERIOD_REFRESH_SECONDS

    def _parse_limit(self, text: bytes) -> CpuLimit:
        quota_us = parse_int(text)
        period_us = parse_int(self._read_own("cpu.cfs_period_us"))
        return CpuLimit(quota_us if quota_us >= 0 else None, period_us)

    def _format_limit(self, limit: CpuLimit) -> str:
        return "-1" if limit.quota_us is None else str(limit.quota_us)


class V1:
    """The names and places of v1. On a hybrid host pressure comes from the v2 tree."""

    name = "cgroup-v1"

    def __init__(self, files: Files, layout: Layout, proc: str) -> None:
        self._files, self._layout, self._proc = files, layout, proc

    def cpu_group(self, group: str, parent: CpuGroup | None) -> CpuGroup:
        return V1CpuGroup(
            self._files,
            self._layout.cpu.point + group,
            group,
            parent,
            _below(self._layout.cpuacct, group, "cpuacct.usage"),
        )

    def weight_of(self, shares: int) -> int:
        return shares

    def memory_usage_path(self, group: str) -> str | None:
        return _below(self._layout.memory, group, "memory.usage_in_bytes")

    def memory_limit_path(self, group: str) -> str | None:
        return _below(self._layout.memory, group, "memory.limit_in_bytes")

    def cpuset_path(self, group: str) -> str | None:
        return _below(self._layout.cpuset, group, "cpuset.effective_cpus")

    def threads_path(self, group: str) -> str:
        return f"{self._layout.cpu.point}{group}/tasks"

    def pressure_path(self, group: str) -> str | None:
        return find_pressure(self._files, self._layout, self._proc, group)


def _below(mount: Mount | None, group: str, file: str) -> str | None:
    return None if mount is None else f"{mount.point}{group}/{file}"
