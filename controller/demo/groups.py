"""Making, emptying and removing groups, each being a directory in every one of several hierarchies."""

from __future__ import annotations

import errno
import os
import re
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from backends.cgroup.layout import Layout

NAME = "quotapilot-demo"
_OWNED = re.compile(rf"{NAME}-(\d+)(?:-.*)?")
_GONE_WITHIN_SECONDS = 10.0


def hierarchies(layout: Layout, *, cpuset: bool = False) -> tuple[Path, ...]:
    """The mount points a demo group is made in: CPU limits, CPU accounting and pressure, each once; the one
    of cpusets only where they are wanted.

    The memory hierarchy is left alone: whoever started us may count our memory there.
    """
    mounts = (layout.cpu, layout.cpuacct, layout.unified, layout.cpuset if cpuset else None)
    return tuple(dict.fromkeys(Path(mount.point) for mount in mounts if mount is not None))


def directories(roots: Iterable[Path], group: str) -> tuple[Path, ...]:
    """The directories of `group` (a path below the mount points) under each root."""
    return tuple(root / group.lstrip("/") for root in roots)


def kill(trees: Iterable[Path]) -> bool:
    """Send SIGKILL to every process in these directories and below. True when there was any."""
    pids = {pid for tree in trees for directory in _tree(tree) for pid in _pids(directory)}
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(pids)


def empty(trees: Sequence[Path]) -> None:
    """Kill until nothing is left in these directories and below.

    Raises TimeoutError when a process does not die within ten seconds (it hangs in the kernel).
    """
    deadline = time.monotonic() + _GONE_WITHIN_SECONDS
    while kill(trees):
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes in {trees[0]} do not die")
        time.sleep(0.02)


def remove(trees: Sequence[Path]) -> None:
    """Empty and remove these directories with all below them. Raises OSError or TimeoutError.

    The kernel answers EBUSY until killed tasks are reaped, and a process that was just starting may still
    join in between: so both are tried again until the directories are gone.
    """
    deadline = time.monotonic() + _GONE_WITHIN_SECONDS
    while True:
        empty(trees)
        try:
            for tree in trees:
                for directory in reversed(_tree(tree)):
                    with suppress(FileNotFoundError):
                        directory.rmdir()
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def sweep(layout: Layout) -> list[str]:
    """Remove what demos left behind whose process is no more; their names.

    Only groups named by `NAME` and the process id of a dead owner are touched. One that cannot be removed is
    skipped: somebody else is sweeping, or it is not ours to remove.
    """
    roots = hierarchies(layout, cpuset=True)
    names = {path.name for root in roots for path in _children(root) if _owner_is_dead(path.name)}
    swept = []
    for name in sorted(names):
        with suppress(OSError):
            remove(directories(roots, name))
            swept.append(name)
    return swept


def _owner_is_dead(name: str) -> bool:
    match = _OWNED.fullmatch(name)
    return match is not None and not Path("/proc", match[1]).exists()


def _tree(top: Path) -> list[Path]:
    """`top` and all directories below it, parents first; empty when it is gone."""
    if not top.is_dir():
        return []
    return [top, *(below for child in _children(top) for below in _tree(child))]


def _children(directory: Path) -> list[Path]:
    try:
        return [path for path in directory.iterdir() if path.is_dir()]
    except FileNotFoundError:
        return []


def _pids(directory: Path) -> list[int]:
    try:
        return [int(line) for line in (directory / "cgroup.procs").read_text().split()]
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
            return []
        raise
