"""Where the cgroup hierarchies are mounted: /proc/self/mountinfo -> `Layout`.

Parsing and choosing are pure; only `load_layout` reads files. Format: proc_pid_mountinfo(5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backends.cgroup.files import OS_FILES, Files, read_path

MOUNTINFO = Path("/proc/self/mountinfo")


class LayoutError(Exception):
    """No usable cgroup hierarchy. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted cgroup hierarchy.

    `point` is the mount point; `root` the cgroup it shows there ("/" but for a bind mount of a sub-tree; seen
    from inside a cgroup namespace it may begin with "/.."); `controllers` v1 only, empty for v2.
    """

    point: str
    root: str
    controllers: frozenset[str]
    is_v2: bool
    read_only: bool

    def below(self, cgroup: str) -> str | None:
        """The group, relative to this mount, of a path as /proc/PID/cgroup shows it; None when outside."""
        top, parts = _parts(self.root), _parts(cgroup)
        rest = parts[len(top) :]
        if parts[: len(top)] != top or ".." in rest:
            return None
        return "/" + "/".join(rest)


@dataclass(frozen=True, slots=True)
class Layout:
    """Which hierarchy carries which controller. On v2 all of them are the one tree.

    `unified` is the v2 tree, where PSI is (None on plain v1). `mounts` are all cgroup mounts, the unused ones
    too, so that any absolute path can be understood.
    """

    kind: Literal["v1", "v2", "hybrid"]
    cpu: Mount
    cpuacct: Mount | None
    cpuset: Mount | None
    memory: Mount | None
    unified: Mount | None
    mounts: tuple[Mount, ...]


def parse_mounts(mountinfo: str) -> tuple[Mount, ...]:
    """All cgroup mounts of a mountinfo text, in its order. Of two on one point only the later is visible."""
    visible: dict[str, Mount] = {}
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(" - ")
        fields, source = before.split(" "), after.split(" ")
        if not dash or len(fields) < 6 or len(source) < 3:
            continue
        point = _unescape(fields[4])
        visible.pop(point, None)
        if source[0] in ("cgroup", "cgroup2"):
            is_v2 = source[0] == "cgroup2"
            options = source[2].split(",")
            visible[point] = Mount(
                point=point,
                root=_unescape(fields[3]),
                controllers=frozenset() if is_v2 else frozenset(options) - {"rw", "ro"},
                is_v2=is_v2,
                # A bind mount is made read-only in its own options, a whole file system in the super block's.
                read_only="ro" in fields[5].split(",") or "ro" in options,
            )
    return tuple(visible.values())


def choose_layout(
    mounts: Collection[Mount], v2_controllers: Callable[[str], Collection[str]], root: Path | None = None
) -> Layout:
    """The layout of these mounts. `v2_controllers` tells what the v2 tree at a mount point has to offer.

    Of several mounts of one hierarchy: one under `root` first (as /host/sys/fs/cgroup in a pod), then
    read-write before read-only, then the first. Raises LayoutError when the CPU controller is nowhere.
    """
    by_v1 = {
        name: _best((m for m in mounts if name in m.controllers), root)
        for name in ("cpu", "cpuacct", "cpuset", "memory")
    }
    unified = _best((m for m in mounts if m.is_v2), root)
    cpu = by_v1["cpu"]
    known = tuple(mounts)
    if cpu is not None:
        return Layout(
            kind="hybrid" if unified else "v1",
            cpu=cpu,
            cpuacct=by_v1["cpuacct"],
            cpuset=by_v1["cpuset"],
            memory=by_v1["memory"],
            unified=unified,
            mounts=known,
        )
    if unified is not None and "cpu" in v2_controllers(unified.point):
        return Layout("v2", unified, unified, unified, unified, unified, known)
    raise LayoutError(_advice(unified, root))


def load_layout(
    root: Path | None = None, mountinfo_path: Path = MOUNTINFO, files: Files = OS_FILES
) -> Layout:
    """The layout of this machine. Raises LayoutError, also when mountinfo cannot be read."""
    try:
        text = mountinfo_path.read_text(errors="surrogateescape")
    except OSError as error:
        raise LayoutError(f"cannot read {mountinfo_path}: {error.strerror}; mount /proc") from error

    def controllers(point: str) -> list[str]:
        try:
            return read_path(files, point + "/cgroup.controllers").decode().split()
        except OSError:
            return []

    return choose_layout(parse_mounts(text), controllers, root)


def _best(candidates: Iterable[Mount], root: Path | None) -> Mount | None:
    def rank(mount: Mount) -> tuple[bool, bool]:
        elsewhere = root is not None and not Path(mount.point).is_relative_to(root)
        return (elsewhere, mount.read_only)

    return min(candidates, key=rank, default=None)


def _advice(unified: Mount | None, root: Path | None) -> str:
    where = f" (looked under {root} first)" if root else ""
    if unified is None:
        return (
            f"no cgroup file system is mounted{where}: mount the node's /sys/fs/cgroup into this container "
            "(hostPath, read-write), or run on the node itself"
        )
    return (
        f"no hierarchy carries the cpu controller{where}: {unified.point}/cgroup.controllers does not list "
        "cpu, and there is no v1 mount of it; enable it in the parent's cgroup.subtree_control, or boot "
        "without cgroup_disable=cpu"
    )


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _unescape(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
