"""The few file operations the cgroup backend needs, behind one object: a test's can refuse like a kernel."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Protocol

# What the kernel says of a removed cgroup: ENODEV on a kept descriptor, ENOENT on its path.
# An fd stays bound to the cgroup it was opened in, so it can never reach a later one of the same path.
VANISHED = frozenset({errno.ENODEV, errno.ENOENT})


class Files(Protocol):
    """File operations with the meaning and the errors of their namesakes in `os`; `inode` is st_ino."""

    def open(self, path: str, flags: int) -> int: ...

    def pread(self, fd: int, length: int, offset: int, /) -> bytes: ...

    def write(self, fd: int, data: bytes, /) -> int: ...

    def close(self, fd: int) -> None: ...

    def mkdir(self, path: str) -> None: ...

    def rmdir(self, path: str) -> None: ...

    def inode(self, path: str) -> int: ...


class OsFiles:
    """The real ones. Static, because the hot path must not pay for another Python call."""

    open = staticmethod(os.open)
    pread = staticmethod(os.pread)
    write = staticmethod(os.write)
    close = staticmethod(os.close)
    mkdir = staticmethod(os.mkdir)
    rmdir = staticmethod(os.rmdir)

    @staticmethod
    def inode(path: str) -> int:
        return Path(path).stat().st_ino


OS_FILES: Files = OsFiles()

_WHOLE_FILE = 1 << 20


def read_path(files: Files, path: str, length: int = _WHOLE_FILE) -> bytes:
    """The content of a file that is not worth keeping open. Raises OSError."""
    fd = files.open(path, os.O_RDONLY)
    try:
        return files.pread(fd, length, 0)
    finally:
        files.close(fd)
