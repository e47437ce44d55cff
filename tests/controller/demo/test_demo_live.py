from __future__ import annotations

import io
import json
import math
from pathlib import Path

from rich.console import Console

from controller.demo.live import LiveView, plain_line
from controller.demo.progress import Progress, Watcher
from controller.demo.timeline import make_timeline


def look(seconds: float, **changes: float) -> Progress:
    values = {
        "p95_seconds": 0.1,
        "offline_limit_cores": math.inf,
        "offline_cores": 1.0,
        "online_cores": 0.3,
    }
    return Progress(
        controller="no control", seconds=seconds, total_seconds=70.0, phase="surge", **{**values, **changes}
    )


def test_without_a_terminal_a_plain_line_every_two_seconds() -> None:
    out = io.StringIO()
    with LiveView(slo_seconds=0.25, cpus=2, console=Console(file=out)) as view:
        for second in range(7):
            view(look(second + 0.01))
    lines = out.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == ["0.0", "2.0", "4.0", "6.0"]
    assert "\x1b" not in out.getvalue()


def test_on_a_terminal_the_picture_has_the_figures() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    with LiveView(slo_seconds=0.25, cpus=2, console=console) as view:
        view(look(0.0, p95_seconds=math.nan, offline_cores=math.nan, online_cores=math.nan))
        view(look(12.0, p95_seconds=3.2, offline_limit_cores=0.4))
    text = out.getvalue()
    for part in ("12 of 70 s", "3,200 ms", "SLO 250 ms", "0.40 cores"):
        assert part in text


def test_a_line_says_none_for_no_limit_and_a_dash_for_the_unknown() -> None:
    line = plain_line(look(3.0, p95_seconds=math.nan))
    assert "p95         -" in line
    assert "limit none" in line


def test_a_watcher_reads_along(tmp_path: Path) -> None:
    requests, observations = tmp_path / "requests", tmp_path / "observations"
    watcher = Watcher("x", make_timeline("short", (5.0, 20.0, 12.0), cpus=2), 100.0, requests, observations)
    first = watcher.look(100.0)
    assert math.isnan(first.p95_seconds)
    assert math.isinf(first.offline_limit_cores)

    def row(at: float, offline: float) -> str:
        used = {"at_seconds": at, "offline_usage_seconds": offline, "online_usage_seconds": 0.2}
        return json.dumps({**used, "offline_limit_cores": 0.5}) + "\n"

    observations.write_text(row(105.0, 4.0))
    watcher.look(105.5)
    with open(observations, "a") as out:
        out.write(row(106.0, 4.5))
    records = [(5.0, 0.3), (5.5, 0.6), (1.0, 0.1)]
    requests.write_text(
        '{"start_at_seconds": 100.0}\n'
        + "".join(
            json.dumps({"intended_seconds": at, "latency_seconds": late, "status": 200}) + "\n"
            for at, late in records
        )
    )
    now = watcher.look(106.5)
    assert now.p95_seconds == 0.6, "the one answered five seconds ago does not count"
    assert now.offline_cores == 0.5
    assert now.offline_limit_cores == 0.5
    assert now.phase == "surge"
