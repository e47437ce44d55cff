"""Runs in the guest: a busy loop under cpu.max of 0.2 core, and what the kernel then says about its group."""

from __future__ import annotations

import json
import multiprocessing
import statistics
import time
from pathlib import Path

GROUP = Path("/sys/fs/cgroup/limited")
WINDOWS = 8
WINDOW_SECONDS = 0.5


def spin() -> None:
    (GROUP / "cgroup.procs").write_text("0")
    while True:
        pass


def cpu_stat() -> dict[str, int]:
    return {key: int(value) for key, value in map(str.split, (GROUP / "cpu.stat").read_text().splitlines())}


def pressure_total_microseconds() -> int:
    some = (GROUP / "cpu.pressure").read_text().splitlines()[0]
    return int(some.rpartition("total=")[2])


def main() -> None:
    GROUP.mkdir()
    (GROUP / "cpu.max").write_text("20000 100000")
    spinner = multiprocessing.Process(target=spin, daemon=True)
    spinner.start()
    time.sleep(0.5)  # the start is not part of what is measured
    first, pressure_first, began = cpu_stat(), pressure_total_microseconds(), time.monotonic()
    # The median of many windows: while the host runs something else, the guest's clock goes on, and the guest
    # takes that for time in which its task ran.
    cores = []
    for _ in range(WINDOWS):
        used, at = cpu_stat()["usage_usec"], time.monotonic()
        time.sleep(WINDOW_SECONDS)
        cores.append((cpu_stat()["usage_usec"] - used) / 1e6 / (time.monotonic() - at))
    last, pressure_last, wall_seconds = cpu_stat(), pressure_total_microseconds(), time.monotonic() - began
    spinner.kill()
    spinner.join()
    report = {
        "controllers": Path("/sys/fs/cgroup/cgroup.controllers").read_text().split(),
        "cpu_usage_cores": statistics.median(cores),
        "throttled_periods": last["nr_throttled"] - first["nr_throttled"],
        "cpu_wait_ratio": (pressure_last - pressure_first) / 1e6 / wall_seconds,
    }
    Path("/run/out/report.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
