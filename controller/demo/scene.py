"""The stage of an experiment: real cgroups, and processes that start inside them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO

from backends.cgroup.layout import Layout, load_layout
from controller.demo import groups
from controller.demo.interrupts import Interrupts

_LAUNCH = Path(__file__).with_name("launch.py")
_SOURCES = Path(__file__).parents[2]
_USUAL_WEIGHT = {"v1": 1024, "v2": 100}
# Against the hogs the generator and the observer must come first; against the rest of the machine the whole
# experiment must, or other people's work would be measured with it. Ten times, so that nobody starves.
_HIGH = 10


class Scene:
    """Groups for an online service, offline work, a load generator and a controller; a context, usable once.

    On entering, `PREFIX/online`, `/offline`, `/load` and `/agent` are made in every hierarchy that counts.
    Online and offline are siblings of equal weight; load and agent weigh ten times as much, and so does the
    prefix beside the machine's other groups. On leaving, for whatever reason (an exception, Ctrl-C, SIGTERM),
    the processes are killed and the groups removed.

    The attributes `online`, `offline`, `load` and `agent` are groups as in `Container.cgroup`. `prefix` must
    begin with "/quotapilot-demo-" and our process id, so that a later scene can sweep what a killed one left.

    Entering raises LayoutError or OSError where cgroups are not there or may not be written.
    """

    def __init__(self, prefix: str | None = None) -> None:
        owned = f"/{groups.NAME}-{os.getpid()}"
        self.prefix = prefix or owned
        if self.prefix != owned and not self.prefix.startswith(owned + "-"):
            raise ValueError(
                f"{prefix} does not begin with {owned}, so a later run could not tell that it is dead"
            )
        self.online = self.prefix + "/online"
        self.offline = self.prefix + "/offline"
        self.load = self.prefix + "/load"
        self.agent = self.prefix + "/agent"
        self.layout: Layout = load_layout()
        self._interrupts = Interrupts()
        self._roots = groups.hierarchies(self.layout)
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def backend(self) -> str:
        """ "cgroup-v1" or "cgroup-v2": what the limits are written to, as reports call it."""
        return "cgroup-v2" if self.layout.cpu.is_v2 else "cgroup-v1"

    def __enter__(self) -> Scene:
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
        with the calling thread, so call from one that lives as long as the scene. Raises OSError.
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
        """End every process of the scene and wait until all are gone. Raises TimeoutError."""
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
        for group in (self.prefix, self.online, self.offline, self.load, self.agent):
            for directory in groups.directories(self._roots, group):
                directory.mkdir()
            if self.layout.cpu.is_v2 and group == self.prefix:
                self._enable_cpu()
        kind, file = ("v2", "cpu.weight") if self.layout.cpu.is_v2 else ("v1", "cpu.shares")
        usual = _USUAL_WEIGHT[kind]
        for group, weight in (
            (self.prefix, usual * _HIGH),
            (self.online, usual),
            (self.offline, usual),
            (self.load, usual * _HIGH),
            (self.agent, usual * _HIGH),
        ):
            self.cpu_file(group, file).write_text(str(weight))

    def _enable_cpu(self) -> None:
        """On v2 the parent must enable a controller. The root's stays enabled: others may use it by now."""
        for parent in ("/", self.prefix):
            control = self.cpu_file(parent, "cgroup.subtree_control")
            if "cpu" not in control.read_text().split():
                control.write_text("+cpu")
