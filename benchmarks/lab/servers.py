"""Starts an online service of a scenario and tells where it is to be reached."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.lab.scenario import Online
from benchmarks.lab.speed import Speed
from controller.demo.acts import ServiceSettings, start_service
from controller.demo.crew import Crew


@dataclass(frozen=True)
class Served:
    """A service at work. `control_url`: where it takes changes, None for a program that is not ours."""

    work_url: str
    metrics_url: str
    control_url: str | None


def serve(crew: Crew, online: Online, group: str, seed: int, speed: Speed) -> Served:
    """Start it and wait until it answers. Raises ActFailed."""
    if online.server != "own":
        raise ValueError(f"{online.name}: server {online.server} is not known to this stage")
    settings = ServiceSettings(
        iterations_per_ms=speed.iterations_per_ms,
        threads=online.threads,
        lognormal_sigma=online.sigma,
        downstream_ms=online.downstream_ms,
    )
    url = start_service(crew, online.name, group, settings, online.cpu_ms, seed)
    return Served(work_url=url + "/work", metrics_url=url + "/metrics", control_url=url)
