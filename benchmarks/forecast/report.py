"""The comparison as a table for people and as flat JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.forecast.compare import Row
from controller.demo.report import commit, machine

_COLUMNS = ("under-forecast", "over-provision", "shortfall", "pinball 0.95")


def table(rows: Sequence[Row]) -> str:
    """One line per trace, target and method; per cent of the trace's mean target but for the first."""
    lines = [f"{'trace':24}{'target':8}{'method':20}{'margin':>8}" + "".join(f"{c:>16}" for c in _COLUMNS)]
    previous = ("", "")
    for row in rows:
        if row.trace != previous[0]:
            lines.append("")
        here = (row.trace, row.target)
        shown = here if here != previous else ("", "")
        previous = here
        margin = "" if math.isnan(row.margin) else f"{row.margin:.3f}"
        numbers = "".join(f"{100 * value:15.2f}%" for value in asdict(row.scores).values())
        lines.append(f"{shown[0]:24}{shown[1]:8}{row.method:20}{margin:>8}{numbers}")
    return "\n".join(lines)


def write(rows: Sequence[Row], path: Path) -> None:
    """TRACE_TARGET_METHOD_SCORE_ratio: number, beside the commit and the machine."""
    report: dict[str, float | str] = {}
    for row in rows:
        key = f"{row.trace}_{row.target}_{row.method}".replace("-", "_")
        if not math.isnan(row.margin):
            report[f"{key}_margin_ratio"] = round(row.margin, 6)
        for name, value in asdict(row.scores).items():
            report[f"{key}_{name.removesuffix('_rate')}_ratio"] = round(value, 6)
    report |= {"commit": commit(), "machine": machine()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")
