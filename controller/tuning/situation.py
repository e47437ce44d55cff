"""A situation to tune on: one online container, its load over time, and its batch peers."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from backends.simulator import (
    Hogs,
    OnlineService,
    SimulatedNode,
    lognormal_cpu_seconds,
    poisson_arrivals,
)
from controller.units import Cores, PositiveSeconds
from models.container import CpuLimit, FloatArray, Slo

ONLINE = "online"
VARIATION = 0.3  # of the CPU time of a request about its mean


class SituationError(Exception):
    """Situations that can't be used. The text names file and field."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Online(_Part):
    """The online container. `load`: (from when, cores of work), ascending."""

    load: tuple[tuple[float, float], ...] = Field(min_length=1)
    cpu_ms: float = Field(default=12.0, gt=0)
    threads: int = Field(default=8, ge=1)
    slo: PositiveSeconds = 0.25
    limit_cores: Cores | None = None


class Peer(_Part):
    """A batch container: busy loops, all the time or in the stretches `active`. `reweight`: it may give way
    by weight, which needs no gains; else by quota only."""

    name: str
    workers: int = Field(default=4, ge=1)
    active: tuple[tuple[float, float], ...] | None = None
    floor_cores: Cores = 0.1
    reweight: bool = False


class Situation(_Part):
    """What is played. The same seed gives the same arrivals."""

    name: str
    seconds: float = Field(gt=0, le=3600)
    cpus: int = Field(default=2, ge=1, le=256)
    online: Online
    peers: tuple[Peer, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Situation:
        times = [at for at, _ in self.online.load]
        if times != sorted(times) or times[0] != 0:
            raise ValueError("online.load: must begin at 0 and ascend")
        names = [ONLINE, *(peer.name for peer in self.peers)]
        if len(set(names)) != len(names):
            raise ValueError("peers: every name once, and none is called online")
        return self

    def arrivals(self, seed: int) -> FloatArray:
        """When requests come."""
        rates = [(at, cores * 1000 / self.online.cpu_ms) for at, cores in self.online.load]
        return poisson_arrivals(rates, self.seconds, seed)

    def node(self, seed: int) -> SimulatedNode:
        """A simulated node on which it is about to begin."""
        node, online, arrivals = SimulatedNode(self.cpus), self.online, self.arrivals(seed)
        work = lognormal_cpu_seconds(len(arrivals), online.cpu_ms / 1000, VARIATION, seed)
        limit = CpuLimit() if online.limit_cores is None else CpuLimit().with_cores(online.limit_cores)
        service = OnlineService(arrivals, work, threads=online.threads)
        node.add_container(ONLINE, f"/{ONLINE}", service, limit=limit)
        for peer in self.peers:
            hogs = Hogs(peer.workers) if peer.active is None else Hogs(peer.workers, peer.active)
            node.add_container(peer.name, f"/{peer.name}", hogs)
        return node

    def policies(self, tiers: dict[str, int]) -> dict[str, dict[str, Any]]:
        """What discovery says of its containers."""
        slo = Slo(self.online.slo)
        online = {ONLINE: {"tier": "online", "priority": tiers.get("online", 100), "slo": slo}}
        return online | {
            peer.name: {
                "tier": "offline",
                "priority": tiers.get("offline", 0),
                "floor_cores": peer.floor_cores,
                "reweight": peer.reweight,
            }
            for peer in self.peers
        }


class _File(_Part):
    situations: tuple[Situation, ...] = Field(min_length=1)


def built_in() -> tuple[Situation, ...]:
    """Those of config/situations.yaml."""
    text = files("config").joinpath("situations.yaml").read_text(encoding="utf-8")
    return parse_situations(text, "config/situations.yaml")


def load_situations(path: Path) -> tuple[Situation, ...]:
    """Those of a file of the same form. Raises SituationError."""
    try:
        return parse_situations(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise SituationError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SituationError(f"{path}: is not a text file (UTF-8)") from error


def parse_situations(text: str, source: str) -> tuple[Situation, ...]:
    """Situations of a YAML text. Raises SituationError."""
    try:
        return _File.model_validate(yaml.safe_load(text)).situations
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else source
        raise SituationError(f"{where}: not YAML: {getattr(error, 'problem', error)}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "situations"
        message = first["msg"].removeprefix("Value error, ")
        raise SituationError(f"{source}: {key}: {message}") from None
