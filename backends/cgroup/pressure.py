"""CPU wait from PSI: where a container's cpu.pressure is, and its total as a sum that never goes back."""

from __future__ import annotations

import math
from collections.abc import Callable

from backends.cgroup.files import Files, read_path
from backends.cgroup.kept import RETRY_SECONDS, KeptFile
from backends.cgroup.layout import Layout
from backends.cgroup.parse import parse_pressure_us

_PIDS_TRIED = 5  # a process may exit between the two reads; its neighbours tell the same


class PressureReader:
    """`some` total of one container.

    `find` looks for its cpu.pressure; it is asked about once a second while there is none.
    """

    __slots__ = ("_file", "_find", "_last_us", "_retry_at", "_sum_us")

    def __init__(self, find: Callable[[], KeptFile | None]) -> None:
        self._find = find
        self._file: KeptFile | None = None
        self._retry_at = -math.inf
        self._last_us: int | None = None
        self._sum_us = 0

    def read_seconds(self, now_seconds: float) -> float:
        """Wall seconds in which a thread of the group waited; NaN when there is no PSI."""
        if self._file is None:
            if now_seconds < self._retry_at:
                return math.nan
            self._retry_at = now_seconds + RETRY_SECONDS
            self._file = self._find()
            # Another group's count may come now: its past is not this container's wait.
            self._last_us = None
            if self._file is None:
                return math.nan
        data = self._file.read(now_seconds)
        if data is None:
            self.close()
            return math.nan
        try:
            total_us = parse_pressure_us(data)
        except ValueError:
            return math.nan
        if self._last_us is not None:
            self._sum_us += total_us - self._last_us
        self._last_us = total_us
        return self._sum_us * 1e-6

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def find_pressure(files: Files, layout: Layout, proc: str, group: str) -> str | None:
    """On a hybrid host: the cpu.pressure, in the v2 tree, of the processes of a v1 group; None without one.

    The v2 group must be the container's own: the root, or one shared with processes of other v1 groups (a
    login session, the agent's service), would count others' waiting as the container's. A runtime may use
    another path there, so the processes are asked; where they cannot be seen, the same path counts if
    anything lives in it.
    """
    if layout.unified is None:
        return None
    point = layout.unified.point
    pids = _pids(files, f"{layout.cpu.point}{group}/cgroup.procs")
    cgroup = _v2_cgroup(files, proc, pids)
    if cgroup is None:
        return f"{point}{group}/cpu.pressure" if _populated(files, point + group) else None
    found = layout.unified.below(cgroup)
    if found is not None and found.startswith(group + "/"):
        found = group  # a container with a manager of its own (systemd) spreads over groups below
    if found is None or found == "/" or not set(_pids(files, f"{point}{found}/cgroup.procs")) <= set(pids):
        return None
    return f"{point}{found}/cpu.pressure"


def _pids(files: Files, path: str) -> list[bytes]:
    try:
        # 0 stands for a process of another PID namespace.
        return [pid for pid in read_path(files, path).split() if pid != b"0"]
    except OSError:
        return []


def _v2_cgroup(files: Files, proc: str, pids: list[bytes]) -> str | None:
    for pid in pids[:_PIDS_TRIED]:
        try:
            lines = read_path(files, f"{proc}/{pid.decode()}/cgroup").splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(b"0::"):
                return line[3:].decode(errors="surrogateescape")
    return None


def _populated(files: Files, directory: str) -> bool:
    try:
        return b"populated 1\n" in read_path(files, f"{directory}/cgroup.events")
    except OSError:
        return False
