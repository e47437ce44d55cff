"""Where a weight can help: which group of a peer carries it, and for whom it acts there. Pure: paths only.

Weights (and cpu.idle, the least of them) act among siblings only: a group's weight counts against what else
stands right below its own parent, and against nobody further off. So a peer's weight helps a victim if and
only if the group that carries it hangs right below the nearest common ancestor of the two.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

Level = Literal["container", "pod"]

# The cgroup drivers of the kubelet, cgroupfs and systemd: kubepods/burstable/podUID, kubepods-podUID.slice.
_KUBEPODS = re.compile(r"kubepods(?:[-.].*)?")
_POD = re.compile(r"(?:kubepods(?:-burstable|-besteffort)?-)?pod[0-9a-zA-Z_.-]+")


@lru_cache(maxsize=8192)
def carrier(cgroup: str, level: Level) -> str:
    """The group whose weight stands for the container in `cgroup`; empty where none may be set.

    `pod`: the pod's group where the container is in one, else its own. Below kubepods a container's own group
    is never set: the runtime writes its shares when a pod is resized, which cpu.idle would refuse.
    """
    *above, _ = cgroup.strip("/").split("/")
    in_kubepods = any(_KUBEPODS.fullmatch(part) for part in above)
    if level == "pod" and in_kubepods and _POD.fullmatch(above[-1]):
        return cgroup.rpartition("/")[0]
    return "" if in_kubepods else cgroup


def helps(victim: str, carried_by: str) -> bool:
    """Whether the weight of the group `carried_by` counts against a victim in the group `victim`: they part
    right above it. False for no group at all."""
    if not carried_by or within(victim, carried_by):
        return False
    return within(victim, carried_by.rpartition("/")[0])


def within(group: str, top: str) -> bool:
    """Whether `group` is `top` or below it; the root is the empty path."""
    return f"{group.rstrip('/')}/".startswith(f"{top.rstrip('/')}/")
