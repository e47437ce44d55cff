"""The node as cgroups show it: samples its containers and writes their CPU limits (`backends.base.Node`)."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from backends.base import Gone, Refused
from backends.cgroup.cpu_group import CpuGroup
from backends.cgroup.files import Files, read_path
from backends.cgroup.host import host_cpus, read_node
from backends.cgroup.interface import Interface
from backends.cgroup.layout import Layout
from backends.cgroup.parse import parse_cpu_list
from backends.cgroup.probe import write_problem
from backends.cgroup.row import Row
from backends.cgroup.tree import Tree, ancestors
from models.container import Container, CpuLimit, CpuWeight, Sample


class CgroupNode:
    """A node with cgroup v1, hybrid or v2. For one thread; `backends.base.Node` says what is not said here.

    Each watched group and each of its ancestors is open once, however many containers share it, and is read
    once per `collect`, parents first. A watched group that has vanished stays Gone for `limit` and
    `set_limit` until `watch` is called again, even if its path has a new owner by then.
    """

    def __init__(self, layout: Layout, interface: Interface, files: Files, proc: str) -> None:
        self.name = interface.name
        self.cpus = host_cpus()
        self.layout = layout
        self._interface, self._files, self._proc = interface, files, proc
        self._tree = Tree(layout)
        self._rows: list[Row] = []
        self._groups: dict[str, CpuGroup] = {}
        self._parents_first: list[CpuGroup] = []

    def watch(self, containers: Sequence[Container]) -> None:
        known = {_key(row.container): row for row in self._rows}
        rows = []
        for container in containers:
            row = known.get(_key(container))
            if row is not None and row.live:
                del known[_key(container)]
            else:
                row = self._open_row(container)
            rows.append(row)
        for row in known.values():
            row.close()
        self._rows = rows
        self._forget_unused_groups()

    def collect(self, now_seconds: float) -> Sample:
        for group in self._parents_first:
            if group.alive:
                group.read(now_seconds)
        values = [row.read(now_seconds) for row in self._rows]
        ids = tuple(row.container.id for row in self._rows)
        gone = frozenset(row.container.id for row in self._rows if row.gone)
        if ids and len(gone) == len(ids):
            self._files.inode(
                f"{self.layout.cpu.point}/cgroup.procs"
            )  # raises when it is the tree that has gone
        table = np.ascontiguousarray(np.array(values, float).reshape(len(ids), len(Sample.COLUMNS)).T)
        columns = dict(zip(Sample.COLUMNS, table, strict=True))
        return Sample(now_seconds, ids, read_node(self.cpus), **columns, gone=gone)

    def allowed_cpus(self, group: str) -> frozenset[int]:
        for path in (group, *ancestors(group), ""):
            file = self._interface.cpuset_path(path)
            if file is None:
                break
            try:
                # Empty in a v1 group that nobody has configured yet: nothing can run there.
                if cpus := parse_cpu_list(read_path(self._files, file).decode()):
                    return cpus
            except (OSError, ValueError):
                continue
        return frozenset(range(self.cpus))

    def inode(self, group: str) -> int:
        try:
            return self._files.inode(self.layout.cpu.point + group)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENOTDIR):
                raise Gone(f"{group} has vanished: {error.strerror}") from error
            raise Refused(group, "its directory", error.errno or 0) from error

    def limit(self, group: str) -> CpuLimit:
        with self._opened(group) as opened:
            return opened.limit()

    def set_limit(self, group: str, limit: CpuLimit) -> None:
        """As `Node.set_limit`. v1 writes the quota only, whatever period `limit` names; v2 writes both.

        A burst that was lowered for it is not raised again with the quota: see `burst_us`, `set_burst_us`.
        """
        with self._opened(group) as opened:
            opened.set_limit(limit)

    def burst_us(self, group: str) -> int | None:
        """cpu.cfs_burst_us or cpu.max.burst; None where the kernel has none. Raises Gone or Refused."""
        with self._opened(group) as opened:
            return opened.burst_us()

    def set_burst_us(self, group: str, burst_us: int) -> None:
        """Write the burst, at most the quota. Refills the runtime like a quota. Raises Gone or Refused."""
        with self._opened(group) as opened:
            opened.set_burst_us(burst_us)

    def weight(self, group: str) -> CpuWeight:
        with self._opened(group) as opened:
            return opened.weight()

    def reweigh(self, group: str, weight: CpuWeight) -> None:
        with self._opened(group) as opened:
            opened.reweigh(weight)

    def weight_of(self, shares: int) -> int:
        return self._interface.weight_of(shares)

    def ancestors(self, group: str) -> tuple[str, ...]:
        return ancestors(group)

    def relative(self, path: str) -> str:
        """The group of an absolute path below any cgroup mount, or of "/a/b" or "a/b". Raises ValueError."""
        return self._tree.relative(path)

    def groups(self, pattern: str) -> list[str]:
        """The groups that a glob over group paths matches, sorted; `**` for any depth."""
        return self._tree.groups(pattern)

    def children(self, group: str) -> list[str]:
        """The groups right below, sorted; none when the group has vanished."""
        return self._tree.children(group)

    def write_problem(self) -> str | None:
        """Why CPU limits cannot be written here; None when they can. Tried on a group of its own."""
        return write_problem(self._files, self._interface, self.layout)

    def writable(self) -> bool:
        """Whether CPU limits can be written here."""
        return self.write_problem() is None

    def close(self) -> None:
        for row in self._rows:
            row.close()
        for group in self._groups.values():
            group.close()
        self._rows, self._groups, self._parents_first = [], {}, []

    def _open_row(self, container: Container) -> Row:
        cpu, gone = None, False
        try:
            cpu = self._open_path(container.cgroup)
            gone = cpu.inode != container.inode
        except Gone:
            gone = True
        except Refused:
            cpu = None  # not to be read (no descriptors left?), which is not the same as gone
        return Row(self._files, self._interface, self._proc, container, cpu, gone)

    def _open_path(self, group: str) -> CpuGroup:
        opened: CpuGroup | None = None
        for path in (*reversed(ancestors(group)), group):
            known = self._groups.get(path)
            if known is None or not known.is_current():
                if known is not None:
                    known.close()
                known = self._groups[path] = self._interface.cpu_group(path, opened)
            opened = known
        if opened is None:
            raise Gone("the root group cannot be watched")
        return opened

    def _forget_unused_groups(self) -> None:
        used: set[str] = set()
        for row in self._rows:
            if row.live:
                used.update((row.container.cgroup, *ancestors(row.container.cgroup)))
        for path in self._groups.keys() - used:
            self._groups.pop(path).close()
        self._parents_first = sorted(self._groups.values(), key=lambda group: group.group.count("/"))

    @contextmanager
    def _opened(self, group: str) -> Iterator[CpuGroup]:
        known = self._groups.get(group)
        if known is not None:
            if not known.alive:
                raise Gone(f"{group} has vanished")
            yield known
            return
        opened = self._interface.cpu_group(group, None)
        try:
            yield opened
        finally:
            opened.close()


def _key(container: Container) -> tuple[str, int, str]:
    return (container.id, container.inode, container.cgroup)
