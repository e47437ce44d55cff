"""I/O errors, as the kernel counts them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backends.health.hold import HOLD_SECONDS

# Of a burst in less time than this one look sees at most two rises.
_SCSI_RISES = 3


class IoErrors:
    """Counters of I/O errors that rose within the last `HOLD_SECONDS`.

    ext4's count (/sys/fs/ext4/*/errors_count) is of damage, so one is enough. A SCSI disk's
    (/sys/block/*/device/ioerr_cnt) takes in every command that ended with anything but success
    (drivers/scsi/scsi_lib.c, scsi_complete), such as those of smartd every half hour: it must have risen at
    three looks. Removable media are left out: a drive without a medium counts an error at each poll.
    """

    def __init__(self, sys: Path) -> None:
        self._sys = sys
        self._counters = {file: _Counter(value, rises) for file, _, rises, value in self._read()}

    def faults(self, now_seconds: float) -> Iterator[str]:
        for file, name, rises, value in self._read():
            counter = self._counters.setdefault(file, _Counter(value, rises))
            if new := counter.new_errors(value, now_seconds):
                yield f"io-errors: {name} ({new} new)"

    def _read(self) -> Iterator[tuple[Path, str, int, int]]:
        """For each counter: its file, the name to show, the rises that it takes, the value."""
        for directory in _below(self._sys / "fs/ext4"):
            file = directory / "errors_count"
            if (value := _read_int(file)) is not None:
                yield file, directory.name, 1, value
        for directory in _below(self._sys / "block"):
            file = directory / "device/ioerr_cnt"
            if (value := _read_int(file)) is not None and _read_int(directory / "removable") != 1:
                yield file, directory.name, _SCSI_RISES, value


class _Counter:
    """A counter of errors. `rises`: how often it must rise within the hold time to count."""

    def __init__(self, value: int, rises: int) -> None:
        self._rises_needed = rises
        self._value = self._well_value = value
        self._rises = 0
        self._rose_at_seconds = -float("inf")

    def new_errors(self, value: int, now_seconds: float) -> int:
        """How many came since it was last quiet for the hold time; 0 when too few for a fault."""
        if now_seconds - self._rose_at_seconds > HOLD_SECONDS:
            self._well_value, self._rises = self._value, 0
        if value > self._value:
            self._rises += 1
            self._rose_at_seconds = now_seconds
        elif value < self._value:  # another device under the same name
            self._well_value, self._rises = value, 0
        self._value = value
        return value - self._well_value if self._rises >= self._rises_needed else 0


def _below(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _read_int(file: Path) -> int | None:
    try:
        return int(file.read_text(), 0)
    except (OSError, ValueError):
        return None
