"""`quotapilot demo`: the article's experiment, with and without control, on this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

COMPRESSED = "compressed"


def add_demo(commands: Any) -> None:
    """Add the command and its options to the parser's sub-commands."""
    demo = commands.add_parser(
        "demo",
        help="a surge beside batch work on this machine, without control and with it",
        description="An online HTTP service and CPU hogs share this machine, each in a cgroup of its own. "
        "A surge pushes the service's p95 over its SLO, first without control, then with quotapilot. Leaves "
        "a report and a picture; takes two to three minutes, some seconds where it is simulated. Ctrl-C "
        "cleans up at any moment. The experiment is that of Alibaba's article on its policy engine (2019).",
    )
    demo.add_argument(
        "--backend",
        choices=("auto", "kernel", "simulated"),
        default="auto",
        help="auto (default): the real kernel where cgroups can be written, else the simulated node",
    )
    demo.add_argument(
        "--timeline",
        choices=(COMPRESSED, "short", "article"),
        default=COMPRESSED,
        help="compressed (default): 70 s an act; article: the original 300 s; short: 37 s",
    )
    demo.add_argument(
        "--compare", choices=("idle",), help="one act more: the offline group at cpu.idle, no control"
    )
    demo.add_argument("--slo", default="250ms", help="the online p95 to hold, default: 250ms")
    demo.add_argument("--seed", type=int, default=1, help="of the arrivals, the same in every act")
    demo.add_argument(
        "--out", type=Path, default=Path("reports/demo"), help="where report.json and demo.png go"
    )
    demo.set_defaults(command=run_demo)


def run_demo(options: argparse.Namespace) -> int:
    """Run the acts, write report and picture, print the figures; its exit code."""
    from controller.demo.play import DemoFailed, play
    from controller.units import parse_seconds

    try:
        slo_seconds = parse_seconds(options.slo)
    except ValueError as error:
        return _fail(f"--slo: {error}", 2)
    try:
        return play(options, slo_seconds)
    except DemoFailed as error:
        return _fail(error)
    except KeyboardInterrupt:
        return _fail("interrupted; every process and cgroup of the demo is gone, every limit given back", 130)


def _fail(message: object, code: int = 1) -> int:
    print(f"quotapilot demo: {message}", file=sys.stderr)
    return code
