"""Spec against the limit in force, over time: the alert for VPA and for people.

A limit that stands off its spec for minutes is no longer a small reversible step but a wrong spec. The timer
runs only while it does, and the alert is cleared only after it has agreed again for a while.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from controller.cases import Alert
from controller.config import DivergenceConfig
from models.observation import Observation


@dataclass(slots=True)
class _Watch:
    off_since: float | None = None
    agreed_since: float | None = None
    raised: bool = False


class Divergence:
    """Remembers since when each container's effective limit has been off its spec."""

    def __init__(self) -> None:
        self._watches: dict[str, _Watch] = {}

    def update(self, seen: Observation, settings: DivergenceConfig) -> list[Alert]:
        """The alerts that are on. A container without a known spec is compared with its base."""
        alerts = []
        now = seen.now_seconds
        self._watches = {
            container.id: self._watches.get(container.id, _Watch()) for container in seen.containers
        }
        for n, container in enumerate(seen.containers):
            watch = self._watches[container.id]
            spec = container.spec_cores if container.spec_cores is not None else float(seen.base_cores[n])
            limit = float(seen.limit_cores[n])
            if _off(spec, limit, settings, seen.cpus):
                watch.agreed_since = None
                watch.off_since = now if watch.off_since is None else watch.off_since
                watch.raised |= now - watch.off_since >= settings.after
            else:
                watch.agreed_since = now if watch.agreed_since is None else watch.agreed_since
                if not watch.raised:
                    watch.off_since = None
                elif now - watch.agreed_since >= settings.clear_after:
                    watch.raised, watch.off_since = False, None
            if watch.raised:
                message = f"the limit in force is {_text(limit)} against a spec of {_text(spec)}"
                alerts.append(Alert("vpa-divergence", container.id, message))
        return alerts


def _off(spec: float, limit: float, settings: DivergenceConfig, cpus: int) -> bool:
    # A limit above all CPUs limits nothing: it agrees with having none.
    spec, limit = min(spec, cpus), min(limit, cpus)
    if math.isnan(spec) or math.isnan(limit):
        return False
    return abs(spec - limit) > max(settings.tolerance_cores, settings.tolerance_ratio * spec)


def _text(cores: float) -> str:
    return "no limit" if math.isinf(cores) else f"{cores:.2f} cores"
