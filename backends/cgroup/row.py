"""One watched container: everything its row of a sample is read from."""

from __future__ import annotations

import math

from backends.cgroup.cpu_group import CpuGroup
from backends.cgroup.files import Files
from backends.cgroup.interface import Interface
from backends.cgroup.kept import KeptFile
from backends.cgroup.parse import NO_THROTTLING, Throttling, parse_int, parse_memory_limit
from backends.cgroup.pressure import PressureReader
from backends.cgroup.run_delay import RunDelayReader
from models.container import Container

Values = tuple[float, float, float, float, float, float, float, float, float]
NOTHING: Values = (math.nan,) * 9


class Row:
    """Reads one container. `cpu` None: it was gone, or could not be opened, when it was first watched."""

    __slots__ = (
        "_memory_limit",
        "_memory_usage",
        "_pressure",
        "_run_delay",
        "_throttling",
        "container",
        "cpu",
        "gone",
    )

    def __init__(
        self,
        files: Files,
        interface: Interface,
        proc: str,
        container: Container,
        cpu: CpuGroup | None,
        gone: bool,
    ) -> None:
        def kept(path: str | None) -> KeptFile | None:
            return None if path is None else KeptFile(files, path)

        group = container.cgroup
        self.container, self.cpu, self.gone = container, cpu, gone
        self._throttling: Throttling | None = None
        self._memory_usage = kept(interface.memory_usage_path(group))
        self._memory_limit = kept(interface.memory_limit_path(group))
        self._pressure = PressureReader(lambda: kept(interface.pressure_path(group)))
        self._run_delay = RunDelayReader(files, proc, interface.threads_path(group))

    @property
    def live(self) -> bool:
        """Whether there is a cgroup behind it that is still the container's."""
        return self.cpu is not None and self.cpu.alive and not self.gone

    def read(self, now_seconds: float) -> Values:
        """The values in the order of `Sample.COLUMNS`; sets `gone` when the cgroup has vanished.

        The CPU group itself must have been read just before.
        """
        cpu = self.cpu
        if cpu is None or self.gone:
            return NOTHING
        if not cpu.alive:
            self.gone = True
            self.close()
            return NOTHING
        periods, throttled, seconds = self._sum_throttling(cpu.binding)
        wait = self._pressure.read_seconds(now_seconds)
        return (
            cpu.usage_seconds(now_seconds),
            periods,
            throttled,
            seconds,
            wait,
            self._run_delay.read_seconds(now_seconds) if math.isnan(wait) else math.nan,
            self._read_memory_usage(now_seconds),
            self._read_memory_limit(now_seconds),
            cpu.effective_cores,
        )

    def close(self) -> None:
        """Close what is the container's alone; its CPU group may be another's ancestor."""
        self._pressure.close()
        for file in (self._memory_usage, self._memory_limit):
            if file:
                file.close()

    def _sum_throttling(self, binding: CpuGroup) -> tuple[float, float, float]:
        # Sums of differences, because the counters jump when another group on the path begins to bind.
        if not binding.counted:
            return (math.nan, math.nan, math.nan)
        sums, delta = self._throttling, binding.delta
        if sums is None:
            sums = binding.throttling or NO_THROTTLING
        elif delta is not NO_THROTTLING:
            sums = Throttling(*map(int.__add__, sums, delta))
        self._throttling = sums
        return sums[0], sums[1], sums[2] * binding.throttled_unit_seconds

    def _read_memory_usage(self, now_seconds: float) -> float:
        data = self._memory_usage.read(now_seconds) if self._memory_usage else None
        try:
            return math.nan if data is None else parse_int(data)
        except ValueError:
            return math.nan

    def _read_memory_limit(self, now_seconds: float) -> float:
        data = self._memory_limit.read(now_seconds) if self._memory_limit else None
        try:
            return math.nan if data is None else parse_memory_limit(data)
        except ValueError:
            return math.nan
