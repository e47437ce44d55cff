"""What a cgroup's name tells: a runtime's container, a systemd unit, a helper, or only a level of the tree.

The names are those of the runtimes' cgroup drivers (reference/kubernetes.md §2.1; podman: libpod's
cgroups_linux.go) and of systemd (systemd.unit(5)).
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

_HEX_ID = "[0-9a-f]{64}"
_CONTAINER = re.compile(
    rf"(?:cri-containerd-|crio-|docker-|libpod-|nerdctl-)({_HEX_ID})(?:\.scope)?|({_HEX_ID})"
)
# conmon watches a container from a scope of its own; init.scope holds PID 1.
_HELPER = re.compile(r"(?:crio|libpod)-conmon-.*|init\.scope")
# A user's own service manager is a tree of units, and rootless podman puts its containers there.
_USER_MANAGER = re.compile(r"user@\d+\.service")
_UNIT = re.compile(r".+\.(?:service|scope)")


class Kind(Enum):
    CONTAINER = "container"
    UNIT = "unit"
    HELPER = "helper"
    LEVEL = "level"


@lru_cache(maxsize=8192)
def recognise(name: str, parent: str = "") -> tuple[Kind, str]:
    """The kind of a group by the last part of its path, and the runtime's id where it is a container.

    `parent` is the last part of the path above: below podman's "libpod_parent" a bare id is a pod.
    """
    if _HELPER.fullmatch(name):
        return Kind.HELPER, ""
    if match := _CONTAINER.fullmatch(name):
        bare = match[2] is not None
        if not (bare and parent == "libpod_parent"):
            return Kind.CONTAINER, match[1] or match[2]
    elif _UNIT.fullmatch(name) and not _USER_MANAGER.fullmatch(name):
        return Kind.UNIT, ""
    return Kind.LEVEL, ""
