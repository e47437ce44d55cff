"""The processes of an act: started by name, waited for until ready, watched, their last words kept."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Collection
from pathlib import Path

from controller.demo.playground import Playground

CHECK_SECONDS = 0.05
_READY_WITHIN_SECONDS = 30.0


class ActFailed(Exception):
    """A process of the act died or did not get ready. The message ends with the last lines it wrote."""


class Crew:
    """Starts processes in a playground; what each writes goes to NAME.log in the directory.

    Those named in `may_end` may end by themselves with code 0.
    """

    def __init__(self, playground: Playground, directory: Path, may_end: Collection[str] = ()) -> None:
        self._playground, self._directory = playground, directory
        self._may_end = set(may_end)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def file(self, name: str) -> Path:
        """A file of that name in the crew's directory."""
        return self._directory / name

    def start(self, name: str, group: str, *command: str) -> None:
        """Start a command in a group."""
        with open(self._log(name), "wb") as log:
            self._processes[name] = self._playground.start(group, command, output=log)

    def start_module(self, name: str, group: str, module: str, *arguments: str) -> None:
        """Start a Python module of this project in a group."""
        with open(self._log(name), "wb") as log:
            self._processes[name] = self._playground.start_module(group, module, *arguments, output=log)

    def await_file(self, name: str, file: Path, *, empty: bool = False) -> None:
        """Until a process has written its first bytes to a file, or only made it. Raises ActFailed."""
        deadline = time.monotonic() + _READY_WITHIN_SECONDS
        while not (file.exists() and (empty or file.stat().st_size)):
            self.check()
            if time.monotonic() > deadline:
                raise ActFailed(f"{name}: not ready in {_READY_WITHIN_SECONDS:g} s{self.last_words(name)}")
            time.sleep(CHECK_SECONDS)

    def release(self, name: str) -> subprocess.Popen[bytes]:
        """The process, which is not watched any more: it is expected to end."""
        return self._processes.pop(name)

    def check(self) -> None:
        """Raises ActFailed when one has ended that should not have."""
        for name, process in self._processes.items():
            if process.poll() is None or (name in self._may_end and process.returncode == 0):
                continue
            raise ActFailed(f"{name}: ended with {process.returncode}{self.last_words(name)}")

    def last_words(self, name: str) -> str:
        """The last lines a process wrote, each on a line of its own below the first."""
        lines = self._log(name).read_text(errors="replace").splitlines()[-5:]
        return "".join(f"\n  {line}" for line in lines)

    def _log(self, name: str) -> Path:
        return self.file(f"{name}.log")
