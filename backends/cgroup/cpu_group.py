"""One group of the CPU hierarchy, with its files kept open: what v1 and v2 have in common.

Everything goes through descriptors opened together with the inode that was looked up. The kernel answers
ENODEV on a descriptor of a removed group, so neither a read nor a write can reach a later group that got the
same path: keeping the descriptor is the cheapest check of identity there is.
"""

from __future__ import annotations

import errno
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from backends.base import Gone, Refused
from backends.cgroup.files import VANISHED, Files
from backends.cgroup.kept import RETRY_SECONDS
from backends.cgroup.parse import NO_THROTTLING, Throttling, parse_int
from models.container import CpuLimit, CpuWeight

_STAT_LENGTH = 480
_LIMIT_LENGTH = 64
_READ_ONLY = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class CpuGroup(ABC):
    """A group's limit and throttling, as of the last `read`. Raises Gone when it cannot be opened.

    `parent` must be read first. After a read:
    `cores` is the group's own limit, `effective_cores` the least along the path; NaN when not to be read.
    `binding` is the group on the path whose bandwidth holds this one back: the one that throttled longest
    since the last read (a pod's limit can bite before its container's lower one does, when the containers
    add up), else the one of the lowest limit.
    `throttling` counts since the group was made, `delta` since the read before; both as in cpu.stat.
    `counted` is False when cpu.stat could not be read.
    """

    limit_file: ClassVar[str]
    burst_file: ClassVar[str]
    weight_file: ClassVar[str]
    throttled_unit_seconds: ClassVar[float]

    __slots__ = (
        "_directory",
        "_files",
        "_limit_errno",
        "_limit_fd",
        "_limit_retry_at",
        "_limit_text",
        "_stat_fd",
        "_stat_text",
        "alive",
        "binding",
        "cores",
        "counted",
        "delta",
        "effective_cores",
        "group",
        "inode",
        "parent",
        "throttling",
    )

    def __init__(self, files: Files, directory: str, group: str, parent: CpuGroup | None = None) -> None:
        self._files, self._directory, self.group, self.parent = files, directory, group, parent
        self._stat_fd = self._limit_fd = -1
        self._stat_text = self._limit_text = b""
        self._limit_errno = 0
        self._limit_retry_at = -math.inf
        self.cores = self.effective_cores = math.nan
        self.inode = 0
        self.throttling: Throttling | None = None
        self.delta = NO_THROTTLING
        self.counted = False
        self.binding: CpuGroup = self
        self.alive = True
        try:
            self._stat_fd = files.open(f"{directory}/cpu.stat", os.O_RDONLY)
            self._open_limit()
            # Looked up last: should the path change hands in between, what was opened is dead and says so.
            self.inode = files.inode(directory)
        except OSError as error:
            self.close()
            raise self._failure(error, "cpu.stat") from error

    def read(self, now_seconds: float) -> None:
        """Read limit and throttling. A vanished group is closed and no longer `alive`. Never raises."""
        try:
            text = self._files.pread(self._stat_fd, _STAT_LENGTH, 0)
            if text == self._stat_text:
                self.delta = NO_THROTTLING
            else:
                self._count(self._parse_stat(text))
                self._stat_text = text
            self.counted = True
        except OSError as error:
            if error.errno in VANISHED:
                self.close()
                return
            self.counted, self.delta = False, NO_THROTTLING
        except ValueError:
            self.counted, self.delta = False, NO_THROTTLING
        try:
            self._read_limit(now_seconds)
        except (OSError, ValueError):
            self._limit_text = b""
            self.cores = math.nan
        self._bind()

    @abstractmethod
    def usage_seconds(self, now_seconds: float) -> float:
        """CPU time used, cumulative; NaN when it cannot be read. Call after `read`."""

    def limit(self) -> CpuLimit:
        """The group's own limit, read now. Raises Gone or Refused."""
        try:
            self._need_limit()
            return self._parse_limit(self._files.pread(self._limit_fd, _LIMIT_LENGTH, 0))
        except OSError as error:
            raise self._failure(error, self.limit_file) from error
        except ValueError as error:
            raise Refused(self.group, self.limit_file, errno.EBADMSG) from error

    def set_limit(self, limit: CpuLimit) -> None:
        """Write the group's own limit. Raises Gone or Refused."""
        text = self._format_limit(limit)
        try:
            self._write_limit(text)
        except OSError as error:
            if error.errno != errno.EINVAL or limit.quota_us is None or not self._lower_burst(limit.quota_us):
                raise self._failure(error, self.limit_file, text) from error
            try:
                self._write_limit(text)
            except OSError as again:
                raise self._failure(again, self.limit_file, text) from again

    def burst_us(self) -> int | None:
        """The CPU time in µs that may be carried over between periods; None where the kernel has no burst."""
        try:
            return parse_int(self._read_own(self.burst_file))
        except OSError as error:
            if error.errno == errno.ENOENT and self.is_current():
                return None
            raise self._failure(error, self.burst_file) from error
        except ValueError as error:
            raise Refused(self.group, self.burst_file, errno.EBADMSG) from error

    def set_burst_us(self, burst_us: int) -> None:
        """Write the burst; it may not exceed the quota. Raises Gone or Refused."""
        self._write_own(self.burst_file, str(burst_us))

    def weight(self) -> CpuWeight:
        """Its weight and cpu.idle, read now. Raises Gone or Refused."""
        file = self.weight_file
        try:
            weight = parse_int(self._read_own(file))
            file = "cpu.idle"
            return CpuWeight(weight, self._read_idle())
        except OSError as error:
            raise self._failure(error, file) from error
        except ValueError as error:
            raise Refused(self.group, file, errno.EBADMSG) from error

    def reweigh(self, weight: CpuWeight) -> None:
        """Write cpu.idle, or take it away and write the weight. Raises Gone or Refused."""
        if weight.idle:
            self._write_own("cpu.idle", "1")
            return
        if self.weight().idle:
            self._write_own("cpu.idle", "0")
        self._write_own(self.weight_file, str(weight.weight))

    def is_current(self) -> bool:
        """Whether it is alive and its path still leads to it."""
        try:
            return self.alive and self._files.inode(self._directory) == self.inode
        except OSError:
            return False

    def close(self) -> None:
        """Close the files; the group counts as not alive from now on."""
        self.alive = False
        for fd in (self._stat_fd, self._limit_fd):
            if fd >= 0:
                self._files.close(fd)
        self._stat_fd = self._limit_fd = -1

    @abstractmethod
    def _parse_stat(self, text: bytes) -> Throttling: ...

    @abstractmethod
    def _read_limit(self, now_seconds: float) -> None:
        """Bring `cores` up to date."""

    @abstractmethod
    def _parse_limit(self, text: bytes) -> CpuLimit: ...

    @abstractmethod
    def _format_limit(self, limit: CpuLimit) -> str: ...

    def _count(self, new: Throttling) -> None:
        old = self.throttling
        if old is None or new.periods < old.periods:
            old = new  # counted from nothing again: v2's cpu controller was switched off and on
        self.delta = Throttling(
            new.periods - old.periods,
            new.throttled_periods - old.throttled_periods,
            new.throttled_time - old.throttled_time,
        )
        self.throttling = new

    def _bind(self) -> None:
        if self.parent is None:
            self.effective_cores, self.binding = self.cores, self
            return
        above = self.parent.effective_cores
        # NaN must win on either side: with one limit on the path unknown, so is the effective one.
        self.effective_cores = above if above <= self.cores or math.isnan(above) else self.cores
        rival = self.parent.binding
        lead = self.delta.throttled_time - rival.delta.throttled_time
        rival_binds = lead < 0 or (lead == 0 and rival.cores < self.cores)
        self.binding = rival if rival_binds else self

    def _limit_bytes(self, now_seconds: float) -> bytes | None:
        """The limit file's text; None while there is none, as in a v2 group without the cpu controller."""
        if self._limit_fd < 0:
            if now_seconds >= self._limit_retry_at:
                self._limit_retry_at = now_seconds + RETRY_SECONDS
                self._open_limit()
            if self._limit_fd < 0:
                return None
        try:
            return self._files.pread(self._limit_fd, _LIMIT_LENGTH, 0)
        except OSError as error:
            if error.errno == errno.ENODEV:
                self._files.close(self._limit_fd)
                self._limit_fd = -1
            raise

    def _open_limit(self) -> None:
        path = f"{self._directory}/{self.limit_file}"
        try:
            self._limit_fd = self._files.open(path, os.O_RDWR)
            self._limit_errno = 0
        except OSError as error:
            self._limit_errno = error.errno or errno.EIO
            if error.errno in _READ_ONLY:
                self._limit_fd = self._files.open(path, os.O_RDONLY)
            elif error.errno not in VANISHED:
                raise

    def _need_limit(self) -> None:
        if self._limit_fd < 0:
            self._open_limit()
            self._check_identity()
            if self._limit_fd < 0:
                raise OSError(self._limit_errno, os.strerror(self._limit_errno))

    def _write_limit(self, text: str) -> None:
        self._need_limit()
        if self._limit_errno:
            raise OSError(self._limit_errno, os.strerror(self._limit_errno))
        self._files.write(self._limit_fd, text.encode())

    def _read_own(self, file: str) -> bytes:
        with self._opened(file, os.O_RDONLY) as fd:
            return self._files.pread(fd, _LIMIT_LENGTH, 0)

    def _read_idle(self) -> bool:
        try:
            return parse_int(self._read_own("cpu.idle")) == 1
        except OSError as error:
            if error.errno == errno.ENOENT and self.is_current():
                return False
            raise

    def _write_own(self, file: str, text: str) -> None:
        try:
            with self._opened(file, os.O_WRONLY) as fd:
                self._files.write(fd, text.encode())
        except OSError as error:
            raise self._failure(error, file, text) from error

    @contextmanager
    def _opened(self, file: str, flags: int) -> Iterator[int]:
        """A seldom used file of this very group. Raises OSError, ENODEV if the path is another group's."""
        fd = self._files.open(f"{self._directory}/{file}", flags)
        try:
            self._check_identity()
            yield fd
        finally:
            self._files.close(fd)

    def _check_identity(self) -> None:
        # After the open: a path goes from an old group to a new one, never back, so what was opened is ours.
        if not self.is_current():
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    def _lower_burst(self, quota_us: int) -> bool:
        """Lower a burst above `quota_us` to it; False if there is none: the quota was refused for itself."""
        burst_us = self.burst_us()
        if burst_us is None or burst_us <= quota_us:
            return False
        self.set_burst_us(quota_us)
        return True

    def _failure(self, error: OSError, file: str, value: str = "") -> Gone | Refused:
        number = error.errno or errno.EIO
        if number == errno.ENODEV or (number == errno.ENOENT and not self.is_current()):
            return Gone(f"{self.group} has vanished")
        return Refused(self.group, file, number, value)
