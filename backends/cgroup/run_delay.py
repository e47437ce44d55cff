"""CPU wait where there is no PSI: the run delay of a group's threads (/proc/TID/schedstat, second field)."""

from __future__ import annotations

import math

from backends.cgroup.files import Files, read_path


class RunDelayReader:
    """Run delay of one group's own threads, summed as they come and go. Needs the host's process ids.

    Threads of groups below are left out. A thread seen for the first time counts only when it could have
    waited as long since the last look: it was born since, or has moved here with next to no past.
    """

    __slots__ = ("_at", "_delays_ns", "_files", "_proc", "_sum_ns", "_threads_path")

    def __init__(self, files: Files, proc: str, threads_path: str) -> None:
        self._files, self._proc, self._threads_path = files, proc, threads_path
        self._delays_ns: dict[bytes, int] = {}
        self._at = math.nan
        self._sum_ns = 0

    def read_seconds(self, now_seconds: float) -> float:
        """Thread-seconds of waiting, cumulative; NaN when no thread can be seen."""
        delays = self._read_delays()
        if not delays:
            return math.nan
        elapsed_ns = (now_seconds - self._at) * 1e9
        for thread, delay_ns in delays.items():
            waited_ns = delay_ns - self._delays_ns.get(thread, 0)
            if waited_ns < 0:
                waited_ns = delay_ns  # the id is another thread's by now
            # Nobody waits longer than the clock runs; at the first look all comparisons with NaN are false.
            if thread in self._delays_ns or waited_ns <= elapsed_ns:
                self._sum_ns += waited_ns
        self._delays_ns, self._at = delays, now_seconds
        return self._sum_ns * 1e-9

    def _read_delays(self) -> dict[bytes, int]:
        try:
            threads = read_path(self._files, self._threads_path).split()
        except OSError:
            return {}
        delays: dict[bytes, int] = {}
        for thread in threads:
            try:
                # A thread answers under its own id, though /proc does not list it.
                fields = read_path(self._files, f"{self._proc}/{thread.decode()}/schedstat").split()
                delays[thread] = int(fields[1])
            except (OSError, ValueError, IndexError):
                continue
        return delays
