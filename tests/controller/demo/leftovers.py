"""Looks for what a demo may leave behind: its groups, and processes with a mark in their environment."""

from __future__ import annotations

import os
from pathlib import Path

from backends.cgroup.layout import load_layout
from controller.demo.groups import NAME, hierarchies

MARK = "QUOTAPILOT_DEMO_TEST"


def groups_of(pid: int) -> list[Path]:
    """The directories of demo groups that this process owns, in any hierarchy."""
    return [path for root in hierarchies(load_layout()) for path in root.glob(f"{NAME}-{pid}*")]


def processes_marked(mark: str) -> list[int]:
    """The processes, zombies left out, that inherited `mark`."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "environ").read_bytes().split(b"\0") and int(process.name) != os.getpid():
                found.append(int(process.name))
        except OSError:
            continue  # it ended meanwhile
    return found
