"""The fake cgroup tree against a real kernel: the same steps on both must give the same errno and values.

Standard library only, so that it runs in a bare guest:

    python -m tests.fakes.cgroup_compare v2 /sys/fs/cgroup
    python -m tests.fakes.cgroup_compare v1 /sys/fs/cgroup/cpu /sys/fs/cgroup/memory

Makes and removes groups of its own only; on v2 it also enables cpu and memory in the root's
cgroup.subtree_control.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.fakes.cgroup_tree import CgroupTree, RealFiles

Step = tuple[str, ...]

USED_BYTES = 16 << 20

V1_STEPS: tuple[Step, ...] = (
    ("read", "/p", "cpu.cfs_quota_us"),
    ("read", "/p", "cpu.cfs_period_us"),
    ("read", "/p", "cpu.stat"),
    ("read", "/p", "memory.limit_in_bytes"),
    *(
        ("write", "/p", "cpu.cfs_quota_us", value)
        for value in ("500", "999", "1000", "0", "-7", "abc", "max", "", "0x2710", "12 34", "17592186044415")
    ),
    ("write", "/p", "cpu.cfs_quota_us", "17592186044416"),
    ("write", "/p", "cpu.cfs_quota_us", "50000\n"),
    *(
        ("write", "/p", "cpu.cfs_period_us", value)
        for value in ("999", "1000001", "-1", "x", "50000", "100000")
    ),
    # A child against its parent, both ways, and with an unlimited group between.
    ("write", "/p/c", "cpu.cfs_quota_us", "50001"),
    ("write", "/p/c", "cpu.cfs_quota_us", "60000"),
    ("write", "/p/c", "cpu.cfs_quota_us", "50000"),
    ("write", "/p", "cpu.cfs_quota_us", "40000"),
    ("write", "/p", "cpu.cfs_period_us", "200000"),
    ("write", "/p/c", "cpu.cfs_period_us", "50000"),
    ("write", "/p/c", "cpu.cfs_quota_us", "25000"),
    ("write", "/p/c", "cpu.cfs_period_us", "50000"),
    ("write", "/p/c", "cpu.cfs_quota_us", "25001"),
    ("write", "/p/c", "cpu.cfs_quota_us", "-1"),
    ("write", "/p/c/g", "cpu.cfs_quota_us", "60000"),
    ("write", "/p/c/g", "cpu.cfs_quota_us", "30000"),
    ("write", "/p", "cpu.cfs_quota_us", "20000"),
    ("write", "/p", "cpu.cfs_quota_us", "-1"),
    ("write", "/p/c", "cpu.cfs_quota_us", "10000"),
    # Burst and quota.
    ("write", "/b", "cpu.cfs_burst_us", "5000"),
    ("write", "/b", "cpu.cfs_quota_us", "4000"),
    ("write", "/b", "cpu.cfs_quota_us", "5000"),
    ("write", "/b", "cpu.cfs_burst_us", "5001"),
    ("write", "/b", "cpu.cfs_burst_us", "-1"),
    ("write", "/b", "cpu.cfs_burst_us", "max"),
    ("write", "/b", "cpu.cfs_burst_us", "2000"),
    ("write", "/b", "cpu.cfs_quota_us", "4000"),
    ("write", "/b", "cpu.cfs_quota_us", "-1"),
    ("write", "/b", "cpu.cfs_burst_us", "999999"),
    # Weight and idle.
    *(("write", "/b", "cpu.shares", value) for value in ("512", "1", "999999999", "-1", "x")),
    *(("write", "/b", "cpu.idle", value) for value in ("2", "-1", "x", "1")),
    ("read", "/b", "cpu.shares"),
    ("write", "/b", "cpu.shares", "512"),
    ("write", "/b", "cpu.idle", "1"),
    ("write", "/b", "cpu.idle", "0"),
    ("read", "/b", "cpu.shares"),
    # Memory.
    *(("write", "/b", "memory.limit_in_bytes", value) for value in ("64M", "10000", "-1", "x", "32m")),
    ("occupy", "/b"),
    ("write", "/b", "memory.limit_in_bytes", str(USED_BYTES // 2)),
    ("write", "/b", "memory.limit_in_bytes", str(USED_BYTES * 2)),
    ("leave", "/b"),
    # Kept descriptors, vanished groups, read-only files.
    ("write", "/b", "cpu.stat", "1"),
    ("open", "/g", "cpu.cfs_quota_us"),
    ("keep", "/g", "cpu.cfs_quota_us"),
    ("keep", "/g", "cpu.stat"),
    ("rmdir", "/p/c"),
    ("rmdir", "/g"),
    ("kept-read", "/g", "cpu.stat"),
    ("kept-write", "/g", "cpu.cfs_quota_us", "20000"),
    ("read", "/g", "cpu.stat"),
    ("open", "/g", "cpu.cfs_quota_us"),
    ("mkdir", "/g"),
    ("kept-read", "/g", "cpu.stat"),
    ("kept-write", "/g", "cpu.cfs_quota_us", "20000"),
    ("read", "/g", "cpu.cfs_quota_us"),
)

V2_STEPS: tuple[Step, ...] = (
    ("read", "/p", "cpu.max"),
    ("read", "/p", "cpu.max.burst"),
    ("read", "/p", "memory.max"),
    ("read", "/p", "cgroup.events"),
    *(
        ("write", "/p", "cpu.max", value)
        for value in (
            *("500", "999", "1000", "0", "-1", "abc", "", "5000abc", "50000 x", "max", "max 50000", "20000"),
            *(
                "20000 999",
                "20000 1000001",
                "20000 1000000",
                "20000 1000",
                "500 1000",
                "17592186044415",
                "max 100000",
            ),
            *("17592186044416", "50000\n"),
        )
    ),
    # A child may have more than its parent, and a parent less than its child.
    ("write", "/p/c", "cpu.max", "90000"),
    ("write", "/p", "cpu.max", "10000"),
    ("write", "/p/c", "cpu.max", "max"),
    # Burst and quota.
    ("write", "/b", "cpu.max.burst", "5000"),
    ("write", "/b", "cpu.max", "4000"),
    ("write", "/b", "cpu.max", "5000"),
    ("write", "/b", "cpu.max.burst", "5001"),
    ("write", "/b", "cpu.max.burst", "-1"),
    ("write", "/b", "cpu.max.burst", "max"),
    ("write", "/b", "cpu.max.burst", "2000"),
    ("write", "/b", "cpu.max", "4000 50000"),
    ("write", "/b", "cpu.max", "max"),
    ("write", "/b", "cpu.max.burst", "999999"),
    # Weight and idle.
    *(("write", "/b", "cpu.weight", value) for value in ("50", "1", "10000", "0", "10001", "-1", "x")),
    *(("write", "/b", "cpu.idle", value) for value in ("2", "-1", "x", "1")),
    ("refused", "/b", "cpu.weight", "50"),
    ("refused", "/b", "cpu.weight", "0"),
    ("write", "/b", "cpu.idle", "0"),
    ("read", "/b", "cpu.weight"),
    # Memory.
    *(("write", "/b", "memory.max", value) for value in ("64M", "10000", "max", "x", "-1", "32m")),
    # Kept descriptors, vanished groups, read-only files.
    ("write", "/b", "cpu.stat", "1"),
    ("keep", "/g", "cpu.max"),
    ("keep", "/g", "cpu.stat"),
    ("rmdir", "/p"),
    ("rmdir", "/g"),
    ("kept-read", "/g", "cpu.stat"),
    ("kept-write", "/g", "cpu.max", "20000"),
    ("read", "/g", "cpu.stat"),
    ("open", "/g", "cpu.max"),
    ("mkdir", "/g"),
    ("kept-read", "/g", "cpu.stat"),
    ("kept-write", "/g", "cpu.max", "20000"),
    ("read", "/g", "cpu.max"),
)

GROUPS = ("/p", "/p/c", "/p/c/g", "/b", "/g")


def compare_with_kernel(*roots: Path) -> list[str]:
    """Run the steps below the real `roots` and on the fake; what differs, one line each (empty: nothing).

    One root: a v2 tree. Two: the v1 hierarchies of cpu and of memory.
    """
    steps = V2_STEPS if len(roots) == 1 else V1_STEPS
    name = f"quotapilot-test-{os.getpid()}-compare"
    with _real_groups(roots, name) as places:
        real = _Run(RealFiles(), places, _Occupant(places[-1] / "b")).outcomes(steps)
    with tempfile.TemporaryDirectory() as directory:
        tree = CgroupTree(Path(directory), "v2" if len(roots) == 1 else "v1")
        for group in GROUPS:
            tree.add(f"/{name}{group}")
        controllers = ("cpu",) if len(roots) == 1 else ("cpu", "memory")
        fake_places = [tree.directory(f"/{name}", controller) for controller in controllers]
        fake = _Run(tree.files, fake_places, _FakeOccupant(tree, f"/{name}/b")).outcomes(steps)
    return [
        f"{' '.join(step)!r}: kernel {theirs!r}, fake {ours!r}"
        for step, theirs, ours in zip(steps, real, fake, strict=True)
        if theirs != ours
    ]


class _Run:
    """Does steps on one side. `places` are the directories of cpu and, on v1, of memory."""

    def __init__(self, files: RealFiles, places: list[Path], occupant: _Occupant | _FakeOccupant) -> None:
        self._files, self._places, self._occupant = files, places, occupant
        self._kept: dict[tuple[str, str], int] = {}

    def outcomes(self, steps: tuple[Step, ...]) -> list[str]:
        try:
            return [self._outcome(step) for step in steps]
        finally:
            self._occupant.leave()
            for fd in self._kept.values():
                self._files.close(fd)

    def _outcome(self, step: Step) -> str:
        try:
            return self._do(*step)
        except OSError as error:
            return errno.errorcode[error.errno or 0]

    def _do(self, action: str, group: str, file: str = "", value: str = "") -> str:
        place = self._places[-1] if file.startswith("memory.") else self._places[0]
        directory = f"{place}{group}"
        path = f"{directory}/{file}"
        actions: dict[str, Callable[[], object]] = {
            "read": lambda: self._read(path),
            # A refusal must leave the old value, so what the file shows then is part of the outcome.
            "write": lambda: f"{self._write(path, value)} {self._read(path)}",
            "refused": lambda: self._write(path, value),
            "open": lambda: self._open_read_write(path),
            "keep": lambda: self._keep(group, file, path),
            "kept-read": lambda: self._files.pread(self._kept[group, file], 4096, 0).decode(),
            "kept-write": lambda: self._files.write(self._kept[group, file], value.encode()),
            "mkdir": lambda: self._files.mkdir(directory),
            "rmdir": lambda: self._files.rmdir(directory),
            "occupy": self._occupant.occupy,
            "leave": self._occupant.leave,
        }
        return str(actions[action]())

    def _read(self, path: str) -> str:
        fd = self._files.open(path, os.O_RDONLY)
        try:
            text = self._files.pread(fd, 4096, 0).decode()
        finally:
            self._files.close(fd)
        # Versions of the kernel add lines; those that are read here must be there in this order.
        wanted = ("usage_usec", "nr_periods", "nr_throttled", "throttled_", "populated")
        if path.endswith(("cpu.stat", "cgroup.events")):
            return " ".join(line.split()[0] for line in text.splitlines() if line.startswith(wanted))
        return text

    def _write(self, path: str, value: str) -> str:
        fd = self._files.open(path, os.O_WRONLY)
        try:
            self._files.write(fd, value.encode())
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        finally:
            self._files.close(fd)
        return "ok"

    def _open_read_write(self, path: str) -> str:
        self._files.close(self._files.open(path, os.O_RDWR))
        return "ok"

    def _keep(self, group: str, file: str, path: str) -> str:
        writable = file in ("cpu.cfs_quota_us", "cpu.max")
        self._kept[group, file] = self._files.open(path, os.O_RDWR if writable else os.O_RDONLY)
        return "ok"


class _Occupant:
    """A process that holds `USED_BYTES` of memory in a v1 group."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._pid = directory, 0

    def occupy(self) -> str:
        ready, signal_ready = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                (self._directory / "cgroup.procs").write_text(str(os.getpid()))
                held = bytearray(b"x") * USED_BYTES
                os.write(signal_ready, b"x")
                signal.pause()
                del held
            finally:
                os._exit(1)
        os.close(signal_ready)
        os.read(ready, 1)
        os.close(ready)
        return "ok"

    def leave(self) -> str:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0
        return "ok"


class _FakeOccupant:
    def __init__(self, tree: CgroupTree, group: str) -> None:
        self._tree, self._group = tree, group

    def occupy(self) -> str:
        self._tree.set_memory(self._group, USED_BYTES)
        return "ok"

    def leave(self) -> str:
        self._tree.set_memory(self._group, 0)
        return "ok"


@contextlib.contextmanager
def _real_groups(roots: tuple[Path, ...], name: str) -> Iterator[list[Path]]:
    places = [root / name for root in roots]
    try:
        for root, place in zip(roots, places, strict=True):
            if (root / "cgroup.subtree_control").exists():
                (root / "cgroup.subtree_control").write_text("+cpu +memory")
            for group in ("", *GROUPS):
                directory = Path(f"{place}{group}")
                directory.mkdir()
                # /g and the leaves need no children of their own.
                if (directory / "cgroup.subtree_control").exists() and group in ("", "/p", "/p/c"):
                    (directory / "cgroup.subtree_control").write_text("+cpu +memory")
        yield places
    finally:
        for place in places:
            for group in ("/p/c/g", "/p/c", "/p", "/b", "/g", ""):
                _remove(Path(f"{place}{group}"))


def _remove(directory: Path, attempts: int = 50) -> None:
    """rmdir, again while the kernel has not let go of a killed process yet."""
    for _ in range(attempts):
        try:
            directory.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            time.sleep(0.1)
        else:
            return


def main(arguments: list[str]) -> int:
    if len(arguments) not in (2, 3) or arguments[0] not in ("v1", "v2"):
        print(__doc__)
        return 2
    differences = compare_with_kernel(*(Path(argument) for argument in arguments[1:]))
    print("\n".join(differences) or "the fake does as the kernel does")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
