"""What was measured once for many runs (SLOs, the oracle's levels), kept in a file with machine and date.

Figures of another machine are never used: they stay in the file, and are measured anew here. A simulated
machine is this very source: its figures are kept by commit instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from controller.demo.report import commit, machine

Settings = dict[str, Any]
Figures = dict[str, Any]


class Measured:
    """One such file. `fresh`: use nothing that was in the file before. Raises ValueError for a file that is
    none of ours, OSError when it cannot be written."""

    def __init__(self, file: Path, backend: str, *, fresh: bool = False) -> None:
        self._file, self._fresh = file, fresh
        self._where = {"backend": backend, "machine": commit() if backend == "simulated" else machine()}
        self._entries = _read(file)
        self._new: set[str] = set()

    def figures(self, settings: Settings, measure: Callable[[], Figures]) -> Figures:
        """The figures of these settings: those kept, else measured now and kept at once."""
        key = json.dumps({**self._where, **settings}, sort_keys=True)
        if key not in self._entries or (self._fresh and key not in self._new):
            found = measure()
            self._new.add(key)
            self._entries[key] = {
                **self._where,
                "settings": settings,
                "figures": found,
                "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            self._save()
        return dict(self._entries[key]["figures"])

    def _save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(list(self._entries.values()), indent=2) + "\n")
        part.replace(self._file)


def _read(file: Path) -> dict[str, dict[str, Any]]:
    if not file.exists():
        return {}
    try:
        entries = json.loads(file.read_text())
        return {
            json.dumps(
                {"backend": entry["backend"], "machine": entry["machine"], **entry["settings"]},
                sort_keys=True,
            ): entry
            for entry in entries
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: not a file of measurements ({error!r}); remove it") from error
