"""What happens in a run: the online services, their load over time, the peers, the tree, the right answer.

A scenario is a YAML file in `scenarios/`; this module is its schema. Times are seconds from the start of the
load. Loads are shares of all CPUs of the machine. Groups are paths below the experiment's own prefix.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

SCENARIOS = Path(__file__).with_name("scenarios")
WEIGHT = 1024  # cpu.shares of a group that nobody has changed
FLOOR_CORES = 0.1
RESERVED = {"load", "agent"}  # what a run has beside the containers


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Change(_Part):
    """What the service is told on the way: another CPU time per request, or another wait downstream."""

    at_seconds: float
    cpu_ms: float | None = None
    downstream_ms: float | None = None


class Online(_Part):
    """An online service with an SLO.

    `load` are steps (from when, share of the machine). The trace of requests per second in the file `trace`
    (one a line; see `arrivals.data_file`) takes their place: scaled to a peak of `trace_peak_load`, a line
    lasting `trace_line_seconds`, from line `trace_from_line` on. A request costs `cpu_ms` of work and
    `handling_ms` of HTTP; a load reckons with both. Of a server that is not our own, the cost is measured,
    and the other settings of its work do not count.
    """

    name: str = "web"
    group: str = "/web"
    load: tuple[tuple[float, float], ...] = ()
    trace: str | None = None
    trace_peak_load: float = 0.8
    trace_line_seconds: float = 0.25
    trace_from_line: int = 0
    server: Literal["own", "nginx"] = "own"
    cpu_ms: float = 12.0
    handling_ms: float = 2.0
    sigma: float = 0.0
    threads: int = 8
    downstream_ms: float = 0.0
    limit_cores: float | None = None
    weight: int = WEIGHT
    cpus: tuple[int, ...] | None = None
    changes: tuple[Change, ...] = ()

    @property
    def request_ms(self) -> float:
        """CPU time that a request costs the service, in all."""
        return self.cpu_ms + self.handling_ms


class Peer(_Part):
    """Batch work. It is at work in the stretches `active` (None: always), with all `workers` at once for the
    part `duty` of every `period_seconds`. `guilty`: it is one that hurts the victim."""

    name: str = "batch"
    group: str = "/batch"
    kind: Literal["loops", "stream", "compress"] = "loops"
    workers: int = 4
    active: tuple[tuple[float, float], ...] | None = None
    duty: float = 1.0
    period_seconds: float = 0.5
    weight: int = WEIGHT
    floor_cores: float = FLOOR_CORES
    cpus: tuple[int, ...] | None = None
    guilty: bool = True


class Scenario(_Part):
    """One scenario. The first online service is the victim: its SLO is judged.

    `surge_seconds`: the stretch in which onset and recovery are judged. `release_seconds`: when the pressure
    has ended, from which time to give back counts; None: it does not end. `answer`: what is right; every
    change of a peer's limit or weight is wrong unless it is "cut", and then one of an innocent peer is.
    `reweight` False: weights and cpu.idle may not be touched. `slices`: inner groups, with their weights,
    parents first.
    """

    name: str
    title: str
    why: str
    seconds: float
    warm_up_seconds: float = 5.0
    surge_seconds: tuple[float, float]
    release_seconds: float | None = None
    answer: Literal["cut", "raise-own", "nothing"] = "cut"
    reweight: bool = True
    slices: dict[str, int] = {}
    online: tuple[Online, ...]
    peers: tuple[Peer, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        names = [part.name for part in self.containers]
        if not self.online or len(set(names)) != len(names) or set(names) & RESERVED:
            raise ValueError("at least one online service; every name once, and not load or agent")
        groups = [*self.slices, *(part.group for part in self.containers)]
        if twice := {group for group in groups if groups.count(group) > 1}:
            raise ValueError(f"groups are used twice: {', '.join(sorted(twice))}")
        made = {"/"}
        for group in groups:
            if str(PurePosixPath(group).parent) not in made:
                raise ValueError(f"{group}: its parent is not among the slices before it")
            made.update({group} & self.slices.keys())
        if not 0 <= self.surge_seconds[0] < self.surge_seconds[1] <= self.seconds:
            raise ValueError("surge_seconds must lie within the scenario")
        return self

    @property
    def containers(self) -> tuple[Online | Peer, ...]:
        """All of them, the services first."""
        return (*self.online, *self.peers)

    @property
    def victim(self) -> Online:
        """The service whose SLO is judged."""
        return self.online[0]


def scenario_names() -> list[str]:
    """All scenarios there are, sorted."""
    return sorted(path.stem for path in SCENARIOS.glob("*.yaml"))


def load_scenario(name: str) -> Scenario:
    """The scenario of that name. Raises ValueError for one that is not there or not valid."""
    if name not in scenario_names():
        raise ValueError(f"no scenario {name}; there are {', '.join(scenario_names())}")
    return Scenario.model_validate({"name": name, **yaml.safe_load((SCENARIOS / f"{name}.yaml").read_text())})
