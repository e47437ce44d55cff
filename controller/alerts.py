"""Which alerts are on: what is raised and cleared between two rounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from controller.cases import Alert
from controller.times import rfc3339


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """An alert that is on, and since when (wall-clock seconds)."""

    alert: Alert
    since_seconds: float

    def as_json(self, cleared_at_seconds: float | None = None) -> dict[str, Any]:
        """The alert as the API shows it."""
        cleared = None if cleared_at_seconds is None else rfc3339(cleared_at_seconds)
        return {
            "kind": self.alert.kind,
            "container": self.alert.container,
            "message": self.alert.message,
            "active": cleared is None,
            "since": rfc3339(self.since_seconds),
            "cleared_at": cleared,
        }


class AlertBook:
    """One alert per kind and container; a changed message is the same alert."""

    def __init__(self) -> None:
        self._active: dict[tuple[str, str], ActiveAlert] = {}

    def update(self, alerts: Iterable[Alert], wall_seconds: float) -> list[dict[str, Any]]:
        """Take over what is on now; the changes, as JSON: alerts raised and alerts cleared."""
        now = {(alert.kind, alert.container): alert for alert in alerts}
        changes = []
        for key in list(self._active):
            if key not in now:
                changes.append(self._active.pop(key).as_json(wall_seconds))
        for key, alert in now.items():
            known = self._active.get(key)
            self._active[key] = ActiveAlert(alert, known.since_seconds if known else wall_seconds)
            if known is None:
                changes.append(self._active[key].as_json())
        return changes

    def active(self) -> list[dict[str, Any]]:
        """What is on now, as JSON."""
        return [active.as_json() for active in self._active.values()]
