"""What the kernel does with a write to a cgroup file: the text it then shows, or the errno it refuses with.

Rules from kernel/sched/core.c (tg_set_cfs_bandwidth, cpu_max_write, sched_group_set_shares,
sched_group_set_idle) and mm/memcontrol*.c; `cgroup_compare` holds each of them against a real kernel. The
files themselves are the state.
"""

from __future__ import annotations

import errno
import math
import os
import re
from collections.abc import Callable
from pathlib import Path

MIN_QUOTA_US, MIN_PERIOD_US, MAX_PERIOD_US = 1_000, 1_000, 1_000_000
MAX_RUNTIME_US = (1 << 44) - 1
V1_UNLIMITED_BYTES = 9223372036854771712
_PAGE = 4096
_IDLE_SHARES, _DEFAULT_SHARES = 3, 1024


def refuse(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def show_after_write(directory: Path, file: str, text: str) -> str:
    """The text `directory/file` shows after this write. Raises OSError as the kernel would."""
    rule = _RULES.get(file)
    if rule is None:
        raise refuse(errno.EINVAL)
    return f"{rule(directory, text.strip())}\n"


def _quota_us(directory: Path, text: str) -> int:
    quota_us = max(-1, _number(text))
    _check_bandwidth(quota_us, _read(directory, "cpu.cfs_period_us"), _read(directory, "cpu.cfs_burst_us"))
    _check_v1_path(directory, quota_us, _read(directory, "cpu.cfs_period_us"))
    return quota_us


def _period_us(directory: Path, text: str) -> int:
    period_us = _natural(text)
    quota_us = _read(directory, "cpu.cfs_quota_us")
    _check_bandwidth(quota_us, period_us, _read(directory, "cpu.cfs_burst_us"))
    _check_v1_path(directory, quota_us, period_us)
    return period_us


def _v1_burst_us(directory: Path, text: str) -> int:
    burst_us = _natural(text)
    _check_bandwidth(_read(directory, "cpu.cfs_quota_us"), _read(directory, "cpu.cfs_period_us"), burst_us)
    return burst_us


def _cpu_max(directory: Path, text: str) -> str:
    words = text.split()
    digits = re.match(r"\d+", words[0]) if words else None
    if not words or (digits is None and words[0] != "max"):
        raise refuse(errno.EINVAL)
    quota_us = int(digits[0]) if digits else -1
    period = re.match(r"\d+", words[1]) if len(words) > 1 else None
    period_us = int(period[0]) if period else _cpu_max_of(directory)[1]
    _check_bandwidth(quota_us, period_us, _read(directory, "cpu.max.burst"))
    return f"{quota_us if digits else 'max'} {period_us}"


def _v2_burst_us(directory: Path, text: str) -> int:
    burst_us = _natural(text)
    _check_bandwidth(*_cpu_max_of(directory), burst_us)
    return burst_us


def _shares(directory: Path, text: str) -> int:
    shares = _natural(text)
    _refuse_when_idle(directory)
    return min(max(shares, 2), 1 << 18)


def _weight(directory: Path, text: str) -> int:
    weight = _natural(text)
    if not 1 <= weight <= 10_000:
        raise refuse(errno.ERANGE)
    _refuse_when_idle(directory)
    return weight


def _idle(directory: Path, text: str) -> int:
    idle = _number(text)
    if idle not in (0, 1):
        raise refuse(errno.EINVAL)
    if idle != _read(directory, "cpu.idle"):
        shares = directory / "cpu.shares"
        if shares.exists():
            shares.write_text(f"{_IDLE_SHARES if idle else _DEFAULT_SHARES}\n")
        elif not idle:
            (directory / "cpu.weight").write_text("100\n")
    return idle


def _v1_memory_limit(directory: Path, text: str) -> int:
    limit = V1_UNLIMITED_BYTES if text == "-1" else min(_size(text), V1_UNLIMITED_BYTES)
    if limit < _read(directory, "memory.usage_in_bytes"):
        raise refuse(errno.EBUSY)
    return limit


def _memory_max(directory: Path, text: str) -> int | str:
    # Taken below the usage too; the kernel then kills until it fits, which no caller here may ever cause.
    return "max" if text == "max" else _size(text)


_RULES: dict[str, Callable[[Path, str], int | str]] = {
    "cpu.cfs_quota_us": _quota_us,
    "cpu.cfs_period_us": _period_us,
    "cpu.cfs_burst_us": _v1_burst_us,
    "cpu.shares": _shares,
    "cpu.idle": _idle,
    "cpu.max": _cpu_max,
    "cpu.max.burst": _v2_burst_us,
    "cpu.weight": _weight,
    "memory.limit_in_bytes": _v1_memory_limit,
    "memory.max": _memory_max,
}


def _check_bandwidth(quota_us: int, period_us: int, burst_us: int) -> None:
    if not MIN_PERIOD_US <= period_us <= MAX_PERIOD_US:
        raise refuse(errno.EINVAL)
    if quota_us < 0:
        return
    if not MIN_QUOTA_US <= quota_us <= MAX_RUNTIME_US:
        raise refuse(errno.EINVAL)
    if burst_us > quota_us or burst_us + quota_us > MAX_RUNTIME_US:
        raise refuse(errno.EINVAL)


def _check_v1_path(directory: Path, quota_us: int, period_us: int) -> None:
    """A group's ratio of quota to period may not be above its parent's, nor below a child's."""
    above = math.inf
    for ancestor in directory.parents:
        if not (ancestor / "cpu.cfs_quota_us").exists():
            break
        above = min(above, _ratio_of(ancestor))
    ratio = _ratio(quota_us, period_us)
    if math.isfinite(ratio) and ratio > above:
        raise refuse(errno.EINVAL)
    _check_children(directory, min(ratio, above))


def _check_children(directory: Path, above: float) -> None:
    for child in (entry for entry in directory.iterdir() if entry.is_dir()):
        ratio = _ratio_of(child)
        if math.isfinite(ratio) and ratio > above:
            raise refuse(errno.EINVAL)
        _check_children(child, min(ratio, above))


def _ratio_of(directory: Path) -> float:
    return _ratio(_read(directory, "cpu.cfs_quota_us"), _read(directory, "cpu.cfs_period_us"))


def _ratio(quota_us: int, period_us: int) -> float:
    return math.inf if quota_us < 0 else (quota_us << 20) // period_us


def _refuse_when_idle(directory: Path) -> None:
    if (directory / "cpu.idle").exists() and _read(directory, "cpu.idle"):  # not before Linux 5.15
        raise refuse(errno.EINVAL)


def _cpu_max_of(directory: Path) -> tuple[int, int]:
    quota, period = (directory / "cpu.max").read_text().split()
    return (-1 if quota == "max" else int(quota)), int(period)


def _read(directory: Path, file: str) -> int:
    return int((directory / file).read_text())


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise refuse(errno.EINVAL) from None


def _natural(text: str) -> int:
    number = _number(text)
    if number < 0:
        raise refuse(errno.EINVAL)
    return number


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([kKmMgG]?)", text)
    if match is None:
        raise refuse(errno.EINVAL)
    size = int(match[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[match[2].lower()]
    return size // _PAGE * _PAGE
