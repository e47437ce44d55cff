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

    def update(self, off: bool, now: float, settings: DivergenceConfig) -> None:
        """Go on with what is seen now."""
        if off:
            self.agreed_since = None
            self.off_since = now if self.off_since is None else self.off_since
            self.raised |= now - self.off_since >= settings.after
            return
        self.agreed_since = now if self.agreed_since is None else self.agreed_since
        if not self.raised:
            self.off_since = None
        elif now - self.agreed_since >= settings.clear_after:
            self.raised, self.off_since = False, None


class Divergence:
    """Remembers since when each container's effective limit has been off its spec."""

    def __init__(self) -> None:
        self._watches: dict[tuple[int, str], _Watch] = {}

    def update(self, seen: Observation, settings: DivergenceConfig) -> list[Alert]:
        """The alerts that are on. A container without a known spec is compared with its base."""
        alerts = []
        now = seen.now_seconds
        self._watches = {
            container.identity: self._watches.get(container.identity, _Watch())
            for container in seen.containers
        }
        for n, container in enumerate(seen.containers):
            watch = self._watches[container.identity]
            spec = container.spec_cores if container.spec_cores is not None else float(seen.base_cores[n])
            limit = float(seen.limit_cores[n])
            if not (math.isnan(spec) or math.isnan(limit)):  # what can't be read now tells nothing
                watch.update(_off(spec, limit, settings, seen.cpus), now, settings)
            if watch.raised:
                message = f"the limit in force is {_text(limit)} against a spec of {_text(spec)}"
                alerts.append(Alert("vpa-divergence", container.id, message))
        return alerts


def _off(spec: float, limit: float, settings: DivergenceConfig, cpus: int) -> bool:
    # A limit above all CPUs limits nothing: it agrees with having none.
    spec, limit = min(spec, cpus), min(limit, cpus)
    return abs(spec - limit) > max(settings.tolerance_cores, settings.tolerance_ratio * spec)


def _text(cores: float) -> str:
    return "no limit" if math.isinf(cores) else f"{cores:.2f} cores"
