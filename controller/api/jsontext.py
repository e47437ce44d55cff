"""Values as JSON text, and records as values."""

from __future__ import annotations

import json
import math
from typing import Any

from controller.feed import Record
from controller.times import rfc3339


def dumps(value: Any) -> str:
    """JSON on one line. A number that JSON does not have (NaN, an infinity) becomes null."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        # One container without a reading must not blank out the others, so the whole is still answered.
        return json.dumps(_finite(value), allow_nan=False, separators=(",", ":"))


def record_item(record: Record) -> dict[str, Any]:
    """A record as lists and the event stream show it: its number and time, then its data."""
    return {"seq": record.seq, "time": rfc3339(record.at_seconds), **record.data}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
