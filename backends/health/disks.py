"""File systems that were lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class _Disk:
    writable: bool
    roomy: bool


class Disks:
    """File systems that were mounted read-only or filled up since the start, or no longer answer.

    statvfs(3) may hang on a network file system whose server is away: name none of those.
    """

    def __init__(
        self, paths: Sequence[str], free_min_ratio: float, statvfs: Callable[[str], os.statvfs_result]
    ) -> None:
        """`paths`: empty for one mount point of each disk partition in use."""
        self._min_ratio = free_min_ratio
        self._statvfs = statvfs
        self._at_start: dict[str, _Disk] = {}
        for path in paths or _own_disks():
            try:
                self._at_start[path] = self._disk(path)
            except OSError:
                continue

    def faults(self) -> Iterator[str]:
        for path, start in self._at_start.items():
            try:
                disk = self._disk(path)
            except OSError as error:
                if error.errno == errno.EIO:  # what ext4 and XFS answer after they were shut down
                    yield f"disk-failed: {path}"
                continue
            if start.writable and not disk.writable:
                yield f"disk-readonly: {path}"
            if start.roomy and not disk.roomy:
                yield f"disk-full: {path}"

    def _disk(self, path: str) -> _Disk:
        state = self._statvfs(path)
        # Some file systems (btrfs) have no fixed number of inodes, and say 0.
        pairs = ((state.f_bavail, state.f_blocks), (state.f_favail, state.f_files))
        roomy = all(free >= self._min_ratio * total for free, total in pairs if total)
        return _Disk(writable=not state.f_flag & os.ST_RDONLY, roomy=roomy)


def _own_disks() -> list[str]:
    try:
        partitions = psutil.disk_partitions(all=False)
    except OSError:
        return []
    # A device is often mounted in many places, as containers' volumes are; the first is the host's own.
    return list({part.device: part.mountpoint for part in reversed(partitions)}.values())
