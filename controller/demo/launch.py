"""Runs a command inside cgroups: `launch.py PROCS_FILE... -- COMMAND...`.

The process joins the groups itself before it becomes the command, so not one instruction of the command
runs outside. Run by path with `python -I -S`: it needs the standard library only and starts in 20 ms.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Join the groups of all the cgroup.procs files, then become the command. Raises OSError."""
    split = arguments.index("--")
    # A starter that is killed outright cannot clean up; its busy loops must not outlive it.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for procs in arguments[:split]:
        with open(procs, "w") as file:
            file.write(str(os.getpid()))
    command = arguments[split + 1 :]
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
