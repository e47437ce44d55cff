"""The runs as rows of figures, one JSON line each: what the report is made of, and what a clone has of it."""

from __future__ import annotations

import json
import math
import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.lab.figures import figures
from benchmarks.lab.run import Run
from benchmarks.lab.scenario import Scenario
from benchmarks.lab.store import Record

Row = dict[str, Any]
_PARTS = re.compile(r"([^\d]*)(\d+(?:\.\d+)?)?")


def current(records: Iterable[Record]) -> tuple[list[Record], int]:
    """The records that belong together, and how many do not.

    Runs of a scenario can be compared only with the same scenario and SLO: those of the newest run. Of one
    controller and seed the newest valid run counts; invalid and failed ones are all kept, to be reported.
    """
    groups: dict[tuple[str, str], dict[tuple[str, float], list[Record]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for record in records:
        content = (record.scenario.model_dump_json(), round(record.slo_seconds, 6))
        groups[record.scenario.name, record.backend][content].append(record)
    kept: list[Record] = []
    total = 0
    for candidates in groups.values():
        total += sum(map(len, candidates.values()))
        newest = max(candidates.values(), key=lambda found: max(record.finished_at for record in found))
        valid: dict[tuple[str, int], Record] = {}
        for record in sorted(newest, key=lambda record: record.finished_at):
            if record.valid:
                valid[record.controller, record.seed] = record
            else:
                kept.append(record)
        kept += valid.values()
    return kept, total - len(kept)


def make_rows(records: list[Record], told: Callable[[str], None] = lambda message: None) -> list[Row]:
    """A row for each record, by scenario, controller, seed. A run that can't be read is told and left out."""
    seeds: dict[tuple[str, str, int], list[Record]] = defaultdict(list)
    for record in records:
        seeds[record.scenario.name, record.backend, record.seed].append(record)
    rows = []
    for together in seeds.values():
        # Never all runs at once: a full campaign's columns do not fit into memory.
        references = {
            record.controller: run
            for record in together
            if record.valid
            and record.controller in ("none", "oracle")
            and (run := load_run(record, told)) is not None
        }
        rows += [row for record in together if (row := _row(record, references, told)) is not None]
    return sorted(rows, key=lambda row: (natural(row["scenario"]), natural(row["controller"]), row["seed"]))


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """As JSON lines. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, allow_nan=False, separators=(",", ":")) + "\n" for row in rows))


def read_rows(path: Path) -> list[Row]:
    """What `write_rows` wrote. Raises OSError, and ValueError naming the line that is no row."""
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            row = json.loads(line)
            if not {"scenario", "controller", "seed", "valid"} <= row.keys():
                raise ValueError("it has no scenario, controller, seed or valid")
        except (AttributeError, ValueError) as error:
            raise ValueError(f"{path}, line {number}, is no run: {error}") from error
        rows.append(row)
    return rows


def values(rows: Iterable[Row], scenario: str, controller: str, key: str) -> dict[int, float]:
    """A figure by seed over the valid runs that tell it; infinite for what never came about."""
    flag = {"time_to_recover_seconds": "recovered", "time_to_give_back_seconds": "gave_back"}.get(key)
    found: dict[int, float] = {}
    for row in rows:
        if (row["scenario"], row["controller"], row["valid"]) != (scenario, controller, True):
            continue
        value = row.get(key)
        if value is None and flag is not None and row.get(flag) is False:
            value = math.inf
        if value is not None:
            found[row["seed"]] = float(value)
    return found


def family(scenario: str) -> str:
    """The protocol's name of a scenario's kind: "S12" for "s12-equal-weights"."""
    found = re.match(r"s(\d+)", scenario)
    return f"S{found[1]}" if found else scenario


def natural(name: str) -> list[tuple[str, float]]:
    """To sort s2 before s10, and static-0.8 before static-1.2."""
    return [(text, float(number or -1)) for text, number in _PARTS.findall(name)]


def are_siblings(scenario: Scenario) -> bool:
    """Whether weights can do it: all guilty peers' groups are beside the victim's and may be re-weighted."""
    parent = posixpath.dirname(scenario.victim.group)
    return scenario.reweight and all(
        posixpath.dirname(peer.group) == parent for peer in scenario.peers if peer.guilty
    )


def short_commit(commit: str) -> str:
    """Twelve digits, with "-dirty" if it had changes."""
    digits, _, dirty = commit.partition("-")
    return f"{digits[:12]}-{dirty}" if dirty else digits[:12]


def _row(record: Record, references: dict[str, Run], told: Callable[[str], None]) -> Row | None:
    row: Row = {
        "scenario": record.scenario.name,
        "controller": record.controller,
        "seed": record.seed,
        "backend": record.backend,
        "valid": record.valid,
        "reasons": list(record.reasons),
        "failure": record.failure,
        "answer": record.scenario.answer,
        "siblings": are_siblings(record.scenario),
        "slo_seconds": round(record.slo_seconds, 4),
        "commit": short_commit(record.commit),
        "machine": record.machine,
    }
    if record.failure is not None:
        return row
    run = references.get(record.controller) if record.valid else None
    run = run or load_run(record, told)
    if run is None:
        return None
    found = figures(run, record.scenario, none=references.get("none"), oracle=references.get("oracle"))
    return row | found.tidy()


def load_run(record: Record, told: Callable[[str], None]) -> Run | None:
    """A run's columns; None when they can't be read, which is told."""
    try:
        return record.load()
    except (OSError, ValueError) as error:
        told(f"{record.path} can't be read and is left out: {error}")
        return None
