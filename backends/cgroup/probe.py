"""May CPU limits be written here? Tried on a group of its own, so that no group in use is touched."""

from __future__ import annotations

import contextlib
import os

from backends.base import Gone, Refused
from backends.cgroup.files import Files
from backends.cgroup.interface import Interface
from backends.cgroup.layout import Layout
from models.container import CpuLimit


def write_problem(files: Files, interface: Interface, layout: Layout) -> str | None:
    """Why not, and what to do; None when they may. Makes, limits and removes one empty group in the root."""
    group = f"/quotapilot-probe-{os.getpid()}"
    directory = layout.cpu.point + group
    try:
        with contextlib.suppress(FileExistsError):
            files.mkdir(directory)
    except OSError as error:
        return (
            f"cannot make a cgroup in {layout.cpu.point}: {error.strerror}; "
            "run as root, with the cgroup file system mounted read-write"
        )
    try:
        opened = interface.cpu_group(group, None)
        try:
            opened.set_limit(CpuLimit(100_000))
        finally:
            opened.close()
    except (Gone, Refused) as error:
        hint = "; enable cpu in the root's cgroup.subtree_control" if layout.kind == "v2" else ""
        return f"cannot write CPU limits below {layout.cpu.point}: {error}{hint}"
    finally:
        with contextlib.suppress(OSError):
            files.rmdir(directory)
    return None
