"""The node as a whole, by psutil."""

from __future__ import annotations

import platform
from pathlib import Path

import psutil

from models.container import NodeSample


def host_cpus() -> int:
    """The node's CPUs, not only those this process may run on."""
    return psutil.cpu_count(logical=True) or 1


def cpu_model(path: Path = Path("/proc/cpuinfo")) -> str:
    """The CPU's name, of the first CPU; the architecture where the kernel tells none (arm64)."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.machine()


def read_node(cpus: int) -> NodeSample:
    """CPU, load and memory of the node.

    Stolen time counts as busy: the hypervisor kept it, so no container here could have had it, and headroom
    must not promise it. Guest time is within user and nice already (proc_stat(5)). Memory in use is what is
    not available without swapping.
    """
    times = psutil.cpu_times()
    memory = psutil.virtual_memory()
    return NodeSample(
        cpus=cpus,
        busy_seconds=times.user + times.nice + times.system + times.irq + times.softirq + times.steal,
        load_1m=psutil.getloadavg()[0],
        memory_bytes=float(memory.total - memory.available),
        memory_total_bytes=float(memory.total),
    )
