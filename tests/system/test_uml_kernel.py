"""The kernel that the cgroup v2 tests stand on does what they take for granted."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import pytest

from tests.system.kernel.uml import run_in_uml

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("v2_kernel")]

GUEST_SCRIPT = Path(__file__).with_name("kernel") / "guest_cpu_max.py"


def processes_with_argument(argument: str) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if argument.encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue  # it ended meanwhile
    return found


def test_cpu_max_binds_and_is_accounted(tmp_path: Path) -> None:
    assert run_in_uml([sys.executable, GUEST_SCRIPT], tmp_path, timeout_seconds=120) == 0

    report = json.loads((tmp_path / "report.json").read_text())
    assert {"cpu", "memory", "io", "pids"} <= set(report["controllers"])
    assert 0.1 < report["cpu_usage_cores"] < 0.3
    assert report["throttled_periods"] > 10
    assert report["cpu_wait_ratio"] > 0.3, "a throttled group waits for CPU, and PSI says so"


def test_exit_status_and_working_directory_are_the_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    script = "pwd > /run/out/cwd; echo a word on the console; exit 7"
    assert run_in_uml(["sh", "-c", script], tmp_path, timeout_seconds=60) == 7
    assert (tmp_path / "cwd").read_text().strip() == str(tmp_path)
    assert "a word on the console" in capfd.readouterr().err


def test_the_host_is_read_only_and_scratch_space_is_offered(tmp_path: Path) -> None:
    script = f'! touch "{tmp_path}/no" 2>/dev/null && test -w "$TMPDIR" && test -e "{GUEST_SCRIPT}"'
    assert run_in_uml(["sh", "-c", script], tmp_path, timeout_seconds=60) == 0
    assert not (tmp_path / "no").exists()


def test_packages_of_the_callers_python_work(tmp_path: Path) -> None:
    code = "import aiohttp, numpy, scipy.optimize; print(numpy.ones(3).sum())"
    assert run_in_uml([sys.executable, "-c", code], tmp_path, timeout_seconds=120) == 0


def test_a_hanging_guest_is_ended_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boot_dirs = tmp_path / "boot"
    boot_dirs.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", os.fspath(boot_dirs))
    with pytest.raises(TimeoutError):
        run_in_uml(["sh", "-c", "sleep 1000 & sleep 1000"], tmp_path, timeout_seconds=3)
    assert list(boot_dirs.iterdir()) == []
    assert processes_with_argument(os.fspath(boot_dirs)) == []
