"""What an act leaves: all requests, observations and states. Times count from the act's start."""

from __future__ import annotations

from dataclasses import dataclass

from controller.demo.timeline import Timeline
from models.container import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Requests:
    """Columns over requests, ascending by the time at which they should have been sent.

    The latency counts from that time. A request without a good answer (`answered` false) counts as waiting
    until the end of the act.
    """

    intended_seconds: FloatArray
    latency_seconds: FloatArray
    send_lag_seconds: FloatArray
    answered: BoolArray


@dataclass(frozen=True, slots=True)
class GroupColumns:
    """One group over time. Cumulative, but for limit (infinite: none), weight and idle."""

    usage_seconds: FloatArray
    limit_cores: FloatArray
    throttled_seconds: FloatArray
    wait_seconds: FloatArray
    weight: FloatArray
    idle: FloatArray


@dataclass(frozen=True, slots=True)
class Observations:
    """Columns over the observer's polls; all cumulative, busy and stolen seconds over all CPUs together."""

    at_seconds: FloatArray
    work_units: FloatArray
    busy_seconds: FloatArray
    stolen_seconds: FloatArray
    groups: dict[str, GroupColumns]

    @property
    def online(self) -> GroupColumns:
        return self.groups["online"]

    @property
    def offline(self) -> GroupColumns:
        return self.groups["offline"]


@dataclass(frozen=True, slots=True)
class ActResult:
    """One act. `restored`: after the controller had stopped, the offline group was found as it was before.

    `states` are the online container's states as the controller told them: (since when, state), ascending.
    """

    controller: str
    backend: str
    cpus: int
    timeline: Timeline
    seed: int
    requests: Requests
    observations: Observations
    states: tuple[tuple[float, str], ...]
    restored: bool
