"""The file that a recording goes to, written behind the loop.

The loop only puts lines into a bounded queue; a thread compresses and appends them. Each append is a whole
gzip member of whole lines, so that whatever ends the process, what was written stays readable.
"""

from __future__ import annotations

import gzip
import json
import logging
import queue
import threading
import time
from pathlib import Path
from typing import Any

from backends.recording.lines import FORMAT, HEADER_KEY

APPEND_SECONDS = 5.0
QUEUED_LINES = 400

log = logging.getLogger(__name__)


class RecordingFile:
    """A new file of at most `max_bytes`; full, it takes nothing more and says so once, in the log."""

    def __init__(
        self,
        path: Path,
        header: dict[str, Any],
        max_bytes: int,
        append_seconds: float = APPEND_SECONDS,
        queued_lines: int = QUEUED_LINES,
    ) -> None:
        """Raises OSError, and FileExistsError where the file is there already."""
        self.path = path
        self.lines = self.lost = self.bytes = 0
        self.problem = ""
        self._max_bytes, self._append_seconds = max_bytes, append_seconds
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(maxsize=queued_lines)
        self._missing = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "xb", buffering=0)  # noqa: SIM115  closed by close
        self._append([{HEADER_KEY: FORMAT} | header])
        if self.problem:
            self._file.close()
            raise OSError(self.problem)
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether it takes nothing more."""
        return self.bytes >= self._max_bytes

    def put(self, line: dict[str, Any]) -> None:
        """Queue a line; never waits. Where there is no room the next line says how many are missing."""
        if self._missing:
            line["lost"] = self._missing
        try:
            self._queue.put_nowait(line)
            self._missing = 0
        except queue.Full:
            self._missing += 1
            self.lost += 1

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Write what is queued and stop."""
        if not self._thread.is_alive():
            return
        try:
            self._queue.put(None, timeout=timeout_seconds)
        except queue.Full:
            return
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        batch: list[dict[str, Any]] = []
        due = time.monotonic() + self._append_seconds
        ended = False
        while not ended:
            try:
                line = self._queue.get(timeout=max(0.0, due - time.monotonic()))
                ended = line is None
                if line is not None:
                    batch.append(line)
            except queue.Empty:
                pass
            if (ended or time.monotonic() >= due) and batch:
                self._append(batch)
                batch = []
            if time.monotonic() >= due:
                due = time.monotonic() + self._append_seconds
        self._file.close()

    def _append(self, batch: list[dict[str, Any]]) -> None:
        if self.full:
            self.lost += len(batch)
            return
        try:
            text = "".join(json.dumps(line, separators=(",", ":"), default=str) + "\n" for line in batch)
            member = gzip.compress(text.encode(), compresslevel=6, mtime=0)
            at = self._file.tell()
            if self._file.write(member) != len(member):
                self._file.truncate(at)  # half a member would make all after it unreadable
                self._file.seek(at)
                raise OSError("the disk is full")
        except OSError as error:
            self.lost += len(batch)
            self._say(f"the recording {self.path} can't be written: {error}")
            return
        self.problem = ""
        self.lines += len(batch)
        self.bytes += len(member)
        if self.full:
            self._say(f"the recording {self.path} is full ({self.bytes} bytes): it ends here")

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            log.warning("%s", problem)
