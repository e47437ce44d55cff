"""From a machine to its `CgroupNode`."""

from __future__ import annotations

import resource
from pathlib import Path

from backends.cgroup.files import OS_FILES, Files
from backends.cgroup.interface import Interface
from backends.cgroup.layout import MOUNTINFO, load_layout
from backends.cgroup.node import CgroupNode
from backends.cgroup.v1 import V1
from backends.cgroup.v2 import V2


def open_node(
    root: Path | None = None,
    mountinfo_path: Path = MOUNTINFO,
    *,
    proc: Path = Path("/proc"),
    files: Files = OS_FILES,
) -> CgroupNode:
    """The node behind this machine's cgroup mounts. Raises LayoutError.

    `root` prefers mounts below it, `proc` is where the node's processes are to be seen (/host/proc in a pod
    without the host's PIDs). Raises this process's soft limit of open files to the hard one: up to seven stay
    open for each container, and many systems start a service with 1,024.
    """
    layout = load_layout(root, mountinfo_path, files)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    interface: Interface = V2(files, layout) if layout.kind == "v2" else V1(files, layout, str(proc))
    return CgroupNode(layout, interface, files, str(proc))
