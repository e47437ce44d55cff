"""Times as the outside sees them."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(wall_seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds: 2026-01-31T09:30:00.250Z."""
    moment = datetime.fromtimestamp(wall_seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
