"""A file that is kept open between ticks, and may be missing for a while."""

from __future__ import annotations

import os

from backends.cgroup.files import VANISHED, Files

RETRY_SECONDS = 1.0
_LENGTH = 256


class KeptFile:
    """Reads a small file through one descriptor; looks for a missing one again about once a second.

    For files outside the CPU hierarchy: a runtime makes a container's groups one hierarchy after the other.
    """

    __slots__ = ("_fd", "_files", "_path", "_retry_at")

    def __init__(self, files: Files, path: str) -> None:
        self._files, self._path = files, path
        self._fd = -1
        self._retry_at = -float("inf")

    def read(self, now_seconds: float) -> bytes | None:
        """The content, or None when it is not to be had now."""
        try:
            if self._fd < 0:
                if now_seconds < self._retry_at:
                    return None
                self._retry_at = now_seconds + RETRY_SECONDS
                self._fd = self._files.open(self._path, os.O_RDONLY)
            return self._files.pread(self._fd, _LENGTH, 0)
        except OSError as error:
            if error.errno in VANISHED:
                self.close()
            return None

    def close(self) -> None:
        if self._fd >= 0:
            self._files.close(self._fd)
            self._fd = -1
