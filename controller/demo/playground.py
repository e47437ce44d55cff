"""Real cgroups to experiment in: a tree beside the machine's own groups, and processes started inside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from backends.cgroup.layout import Layout, load_layout
from controller.demo import groups
from controller.demo.interrupts import Interrupts

USUAL_SHARES = 1024
# Against the batch work the generator and the observer must come first; against the rest of the machine the
# whole experiment must, or other people's work would be measured with it. Ten times, so that nobody starves.
HIGH_SHARES = 10 * USUAL_SHARES
_USUAL_WEIGHT = 100  # what v2 has for v1's 1024 shares
_LAUNCH = Path(__file__).with_name("launch.py")
_SOURCES = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Branch:
    """A group of the tree: its path below the prefix, its weight in v1's scale, and its CPUs (None: all)."""

    path: str
    shares: int = USUAL_SHARES
    cpus: tuple[int, ...] | None = None


class Playground:
    """A tree of groups in every hierarchy that counts, below a prefix of its own; a context, usable once.

    On entering, the prefix and `branches` (parents first) are made. `shares` is the weight of the prefix
    beside the machine's other groups, and beside each process that is in none. On leaving, for whatever
    reason (an exception, Ctrl-C, SIGTERM), the processes are killed and the groups removed.

    `prefix` must begin with "/quotapilot-demo-" and our process id, so that a later one can sweep what a
    killed one left. Entering raises LayoutError or OSError where cgroups are not there or may not be written.
    """

    def __init__(
        self, branches: Sequence[Branch], prefix: str | None = None, *, shares: int = HIGH_SHARES
    ) -> None:
        owned = f"/{groups.NAME}-{os.getpid()}"
        self.prefix = prefix or owned
        if self.prefix != owned and not self.prefix.startswith(owned + "-"):
            raise ValueError(
                f"{prefix} does not begin with {owned}, so a later run could not tell that it is dead"
            )
        self.layout: Layout = load_layout()
        self._branches = (Branch("", shares), *branches)
        self._has_cpusets = any(branch.cpus is not None for branch in branches)
        self._interrupts = Interrupts()
        self._roots = groups.hierarchies(self.layout, cpuset=self._has_cpusets)
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def backend(self) -> str:
        """ "cgroup-v1" or "cgroup-v2": what the limits are written to, as reports call it."""
        return "cgroup-v2" if self.layout.cpu.is_v2 else "cgroup-v1"

    def __enter__(self) -> Self:
        self._interrupts.__enter__()
        try:
            with self._interrupts.held():
                groups.sweep(self.layout)
                self._make()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._interrupts.held():
                groups.remove(groups.directories(self._roots, self.prefix))
                self._reap()
        finally:
            self._interrupts.__exit__(None, None, None)

    def held(self) -> AbstractContextManager[None]:
        """Inside, Ctrl-C and SIGTERM wait: for clean-ups that must be finished."""
        return self._interrupts.held()

    def cpu_file(self, group: str, name: str) -> Path:
        """A file of the group in the hierarchy that carries the CPU controller."""
        return Path(self.layout.cpu.point) / group.lstrip("/") / name

    def start(
        self,
        group: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        output: IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a command inside a group, in a session of its own, its output to a file or nowhere.

        A session of its own: Ctrl-C at the terminal reaches us alone, and each process is ended once. It dies
        with the calling thread, so call from one that lives as long as the playground. Raises OSError.
        """
        procs = [str(path / "cgroup.procs") for path in groups.directories(self._roots, group)]
        sink = subprocess.DEVNULL if output is None else output
        with self._interrupts.held():
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCH), *procs, "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=environment,
                start_new_session=True,
            )
            self._processes.append(process)
        return process

    def start_module(
        self, group: str, module: str, *arguments: str, output: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        """`start` a Python module of this project, found also when it runs from a checkout."""
        path = os.pathsep.join(filter(None, (str(_SOURCES), os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-m", module, *arguments]
        return self.start(group, command, environment={**os.environ, "PYTHONPATH": path}, output=output)

    def kill(self) -> None:
        """End every process of the playground and wait until all are gone. Raises TimeoutError."""
        with self._interrupts.held():
            groups.empty(groups.directories(self._roots, self.prefix))
            self._reap()

    def _reap(self) -> None:
        for process in self._processes:
            # One that had not joined its group yet was not found there.
            process.kill()
            process.wait()
        self._processes.clear()

    def _make(self) -> None:
        if self.layout.cpu.is_v2:
            self._enable("/")
        inner = {str(Path(branch.path).parent) for branch in self._branches if branch.path}
        for branch in self._branches:
            group = self.prefix + branch.path
            for directory in groups.directories(self._roots, group):
                directory.mkdir()
            if self.layout.cpu.is_v2:
                if (branch.path or "/") in inner:
                    self._enable(group)
                weight = max(1, round(branch.shares * _USUAL_WEIGHT / USUAL_SHARES))
                self.cpu_file(group, "cpu.weight").write_text(str(weight))
            else:
                self.cpu_file(group, "cpu.shares").write_text(str(branch.shares))
            if self._has_cpusets:
                self._confine(group, branch.cpus)

    def _enable(self, parent: str) -> None:
        """On v2 the parent must enable a controller. The root's stays enabled: others may use it by now."""
        control = self.cpu_file(parent, "cgroup.subtree_control")
        for controller in ("cpu", "cpuset") if self._has_cpusets else ("cpu",):
            if controller not in control.read_text().split():
                control.write_text(f"+{controller}")

    def _confine(self, group: str, cpus: tuple[int, ...] | None) -> None:
        """On v1 a new cpuset is empty, and no process may join it before it has CPUs and memory nodes."""
        mount = self.layout.cpuset
        if mount is None:
            raise OSError("this kernel has no cpuset controller, and the experiment wants cpusets")
        directory = Path(mount.point) / group.lstrip("/")
        if not mount.is_v2:
            for name in ("cpuset.mems", "cpuset.cpus"):
                (directory / name).write_text((directory.parent / name).read_text())
        if cpus is not None:
            (directory / "cpuset.cpus").write_text(",".join(map(str, cpus)))
