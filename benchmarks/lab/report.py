"""Writes the report from the runs on disk, or from rows of figures, anew at any time; runs nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.lab.page import make_page
from benchmarks.lab.plan import load_plan
from benchmarks.lab.plots import pareto, timeline
from benchmarks.lab.rows import Row, current, load_run, make_rows, read_rows, write_rows
from benchmarks.lab.scenario import load_scenario, scenario_names
from benchmarks.lab.store import Record, Store
from benchmarks.lab.verdicts import OURS, scenarios_of
from controller.demo.report import commit, machine

REPORT_KEYS = (
    "scenario",
    "controller",
    "seed",
    "valid",
    "over_slo_ratio",
    "violation_seconds",
    "time_to_first_cut_seconds",
    "time_to_recover_seconds",
    "offline_work_vs_oracle_ratio",
    "limit_changes_per_minute",
    "wrong_actions",
)
# All that the page is to have: what of this plan has not been run is shown as not measured.
EXPECTED_PLAN = "full"


@dataclass(frozen=True)
class Places:
    """Where the report goes: the page, its pictures, the rows; `report` None: no report.json."""

    page: Path
    pictures: Path
    rows: Path
    report: Path | None


DOCS = Places(Path("docs/results-lab.md"), Path("docs/img/lab"), Path("docs/data/lab-runs.jsonl"), None)


def places_in(directory: Path) -> Places:
    """Beside the runs."""
    return Places(
        directory / "results.md", directory / "img", directory / "runs.jsonl", directory / "report.json"
    )


def report_runs(directory: Path, places: list[Places], told: Callable[[str], None]) -> list[Row]:
    """From the runs in `directory`/runs. Raises OSError and ValueError."""
    records, left_aside = current(Store(directory / "runs").records())
    if left_aside:
        told(f"{left_aside} older runs, or of other versions of a scenario or an SLO, are left aside")
    rows = make_rows(records, told)
    for place in places:
        _timelines(place, records, told)
        _write(place, rows)
    return rows


def report_rows(path: Path, places: list[Places]) -> list[Row]:
    """From figures alone: time lines stay as they are. Raises OSError and ValueError."""
    rows = read_rows(path)
    for place in places:
        _write(place, rows)
    return rows


def report_json(rows: list[Row]) -> dict[str, Any]:
    """reports/lab/report.json: a run that failed has no figures and is not in it."""
    runs = [{key: row[key] for key in REPORT_KEYS} for row in rows if row["failure"] is None]
    return {"runs": runs, "commit": commit(), "machine": machine()}


def expected(plan: str = EXPECTED_PLAN) -> dict[str, set[str]]:
    """Which controllers each scenario is to be run with."""
    found: dict[str, set[str]] = {}
    for cells in load_plan(plan).by_seed(scenario_names()).values():
        for scenario, controller in cells:
            found.setdefault(scenario, set()).add(controller)
    return found


def about() -> dict[str, str]:
    """What each scenario is and why it is there."""
    scenarios = [load_scenario(name) for name in scenario_names()]
    return {scenario.name: f"{scenario.title}. *{scenario.why}*" for scenario in scenarios}


def _write(places: Places, rows: list[Row]) -> None:
    for scenario in scenarios_of(rows):
        pareto(places.pictures / f"{scenario}-pareto.png", [row for row in rows if row["valid"]], scenario)

    def pictures(scenario: str) -> list[Path]:
        found = [places.pictures / f"{scenario}-{kind}.png" for kind in ("pareto", "timeline")]
        return [Path(os.path.relpath(path, places.page.parent)) for path in found if path.exists()]

    write_rows(places.rows, rows)
    if places.report is not None:
        places.report.write_text(json.dumps(report_json(rows), indent=1, allow_nan=False) + "\n")
    page = make_page(rows, expected=expected(), about=about(), pictures=pictures)
    places.page.write_text(page)


def _timelines(places: Places, records: list[Record], told: Callable[[str], None]) -> None:
    """One run of each scenario: that of the least seed with which quotapilot ran."""
    seeds: dict[str, int] = {}
    valid = [record for record in records if record.valid]
    for record in valid:
        if record.controller == OURS:
            name = record.scenario.name
            seeds[name] = min(record.seed, seeds.get(name, record.seed))
    for name, seed in seeds.items():
        together = [record for record in valid if (record.scenario.name, record.seed) == (name, seed)]
        shown = [record for record in together if record.controller in ("none", "oracle", OURS)]
        runs = {record.controller: run for record in shown if (run := load_run(record, told)) is not None}
        timeline(places.pictures / f"{name}-timeline.png", together[0].scenario, runs)
