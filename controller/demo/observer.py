"""The observer: polls the cgroup files from outside the engine, which never grades itself.

Run as `python -m controller.demo.observer CONFIG.json` until killed. The output is JSON lines: `at_seconds`
(CLOCK_MONOTONIC), the machine's busy and stolen CPU seconds, and per group `NAME_usage_seconds`,
`NAME_limit_cores` (null: none), `NAME_throttled_seconds`, `NAME_wait_seconds` (pressure; null without a v2
tree), `NAME_weight`, `NAME_idle`, and `NAME_work_units` of those that count their work. All but limit, weight
and idle are cumulative.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from backends.cgroup.layout import Layout, Mount, load_layout
from backends.cgroup.parse import (
    parse_cpu_max,
    parse_int,
    parse_pressure_us,
    parse_throttling,
    parse_usage_us,
)
from controller.demo.hog import read_units

POLL_SECONDS = 0.05
_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")

Row = dict[str, float | None]
Settings = tuple[float | None, ...]  # limit in cores (None: none), weight, idle


@dataclass(frozen=True, slots=True)
class Watch:
    """What to observe: groups by the name they get in the output, and by the same names the files in which
    batch work counts what it gets done."""

    groups: Mapping[str, str]
    work_files: Mapping[str, str]
    out: str

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Watch:
        return cls(**json.loads(path.read_text()))


class _File:
    """A file that is kept open, because it is read twenty times a second."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY)

    def read(self) -> bytes:
        return os.pread(self._fd, 4096, 0)

    def close(self) -> None:
        os.close(self._fd)


class GroupReader:
    """One group's CPU files in a layout. Raises OSError when one is not there."""

    def __init__(self, layout: Layout, group: str) -> None:
        self._group = group.lstrip("/")
        self._files: list[_File] = []
        self._is_v2 = layout.cpu.is_v2
        self._stat = self._open(layout.cpu, "cpu.stat")
        if self._is_v2:
            self._max, self._weight = self._open(layout.cpu, "cpu.max"), self._open(layout.cpu, "cpu.weight")
        else:
            self._quota = self._open(layout.cpu, "cpu.cfs_quota_us")
            self._period = self._open(layout.cpu, "cpu.cfs_period_us")
            self._weight = self._open(layout.cpu, "cpu.shares")
            self._usage = self._open(layout.cpuacct or layout.cpu, "cpuacct.usage")
        self._pressure = self._open(layout.unified, "cpu.pressure") if layout.unified else None
        self._idle: _File | None = None
        with suppress(FileNotFoundError):  # before Linux 5.15
            self._idle = self._open(layout.cpu, "cpu.idle")

    def _open(self, mount: Mount, name: str) -> _File:
        file = _File(Path(mount.point) / self._group / name)
        self._files.append(file)
        return file

    def close(self) -> None:
        """Close every file."""
        for file in self._files:
            file.close()

    def read(self) -> Row:
        """The row's part of this group, without its name in front."""
        stat = self._stat.read()
        throttled = parse_throttling(stat).throttled_time
        return {
            "usage_seconds": parse_usage_us(stat) / 1e6
            if self._is_v2
            else parse_int(self._usage.read()) / 1e9,
            "limit_cores": self._limit(),
            "throttled_seconds": throttled / (1e6 if self._is_v2 else 1e9),
            "wait_seconds": parse_pressure_us(self._pressure.read()) / 1e6 if self._pressure else None,
            "weight": parse_int(self._weight.read()),
            "idle": parse_int(self._idle.read()) if self._idle else 0,
        }

    def _limit(self) -> float | None:
        if self._is_v2:
            quota, period = parse_cpu_max(self._max.read())
            return None if quota is None else quota / period
        written = parse_int(self._quota.read())
        return None if written < 0 else written / parse_int(self._period.read())


def settings_of(layout: Layout, group: str) -> Settings:
    """What a controller may have changed of a group, as the kernel holds it now. Raises OSError."""
    with closing(GroupReader(layout, group)) as reader:
        row = reader.read()
    return row["limit_cores"], row["weight"], row["idle"]


class MachineReader:
    """All CPUs together, from /proc/stat."""

    def __init__(self) -> None:
        self._stat = _File(Path("/proc/stat"))

    def read(self) -> Row:
        """Cumulative seconds over all CPUs: at work for us, and taken away by the hypervisor."""
        fields = [int(word) for word in self._stat.read().split(b"\n", 1)[0].split()[1:9]]
        user, nice, system, _idle, _iowait, irq, softirq, stolen = fields
        busy = user + nice + system + irq + softirq
        return {"busy_seconds": busy * _TICK_SECONDS, "stolen_seconds": stolen * _TICK_SECONDS}


def observe(watch: Watch) -> None:
    """Poll until killed. Raises OSError when a group is not there."""
    layout = load_layout()
    readers = {name: GroupReader(layout, group) for name, group in watch.groups.items()}
    machine = MachineReader()
    work_files = {name: Path(file) for name, file in watch.work_files.items()}
    next_at = time.monotonic()
    # A line at a time: the live view reads along, and the end comes without warning.
    with open(watch.out, "w", buffering=1) as out:
        while True:
            row: Row = {"at_seconds": time.monotonic(), **machine.read()}
            row.update((f"{name}_work_units", read_units(file)) for name, file in work_files.items())
            for name, reader in readers.items():
                row.update((f"{name}_{key}", value) for key, value in reader.read().items())
            out.write(json.dumps(row) + "\n")
            next_at = max(next_at + POLL_SECONDS, time.monotonic())
            time.sleep(max(0.0, next_at - time.monotonic()))


def main() -> None:
    observe(Watch.read(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
