"""The JSON lines of the generator and of the observer, as columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from controller.demo.result import GroupColumns, Observations, Requests
from models.container import FloatArray

Record = Mapping[str, Any]


class JsonLines:
    """Reads a growing file of JSON lines: each call the records that are new and whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def read(self) -> list[dict[str, Any]]:
        """Empty when nothing is new or there is no file yet. Raises ValueError for a line not JSON."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]


def requests_of(records: Iterable[Record], ends_at_seconds: float) -> Requests:
    """The generator's records without the head line; `ends_at_seconds` is when it gave up waiting."""
    rows = sorted(records, key=lambda record: float(record["intended_seconds"]))
    intended = column(rows, "intended_seconds")
    latency = column(rows, "latency_seconds")
    answered = np.array([record["status"] == 200 for record in rows], dtype=np.bool_)
    return Requests(
        intended_seconds=intended,
        latency_seconds=np.where(answered, latency, ends_at_seconds - intended),
        send_lag_seconds=column(rows, "send_lag_seconds"),
        answered=answered,
    )


def observations_of(
    rows: list[dict[str, Any]], groups: Iterable[str], start_at_seconds: float
) -> Observations:
    """The observer's records. `start_at_seconds` (monotonic) becomes zero. The work units are those of all
    groups that count any."""
    counted = [key for key in (rows[0] if rows else ()) if key.endswith("_work_units")]
    return Observations(
        at_seconds=column(rows, "at_seconds") - start_at_seconds,
        work_units=sum((column(rows, key) for key in counted), start=np.zeros(len(rows))),
        busy_seconds=column(rows, "busy_seconds"),
        stolen_seconds=column(rows, "stolen_seconds"),
        groups={group: _group(rows, group) for group in groups},
    )


def _group(rows: list[dict[str, Any]], group: str) -> GroupColumns:
    columns = {field.name: column(rows, f"{group}_{field.name}") for field in fields(GroupColumns)}
    # null: no limit for a limit, no such file for the rest (which then stays NaN).
    limit = columns["limit_cores"]
    columns["limit_cores"] = np.where(np.isnan(limit), np.inf, limit)
    return GroupColumns(**columns)


def column(rows: Iterable[Record], key: str) -> FloatArray:
    """One key of all records; NaN for null."""
    return np.array([row[key] for row in rows], dtype=np.float64)
