"""The commands as a user types them: help, exit codes, one clear line on error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from controller.cli import main
from controller.status import render

COMMANDS = ("run", "demo", "record", "replay", "tune", "status", "restore", "check-config")


@pytest.mark.parametrize("arguments", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help_says_what_it_does(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert len(capsys.readouterr().out) > 100


def test_check_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("control:\n  gain: 0.5\n")
    assert main(["check-config", str(file)]) == 0
    assert main(["check-config", str(file), "--print"]) == 0
    assert "gain: 0.5" in capsys.readouterr().out
    file.write_text("control:\n  gain: 0.5\n  gian: 1\n")
    assert main(["check-config", str(file)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"{file}:3: control.gian: unknown key")
    assert told.count("\n") == 1
    assert main(["check-config", str(tmp_path / "none.yaml")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'none.yaml'}: can't be read: No such file or directory\n"
    file.write_bytes(b"\xff\xfe\x00")
    assert main(["check-config", str(file)]) == 2
    assert "is not a text file" in capsys.readouterr().err


def test_run_with_a_bad_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("tick: 5\n")
    assert main(["run", "--config", str(file)]) == 2
    assert f"{file}:1: tick: " in capsys.readouterr().err


def test_status_without_an_agent(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--url", "http://127.0.0.1:1"]) == 1
    told = capsys.readouterr().err
    assert "is `quotapilot run` running?" in told
    assert told.count("\n") == 1


def test_demo_on_the_simulated_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--backend", "simulated", "--timeline", "short", "--compare", "idle", "--out", str(tmp_path)]
    assert main(["demo", *options]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["backend"] == "simulated"
    assert report["restored"]
    assert report["time_to_first_cut_seconds"] <= 2
    assert report["time_to_recover_seconds"] <= 10
    assert report["uncontrolled"]["p95_during_seconds"] > report["slo_seconds"] > report["p95_after_seconds"]
    assert {"normal", "throttling-peer"} <= {move["to"] for move in report["transitions"]}
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert "onset to first cut" in capsys.readouterr().out


def test_demo_that_cannot_write_says_so_before_it_plays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["demo", "--backend", "simulated", "--out", str(tmp_path / "file")]) == 1
    told = capsys.readouterr().err
    assert "name another directory with --out" in told
    assert told.count("\n") == 1


def test_demo_with_a_wrong_slo(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--slo", "250"]) == 2
    assert "write a number with a unit" in capsys.readouterr().err


@pytest.mark.parametrize("width", [60, 80, 110, 200])
def test_status_fits_the_terminal_and_never_loses_use_and_limit(width: int) -> None:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(render(STATE, width))
    shown = console.export_text()
    assert "1.25" in shown
    assert "0.40" in shown
    assert "refused: c.yaml:3" in shown.replace("\n", " ")
    assert "thaws in 12 s" in shown.replace("\n", " ")


STATE = {
    "node": {
        "name": "n1",
        "mode": "frozen",
        "backend": "cgroup-v1",
        "cpus": 2,
        "reasons": [],
        "frozen_by": ["operator: upgrade"],
        "thaws_in_seconds": 12.0,
        "config_problem": "c.yaml:3: control.gian: unknown key",
        "not_found": ["late (/late)"],
    },
    "containers": [
        {
            "id": "batch",
            "tier": "offline",
            "state": "normal",
            "verdict": None,
            "cpu_usage_cores": 1.25,
            "cpu_limit_cores": 0.4,
            "cpu_base_cores": None,
            "cpu_throttled_ratio": 0.5,
            "cpu_wait_ratio": None,
            "latency_seconds": None,
            "slo": None,
            "holds": [{"victim": "web"}],
        }
    ],
    "alerts": [{"kind": "exhausted", "container": "web", "message": "every peer is at its floor"}],
}
