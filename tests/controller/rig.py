"""Machines for tests of the executor: containers on the refusing fake tree or on the simulator, a journal, a
clock, faults, and a crash at any operation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from backends.base import Node, Refused
from backends.cgroup import open_node
from backends.simulator import SimulatedNode
from controller.cases import Target, WeightTarget
from controller.config import Config, merge
from controller.executor import Executor, Revision
from controller.journal import Hold, Journal, JournalError
from controller.restore import restore_journal
from models.container import Container, CpuLimit, CpuWeight
from tests.fakes.cgroup_tree import CgroupTree, FakeFiles

Kind = Literal["v1", "v2", "simulated"]
CPUS = 4


class Crash(BaseException):
    """The agent is killed here."""


class CrashingFiles(FakeFiles):
    """Dies before the n-th operation from now, if told to."""

    crash_in = -1
    lie = 0  # errno of the next write that takes effect all the same

    def __init__(self, tree: CgroupTree) -> None:
        super().__init__(tree)
        self.written: list[str] = []  # paths of what was accepted

    def _count(self) -> None:
        if self.crash_in == 0:
            self.crash_in = -1
            raise Crash
        self.crash_in = max(-1, self.crash_in - 1)

    def pread(self, fd: int, length: int, offset: int, /) -> bytes:
        self._count()
        return super().pread(fd, length, offset)

    def write(self, fd: int, data: bytes, /) -> int:
        self._count()
        done = super().write(fd, data)
        self.written.append(self.writes[-1][0])
        if self.lie:
            number, self.lie = self.lie, 0
            raise OSError(number, "lie")
        return done

    def inode(self, path: str) -> int:
        self._count()
        return super().inode(path)


class BreakableJournal(Journal):
    """A journal whose disk is full while `broken`; `crash_in` as that of the files."""

    broken = False
    crash_in = -1

    def _transaction(self):
        if self.crash_in == 0:
            self.crash_in = -1
            raise Crash
        self.crash_in = max(-1, self.crash_in - 1)
        if self.broken:
            raise JournalError("database or disk is full")
        return super()._transaction()


class Rig:
    """Groups with an executor over them. Time is whatever the test says; `tick` is one round of the loop."""

    def __init__(self, base: Path, kind: Kind = "v1", **settings: object) -> None:
        self.kind, self.base = kind, base
        self.settings = merge(Config(), {"executor": settings} if settings else {})
        self.now = 100.0
        self.containers: dict[str, Container] = {}
        self.tree = CgroupTree(base, "v2" if kind == "v2" else "v1")
        self.files = self.tree.files = CrashingFiles(self.tree)
        self.node: Node = SimulatedNode(CPUS)
        self.executor: Executor
        self.start()

    def start(self, restore: bool = False) -> tuple[list[str], list[str]]:
        """A new process: node, journal and executor."""
        if self.kind != "simulated":
            self.node = open_node(mountinfo_path=self.tree.mountinfo, proc=self.tree.proc, files=self.files)
            self.node.cpus = CPUS
            self.node.watch(list(self.containers.values()))
        self.journal = BreakableJournal(self.base / "run", boot_id="boot")
        done = restore_journal(self.node, self.journal) if restore else ([], [])
        self.executor = Executor(self.node, self.journal, self.settings)
        return done

    def die(self) -> None:
        """Nothing of the process is left but its journal and what it wrote."""
        self.journal.close()
        self.files.crash_in = -1
        if self.kind != "simulated":
            self.node.close()

    def add(
        self, group: str, limit: CpuLimit | None = None, burst_us: int = 0, **policy: object
    ) -> Container:
        """A container, named as its group."""
        if isinstance(self.node, SimulatedNode):
            inode = self.node.add_container(group, group)
        else:
            inode = self.tree.add(group)
        if limit is not None:
            if self.kind == "v1":
                self.tree.put(group, "cpu.cfs_period_us", str(limit.period_us))
            self.write_from_outside(group, limit)
        if burst_us:
            self.tree.put(group, self.burst_file(), str(burst_us))
        self.containers[group] = Container(group, group, inode, **policy)  # type: ignore[arg-type]
        self.node.watch(list(self.containers.values()))
        return self.containers[group]

    def write_from_outside(self, group: str, limit: CpuLimit) -> bool:
        """Somebody else sets a limit; False when the kernel refuses it."""
        try:
            if isinstance(self.node, SimulatedNode):
                self.node.write_from_outside(group, limit)
                return True
            # With files of its own: neither a crash nor a fault of ours is theirs.
            files = FakeFiles(self.tree)
            other = open_node(mountinfo_path=self.tree.mountinfo, proc=self.tree.proc, files=files)
            other.set_limit(group, limit)
            other.close()
        except Refused:
            return False
        return True

    def limit(self, group: str) -> CpuLimit:
        """What the group's files show."""
        if isinstance(self.node, SimulatedNode):
            return self.node.limit(group)
        if self.kind == "v2":
            quota, period = self.tree.text(group, "cpu.max").split()
            return CpuLimit(None if quota == "max" else int(quota), int(period))
        quota_us = int(self.tree.text(group, "cpu.cfs_quota_us"))
        return CpuLimit(quota_us if quota_us >= 0 else None, int(self.tree.text(group, "cpu.cfs_period_us")))

    def burst_us(self, group: str) -> int:
        """What the burst file shows."""
        return int(self.tree.text(group, self.burst_file()))

    def limit_file(self) -> str:
        """The file of the quota."""
        return "cpu.max" if self.kind == "v2" else "cpu.cfs_quota_us"

    def burst_file(self) -> str:
        """The file of the burst."""
        return "cpu.max.burst" if self.kind == "v2" else "cpu.cfs_burst_us"

    def written(self) -> list[str]:
        """The groups that our accepted writes went to, in order."""
        if isinstance(self.node, SimulatedNode):
            return [write.group for write in self.node.writes]
        point = self.tree.directory("/")
        return ["/" + str(Path(path).parent.relative_to(point)) for path in self.files.written]

    def weight(self, group: str) -> CpuWeight:
        """What the group's files show; the weight of an idle group is of no meaning."""
        if isinstance(self.node, SimulatedNode):
            return self.node.weight(group)
        file = "cpu.weight" if self.kind == "v2" else "cpu.shares"
        return CpuWeight(int(self.tree.text(group, file)), self.tree.text(group, "cpu.idle") == "1")

    def reweigh_from_outside(self, group: str, weight: CpuWeight) -> None:
        """Somebody else writes a weight."""
        if isinstance(self.node, SimulatedNode):
            self.node.reweigh(group, weight)
            return
        files = FakeFiles(self.tree)
        other = open_node(mountinfo_path=self.tree.mountinfo, proc=self.tree.proc, files=files)
        other.reweigh(group, weight)
        other.close()

    def tick(
        self, *targets: Target, seconds: float = 1.0, weights: Iterable[WeightTarget] = ()
    ) -> list[Revision]:
        """One round after some time."""
        self.now += seconds
        listed = list(self.containers.values())
        seen = self.executor.keep_up(listed, self.now)
        wanted = {target.group: target for target in weights}
        limits = {target.container: target for target in targets}
        return seen + self.executor.apply(limits, listed, self.now, self.now, wanted)

    def restore_all(self) -> list[Revision]:
        """An operator's restore."""
        return self.executor.restore_all("restore", self.now, self.now)

    def holds(self) -> dict[str, Hold]:
        """What the journal says is held, read as another process would."""
        broken, self.journal.broken = self.journal.broken, False
        try:
            return {hold.group: hold for hold in self.journal.holds()}
        finally:
            self.journal.broken = broken


def cut(container: str, cores: float, reference: float = 2.0, victim: str = "victim") -> Target:
    """A peer is to be cut to this."""
    return Target(container, cores, victim, f"claimed by {victim}", reference)


def give_way(container: str, group: str = "") -> list[WeightTarget]:
    """A peer is to give way by the weight of its group."""
    return [WeightTarget(container, group or container, "victim", "claimed by victim")]


def own(container: str, cores: float) -> Target:
    """A container's own limit is to be raised to this."""
    return Target(container, cores, container, "its own limit throttles it", cores)


def results(revisions: Iterable[Revision]) -> list[tuple[str, str]]:
    """(container, result) of each."""
    return [(revision.container, revision.result) for revision in revisions]
