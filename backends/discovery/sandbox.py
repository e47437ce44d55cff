"""Is this group a pod's sandbox, which only holds the namespaces open, or a container that works?"""

from __future__ import annotations

from pathlib import Path

_HOLDERS = frozenset({"pause", "catatonit"})
_RUNTIMES = ("runc", "crun", "youki", "conmon")


class SandboxCheck:
    """Tells a sandbox by its only process: "pause" (containerd, CRI-O, dockerd) or "catatonit" (podman).

    Paths do not tell: a sandbox has the same kind of name beside its containers. Where the processes are not
    to be seen (a PID namespace of our own, without the host's /proc) every group counts as a container; a
    sandbox taken for one is harmless, since it uses no CPU that could be cut.
    """

    def __init__(self, top: str, proc: str = "/proc") -> None:
        """`top`: the mount point of the CPU hierarchy; `proc`: the host's /proc."""
        self._top, self._proc = Path(top), Path(proc)

    def __call__(self, group: str) -> bool | None:
        """None: it can't be told yet, since no program is seen in it."""
        directory = self._top / group.lstrip("/")
        try:
            # crun keeps the processes one level down, in "container".
            files = [directory / "cgroup.procs", *directory.glob("*/cgroup.procs")]
            pids = [pid for file in files for pid in file.read_text().split()]
            if len(pids) != 1:
                return False if pids else None
            program = (self._proc / pids[0] / "comm").read_text().strip()
        except OSError:
            return None
        return None if program.startswith(_RUNTIMES) else program in _HOLDERS
