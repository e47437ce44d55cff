"""A cgroup tree in a temporary directory that refuses what the kernel refuses.

The files are real and can be read by anything; who shall be refused as by the kernel goes through
`CgroupTree.files`. Limits are written through it only; counters are set by the methods below. Standard
library only, so that it also runs inside a bare guest.

    tree = CgroupTree(tmp_path, "hybrid")
    inode = tree.add("/pod/web")
    node = open_node(mountinfo_path=tree.mountinfo, proc=tree.proc, files=tree.files)
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from tests.fakes.cgroup_rules import V1_UNLIMITED_BYTES, refuse, show_after_write

Kind = Literal["v1", "v1-joint", "hybrid", "v2"]
Operation = Literal["open", "read", "write"]

_PRESSURE = (
    "some avg10=0.00 avg60=0.00 avg300=0.00 total={0}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
)
_V1_FILES = {
    "cpu": {
        "cpu.cfs_burst_us": "0\n",
        "cpu.cfs_period_us": "100000\n",
        "cpu.cfs_quota_us": "-1\n",
        "cpu.idle": "0\n",
        "cpu.shares": "1024\n",
        "cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_time 0\nnr_bursts 0\nburst_time 0\n",
    },
    "cpuacct": {"cpuacct.usage": "0\n"},
    "cpuset": {"cpuset.effective_cpus": "0-1\n"},
    "memory": {
        "memory.limit_in_bytes": f"{V1_UNLIMITED_BYTES}\n",
        "memory.usage_in_bytes": "0\n",
    },
}
_V2_BASE = {
    "cgroup.controllers": "\n",
    "cgroup.events": "populated 0\nfrozen 0\n",
    "cgroup.procs": "",
    "cgroup.threads": "",
    "cpu.pressure": _PRESSURE.format(0),
}
_V2_FILES = _V2_BASE | {
    "cgroup.controllers": "cpuset cpu memory\n",
    "cpu.idle": "0\n",
    "cpu.max": "max 100000\n",
    "cpu.max.burst": "0\n",
    "cpu.stat": (
        "usage_usec 0\nuser_usec 0\nsystem_usec 0\n"
        "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\nnr_bursts 0\nburst_usec 0\n"
    ),
    "cpu.weight": "100\n",
    "cpuset.cpus.effective": "0-1\n",
    "memory.current": "0\n",
    "memory.max": "max\n",
}
_V2_ROOT_LACKS = (
    "cgroup.events",
    "cpu.idle",
    "cpu.max",
    "cpu.max.burst",
    "cpu.weight",
    "memory.current",
    "memory.max",
)


class RealFiles:
    """The file operations of `backends.cgroup.files.Files`, without importing that package."""

    def open(self, path: str, flags: int) -> int:
        return os.open(path, flags)

    def pread(self, fd: int, length: int, offset: int, /) -> bytes:
        return os.pread(fd, length, offset)

    def write(self, fd: int, data: bytes, /) -> int:
        return os.write(fd, data)

    def close(self, fd: int) -> None:
        os.close(fd)

    def mkdir(self, path: str) -> None:
        Path(path).mkdir()

    def rmdir(self, path: str) -> None:
        Path(path).rmdir()

    def inode(self, path: str) -> int:
        return Path(path).stat().st_ino


class FakeFiles(RealFiles):
    """The same on a `CgroupTree`, with the kernel's refusals, and faults where a test put them."""

    def __init__(self, tree: CgroupTree) -> None:
        self._tree = tree
        self._paths: dict[int, Path] = {}
        self.faults: dict[tuple[Operation, Path], int | Callable[[bytes], bytes]] = {}
        self.writes: list[tuple[str, str]] = []  # (path, text), the refused ones too

    @property
    def open_paths(self) -> list[Path]:
        """What is open now, for tests that look for leaks."""
        return list(self._paths.values())

    def open(self, path: str, flags: int) -> int:
        self._fail("open", Path(path))
        fd = os.open(path, flags)
        self._paths[fd] = Path(path)
        return fd

    def pread(self, fd: int, length: int, offset: int, /) -> bytes:
        self._check_alive(fd)
        path = self._paths[fd]
        self._fail("read", path)
        data = os.pread(fd, length, offset)
        change = self.faults.get(("read", path))
        return change(data) if callable(change) else data

    def write(self, fd: int, data: bytes, /) -> int:
        self._check_alive(fd)
        path = self._paths[fd]
        os.write(fd, b"")  # EBADF on a descriptor opened for reading
        self.writes.append((str(path), data.decode()))
        self._fail("write", path)
        if data:
            path.write_text(show_after_write(path.parent, path.name, data.decode()))
        return len(data)

    def close(self, fd: int) -> None:
        del self._paths[fd]
        os.close(fd)

    def mkdir(self, path: str) -> None:
        self._tree.make_directory(Path(path))

    def rmdir(self, path: str) -> None:
        directory = Path(path)
        procs = directory / "cgroup.procs"
        if any(entry.is_dir() for entry in directory.iterdir()) or procs.read_text():
            raise refuse(errno.EBUSY)
        shutil.rmtree(directory)

    def inode(self, path: str) -> int:
        return self._tree.inode_of(Path(path))

    def _check_alive(self, fd: int) -> None:
        if os.fstat(fd).st_nlink == 0:
            raise refuse(errno.ENODEV)

    def _fail(self, operation: Operation, path: Path) -> None:
        fault = self.faults.get((operation, path))
        if isinstance(fault, int):
            raise refuse(fault)


class CgroupTree:
    """Mounted hierarchies, a /proc beside them, and the mountinfo that tells of both.

    `kind`: v1 with each controller apart, v1-joint with `cpu,cpuacct` on one mount, hybrid (v1 apart and a v2
    tree without controllers), v2. `mountinfo`, `proc` and `files` are what `open_node` takes.
    """

    def __init__(self, base: Path, kind: Kind = "hybrid") -> None:
        self.kind = kind
        self.proc = base / "proc"
        self.mountinfo = base / "mountinfo"
        self.files = FakeFiles(self)
        self._next_inode = itertools.count(1001)
        self._inodes: dict[Path, int] = {}
        self._points: dict[str, Path] = {}
        self._files_of: dict[Path, dict[str, str]] = {}
        self.proc.mkdir(parents=True)
        if kind == "v2":
            self._mount(base / "cgroup", ("unified", "cpu", "cpuacct", "cpuset", "memory"), _V2_FILES)
            for name in _V2_ROOT_LACKS:
                (base / "cgroup" / name).unlink()
        else:
            joint = ("cpu,cpuacct",) if kind == "v1-joint" else ("cpu", "cpuacct")
            for controllers in (*joint, "cpuset", "memory"):
                names = controllers.split(",")
                files = {"cgroup.procs": "", "tasks": ""}
                for name in names:
                    files |= _V1_FILES[name]
                self._mount(base / "cgroup" / controllers, names, files)
            if kind == "hybrid":
                self._mount(base / "cgroup" / "unified", ("unified",), _V2_BASE)
        self.mountinfo.write_text(self._mountinfo())

    def add(self, group: str, unified: bool = True) -> int:
        """Make a group, and those above, in every hierarchy (`unified` False: not in a hybrid's v2 tree).

        Returns the inode in the CPU hierarchy.
        """
        for name, point in self._points.items():
            if name == "unified" and self.kind == "hybrid" and not unified:
                continue
            for part in reversed((group, *_above(group))):
                directory = _join(point, part)
                if not directory.exists():
                    self.make_directory(directory)
        return self.inode(group)

    def remove(self, group: str) -> None:
        """Remove a group and those below, as when its last process has exited and somebody removed it."""
        for point in set(self._points.values()):
            shutil.rmtree(_join(point, group), ignore_errors=True)

    def replace(self, group: str) -> int:
        """Another group under the same path. Returns its inode."""
        self.remove(group)
        return self.add(group)

    def inode(self, group: str) -> int:
        """The inode of a group in the CPU hierarchy."""
        return self.inode_of(self.directory(group))

    def directory(self, group: str, controller: str = "cpu") -> Path:
        """Its directory in the hierarchy of `controller` ("unified" for the v2 tree)."""
        return _join(self._points[controller], group)

    def path(self, group: str, file: str) -> Path:
        """A file of a group, in the hierarchy that has it (cgroup.* and tasks: the CPU's)."""
        if file == "cpu.pressure":
            return self.directory(group, "unified") / file
        controller = file.partition(".")[0]
        return self.directory(group, controller if controller in self._points else "cpu") / file

    def text(self, group: str, file: str) -> str:
        """What a file shows, without its line end."""
        return self.path(group, file).read_text().rstrip("\n")

    def put(self, group: str, file: str, text: str) -> None:
        """Make a file show `text`; no rule is asked. For counters, and for limits that others have set."""
        path = self.path(group, file)
        if not path.exists():
            raise FileNotFoundError(path)
        path.write_text(f"{text}\n")

    def use_cpu(self, group: str, seconds: float) -> None:
        """Let the group, and so all above it, have used CPU time."""
        for path in (group, *_above(group)):
            if self.kind == "v2":
                self._add_to_stat(path, usage_usec=round(seconds * 1e6))
            else:
                usage = int(self.text(path, "cpuacct.usage"))
                self.put(path, "cpuacct.usage", str(usage + round(seconds * 1e9)))

    def throttle(self, group: str, periods: int = 0, throttled: int = 0, seconds: float = 0.0) -> None:
        """Let the group's own limit have held it back."""
        time, unit = ("throttled_usec", 1e6) if self.kind == "v2" else ("throttled_time", 1e9)
        more = {"nr_periods": periods, "nr_throttled": throttled, time: round(seconds * unit)}
        self._add_to_stat(group, **more)

    def stall(self, group: str, seconds: float) -> None:
        """Let a thread of the group have waited for a CPU (PSI; `group` is the path in the v2 tree)."""
        path = self.directory(group, "unified") / "cpu.pressure"
        before = int(path.read_text().split("total=")[1].split()[0])
        path.write_text(_PRESSURE.format(before + round(seconds * 1e6)))

    def set_memory(self, group: str, used_bytes: int) -> None:
        """Let the group use this much memory."""
        self.put(group, "memory.current" if self.kind == "v2" else "memory.usage_in_bytes", str(used_bytes))

    def add_process(
        self, group: str, pid: int, threads: Iterable[int] = (), unified_group: str | None = None
    ) -> None:
        """A process, with further `threads`, in the group; in a hybrid's v2 tree in `unified_group`."""
        lines = [str(thread) for thread in (pid, *threads)]
        self._append(self.directory(group) / "cgroup.procs", [str(pid)])
        self._append(self.directory(group) / ("cgroup.threads" if self.kind == "v2" else "tasks"), lines)
        shown = "/" if self.kind in ("v1", "v1-joint") else unified_group or group
        if self.kind == "hybrid":
            self._append(self.directory(shown, "unified") / "cgroup.procs", [str(pid)])
        if self.kind in ("hybrid", "v2") and shown != "/":
            (self.directory(shown, "unified") / "cgroup.events").write_text("populated 1\nfrozen 0\n")
        for thread in lines:
            (self.proc / thread).mkdir()
            self.set_run_delay(int(thread), 0.0)
        (self.proc / str(pid) / "cgroup").write_text(f"1:cpu:{group}\n0::{shown}\n")

    def remove_thread(self, group: str, thread: int) -> None:
        """The thread (or process) has exited."""
        for file in ("cgroup.procs", "tasks", "cgroup.threads"):
            path = self.directory(group) / file
            if path.exists():
                path.write_text("".join(f"{t}\n" for t in path.read_text().split() if t != str(thread)))
        shutil.rmtree(self.proc / str(thread))

    def set_run_delay(self, thread: int, seconds: float) -> None:
        """Let a thread have waited this long since it was born."""
        (self.proc / str(thread) / "schedstat").write_text(f"1000 {round(seconds * 1e9)} 1\n")

    def fail(self, group: str, file: str, number: int, operation: Operation = "read") -> None:
        """From now on this operation on the file fails with errno `number`."""
        self.files.faults[operation, self.path(group, file)] = number

    def garble(self, group: str, file: str, change: Callable[[bytes], bytes]) -> None:
        """From now on reads of the file give `change(content)`: garbage, or a short read."""
        self.files.faults["read", self.path(group, file)] = change

    def heal(self) -> None:
        """No more faults."""
        self.files.faults.clear()

    def make_directory(self, directory: Path) -> None:
        """What mkdir does in a mounted hierarchy: the kernel fills the directory."""
        point = next(point for point in self._files_of if directory.is_relative_to(point))
        directory.mkdir()
        for name, text in self._files_of[point].items():
            (directory / name).write_text(text)
        # Numbers of its own, since an ordinary file system gives a removed directory's out again at once.
        self._inodes[directory] = next(self._next_inode)

    def inode_of(self, path: Path) -> int:
        """As st_ino; FileNotFoundError as well."""
        return self._inodes.get(path, 1) if path.exists() else path.stat().st_ino

    def _mount(self, point: Path, controllers: Iterable[str], files: dict[str, str]) -> None:
        point.parent.mkdir(parents=True, exist_ok=True)
        self._files_of[point] = files
        self.make_directory(point)
        self._points |= dict.fromkeys(controllers, point)

    def _mountinfo(self) -> str:
        lines = ["22 1 0:21 / /proc rw,nosuid - proc proc rw"]
        for number, point in enumerate(self._files_of, start=30):
            v2 = self._points.get("unified") == point
            fstype = "cgroup2 cgroup2 rw,nsdelegate" if v2 else f"cgroup cgroup rw,{point.name}"
            escaped = str(point).replace("\\", "\\134").replace(" ", "\\040")
            lines.append(f"{number} 22 0:{number} / {escaped} rw,relatime shared:9 - {fstype}")
        return "\n".join(lines) + "\n"

    def _add_to_stat(self, group: str, **more: int) -> None:
        path = self.path(group, "cpu.stat")
        lines = [line.split() for line in path.read_text().splitlines()]
        path.write_text("".join(f"{name} {int(value) + more.get(name, 0)}\n" for name, value in lines))

    def _append(self, path: Path, lines: Iterable[str]) -> None:
        path.write_text(path.read_text() + "".join(f"{line}\n" for line in lines))


def _join(point: Path, group: str) -> Path:
    return point / group.lstrip("/")


def _above(group: str) -> list[str]:
    parts = group.strip("/").split("/")
    return ["/" + "/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]
