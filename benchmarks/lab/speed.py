"""How fast this machine is: measured once and kept, so that runs that are compared get the same work."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks.lab import nginx
from controller.demo.crew import Crew
from controller.demo.observer import GroupReader
from controller.demo.playground import Branch, Playground
from controller.demo.report import machine
from controller.demo.work import calibrate

_REQUESTS = 50


class Speed:
    """This machine's figures, each measured when it is first asked for and kept in a file.

    Figures of another machine are not taken over.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._machine = file, machine()
        self._figures: dict[str, float] = {}
        try:
            kept = json.loads(file.read_text())
            if kept["machine"] == self._machine:
                self._figures = {name: float(value) for name, value in kept["figures"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass  # none yet, or another version's

    @property
    def iterations_per_ms(self) -> float:
        """Of `controller.demo.work.burn`, in a millisecond of CPU time."""
        return self._kept("iterations_per_ms", calibrate)

    @property
    def nginx_request_ms(self) -> float:
        """CPU time of a request to nginx. Raises OSError where cgroups may not be written, or ActFailed."""
        return self._kept("nginx_request_ms", measure_nginx)

    def _kept(self, name: str, measure: Callable[[], float]) -> float:
        if name not in self._figures:
            self._figures[name] = measure()
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(
                json.dumps({"machine": self._machine, "figures": self._figures}, indent=2) + "\n"
            )
        return self._figures[name]


def measure_nginx() -> float:
    """CPU milliseconds of a request, the mean of some that are sent one after the other."""
    with (
        tempfile.TemporaryDirectory(prefix="quotapilot-lab-") as directory,
        Playground((Branch("/nginx"),)) as ground,
    ):
        crew, group = Crew(ground, Path(directory)), ground.prefix + "/nginx"
        url = nginx.start_nginx(crew, "nginx", group)
        with closing(GroupReader(ground.layout, group)) as reader:
            before = reader.read()["usage_seconds"] or 0.0
            for _ in range(_REQUESTS):
                nginx.fetch(url, nginx.certificate_of(crew, "nginx"))
            used = (reader.read()["usage_seconds"] or 0.0) - before
    return used * 1000 / _REQUESTS
