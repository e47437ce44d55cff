"""Runs one command on a kernel of its own: user-mode Linux with a full cgroup v2.

The guest sees the host's files read-only at the same paths, so a Python in a venv and the checkout work in it
as they are. Only what is written to `out_dir` (in the guest: /run/out) comes back.
"""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

GUEST_OUT_DIR = "/run/out"
_BUILD_SCRIPT = Path(__file__).with_name("build-uml.sh")
_CONSOLE_TAIL_LINES = 60

# /tmp is left alone: a tmpfs over it would hide a checkout or a venv that lives there. The guest's scratch
# place is therefore /run/tmp, and TMPDIR says so.
_INIT = """\
#!/bin/sh
exec 2>&1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/shm /dev/pts
ln -s /proc/self/fd /dev/fd
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mkdir -p /run/tmp /run/out /run/boot
mount -t hostfs -o {out_dir} none /run/out
mount -t hostfs -o {boot_dir} none /run/boot
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo '+cpu +memory +io +pids' > /sys/fs/cgroup/cgroup.subtree_control
ip link set lo up
export PATH={path} HOME={home} TMPDIR=/run/tmp PYTHONDONTWRITEBYTECODE=1
(cd {cwd} && exec {command})
echo $? > /run/boot/status
sync
echo o > /proc/sysrq-trigger
sleep 10
"""


@functools.cache
def kernel() -> Path:
    """The kernel's binary; the first call on a machine builds it, which takes minutes."""
    built = subprocess.run([_BUILD_SCRIPT], stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode != 0:
        raise RuntimeError(f"{_BUILD_SCRIPT.name} failed with status {built.returncode}; it says why above")
    return Path(built.stdout.strip())


def run_in_uml(
    argv: Sequence[str | os.PathLike[str]],
    out_dir: str | os.PathLike[str],
    *,
    timeout_seconds: float,
    memory_mib: int = 1024,
) -> int:
    """Boot, run `argv` in the caller's working directory, power off, and return the command's exit status.

    On failure the end of the guest's console, which holds the command's output too, is printed.
    Raises TimeoutError when the time is up, and RuntimeError when the guest ended without a status.
    """
    binary = kernel()
    with tempfile.TemporaryDirectory(prefix="quotapilot-uml-") as boot_dir:
        init, status = Path(boot_dir, "init"), Path(boot_dir, "status")
        init.write_text(
            _INIT.format(
                out_dir=shlex.quote(str(Path(out_dir).resolve(strict=True))),
                boot_dir=shlex.quote(boot_dir),
                path=shlex.quote(os.environ["PATH"]),
                home=shlex.quote(str(Path.home())),
                cwd=shlex.quote(str(Path.cwd())),
                command=shlex.join(os.fspath(arg) for arg in argv),
            )
        )
        init.chmod(0o755)
        # User-mode Linux is many host processes. In a PID namespace of their own they all die with the
        # first one, which dies with unshare, which dies with this process: none is ever left behind.
        command = [
            # The guest's clock goes on while the host runs something else, and the guest then charges its
            # tasks, and their quotas, for time that they did not get. So nothing goes before it.
            *("chrt", "--rr", "1"),
            *("setpriv", "--pdeathsig", "KILL"),
            *("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *(str(binary), f"mem={memory_mib}M", "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}"),
            *(f"uml_dir={boot_dir}", "umid=guest", "con=null", "con0=null,fd:1", "console=tty0", "quiet"),
        ]
        console, timed_out = _run(command, timeout_seconds)
        written = status.read_text().strip() if status.exists() and not timed_out else ""
        exit_status = int(written) if written else None
    if exit_status != 0:
        tail = console.replace("\r", "").splitlines()[-_CONSOLE_TAIL_LINES:]
        print("user-mode Linux, end of the console:", *tail, sep="\n  | ", file=sys.stderr)
    if timed_out:
        raise TimeoutError(f"the guest did not end within {timeout_seconds} s: {shlex.join(map(str, argv))}")
    if exit_status is None:
        raise RuntimeError("the guest ended without an exit status; the end of its console is above")
    return exit_status


def _run(command: Sequence[str], timeout_seconds: float) -> tuple[str, bool]:
    """What it printed, and whether it had to be killed; none of its processes is alive afterwards."""
    timed_out = False
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as guest:
        try:
            printed, _ = guest.communicate(timeout=timeout_seconds)
        except BaseException as error:
            guest.kill()
            # The pipe ends when the last process that holds it is gone, which is what is waited for.
            printed, _ = guest.communicate()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            timed_out = True
    return printed.decode(errors="replace"), timed_out
