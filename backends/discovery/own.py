"""Which groups we are in ourselves."""

from __future__ import annotations

from pathlib import Path


def own_groups(cgroup_file: Path = Path("/proc/self/cgroup")) -> frozenset[str]:
    """Our groups in the hierarchies that matter: v1 cpu and the v2 tree. None where we sit in the root.

    In a cgroup namespace of our own the kernel shows the root here, and nothing can be told.
    Format: cgroups(7), /proc/PID/cgroup.
    """
    try:
        lines = cgroup_file.read_text().splitlines()
    except OSError:
        return frozenset()
    groups = set()
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if (controllers == "" or "cpu" in controllers.split(",")) and group != "/":
            groups.add(group)
    return frozenset(groups)
