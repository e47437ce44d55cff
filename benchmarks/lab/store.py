"""The runs on disk: one .npz of columns and one .json beside it that tells what was run, when and how valid.

    runs/                     valid runs, one a key; the .json is written last and makes it whole
    runs/invalid/, failed/    what is never used, but reported

The key does not hold the commit: a run stays until it is forgotten, or until its scenario, its controller's
configuration, its SLO or the oracle's caps change. The report takes the newest of what differs in these.
"""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.lab.run import Caps, Run
from benchmarks.lab.scenario import Scenario

VARIANTS = Path(__file__).with_name("variants")


@dataclass(frozen=True)
class Cell:
    """One run to be made. `caps` are the oracle's."""

    scenario: Scenario
    controller: str
    seed: int
    backend: str
    slo_seconds: float
    caps: Caps | None = None

    @property
    def key(self) -> str:
        """The name of its files."""
        variant = VARIANTS / f"{self.controller}.yaml"
        told = [
            self.scenario.model_dump_json(),
            f"{self.slo_seconds:.6f}",
            variant.read_text() if variant.exists() else "",
            json.dumps(self.caps),
        ]
        digest = hashlib.sha256("\n".join(told).encode()).hexdigest()[:10]
        return _prefix(self.scenario.name, self.controller, self.seed, self.backend) + digest


@dataclass(frozen=True)
class Record:
    """What is known of a run beside its columns. `reasons`: why it is invalid; `failure`: why there is none,
    `hopeless` if another attempt would fail in the same way."""

    scenario: Scenario
    controller: str
    seed: int
    backend: str
    slo_seconds: float
    commit: str
    machine: str
    finished_at: float = field(default_factory=time.time)
    wall_seconds: float = 0.0
    reasons: tuple[str, ...] = ()
    failure: str | None = None
    hopeless: bool = False
    path: Path | None = None

    @property
    def valid(self) -> bool:
        return self.failure is None and not self.reasons

    def load(self) -> Run:
        """The columns. Raises OSError or ValueError."""
        if self.path is None:
            raise ValueError("there are no columns")
        try:
            return Run.load(self.path)
        except (KeyError, TypeError, zipfile.BadZipFile) as error:
            raise ValueError(f"not a whole run: {error}") from error


class Store:
    """A directory of runs."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def has(self, cell: Cell) -> bool:
        """Whether a whole and valid run of the cell is there."""
        path = self._directory / f"{cell.key}.json"
        return path.exists() and path.with_suffix(".npz").exists()

    def has_any(self, scenario: str, controller: str, seed: int, backend: str) -> bool:
        """Whether there is a valid run of these, whatever else was different."""
        return any(self._directory.glob(f"{_prefix(scenario, controller, seed, backend)}*.json"))

    def keep(self, cell: Cell, record: Record, run: Run | None) -> Record:
        """Save a run where it belongs; without one, what it failed of. Raises OSError."""
        if record.valid:
            directory, stem = self._directory, cell.key
        else:
            directory = self._directory / ("invalid" if run is not None else "failed")
            stem = f"{cell.key}__{time.time_ns()}"
        directory.mkdir(parents=True, exist_ok=True)
        if run is not None:
            run.save(directory / f"{stem}.npz")
        told = asdict(record) | {"scenario": record.scenario.model_dump(mode="json")}
        told.pop("path")
        part = directory / f"{stem}.json.part"
        part.write_text(json.dumps(told, indent=1) + "\n")
        part.replace(directory / f"{stem}.json")
        return _read(directory / f"{stem}.json")

    def forget(self, scenario: str, controller: str, seed: int, backend: str) -> int:
        """Remove all runs of a cell, whatever else was different; the number of files removed."""
        found = [
            path
            for directory in (self._directory, self._directory / "invalid", self._directory / "failed")
            for path in directory.glob("*__*")
            if path.name.startswith(_prefix(scenario, controller, seed, backend))
        ]
        for path in found:
            path.unlink()
        return len(found)

    def records(self) -> Iterator[Record]:
        """Of all runs: valid, invalid and failed, by name. Raises ValueError for a file that is none."""
        for path in sorted(self._directory.rglob("*.json")):
            try:
                yield _read(path)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path} is no record of a run; remove it: {error}") from error


def _read(path: Path) -> Record:
    told = json.loads(path.read_text())
    told["scenario"] = Scenario.model_validate(told["scenario"])
    told["reasons"] = tuple(told["reasons"])
    columns = path.with_suffix(".npz")
    return Record(**told, path=columns if columns.exists() else None)


def _prefix(scenario: str, controller: str, seed: int, backend: str) -> str:
    return f"{scenario}__{controller}__{seed}__{backend}__"
