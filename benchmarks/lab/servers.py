"""The online services of a scenario: how each is started, where it is reached, what sends its load."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.lab import nginx
from benchmarks.lab.run import Unavailable
from benchmarks.lab.scenario import Online, Scenario
from benchmarks.lab.speed import Speed
from controller.demo.acts import ServiceSettings, start_service
from controller.demo.crew import Crew
from controller.demo.ports import free_port


@dataclass(frozen=True)
class Served:
    """A service at work. `generator`: the module that sends its load, and the arguments behind the plan.
    `control_url`: where it takes changes, None for a program that is not ours."""

    work_url: str
    metrics_url: str
    control_url: str | None
    generator: tuple[str, ...]


def costed(scenario: Scenario, speed: Speed) -> Scenario:
    """The scenario with the CPU time that a request really costs, where that is not ours to say.

    Raises Unavailable for a server that is not installed.
    """
    return scenario.model_copy(update={"online": tuple(_costed(online, speed) for online in scenario.online)})


def serve(crew: Crew, online: Online, group: str, seed: int, speed: Speed) -> Served:
    """Start a service and wait until it answers. Raises ActFailed."""
    if online.server == "nginx":
        url, port = nginx.start_nginx(crew, online.name, group), free_port()
        certificate = nginx.certificate_of(crew, online.name)
        return Served(
            work_url=url,
            metrics_url=f"http://127.0.0.1:{port}/metrics",
            control_url=None,
            generator=("benchmarks.lab.client", str(certificate), str(port)),
        )
    settings = ServiceSettings(
        iterations_per_ms=speed.iterations_per_ms,
        threads=online.threads,
        lognormal_sigma=online.sigma,
        downstream_ms=online.downstream_ms,
    )
    url = start_service(crew, online.name, group, settings, online.cpu_ms, seed)
    return Served(url + "/work", url + "/metrics", url, ("controller.demo.load",))


def _costed(online: Online, speed: Speed) -> Online:
    if online.server == "own":
        return online
    if not nginx.is_installed():
        raise Unavailable(f"nginx is not installed: apt-get install --no-install-recommends {nginx.PACKAGE}")
    return online.model_copy(update={"cpu_ms": speed.nginx_request_ms, "handling_ms": 0.0})
