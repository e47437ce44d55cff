"""The engine as a demo controller: `quotapilot run` as a process of its own, as an operator starts it."""

from __future__ import annotations

import asyncio
import math
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from controller.api.client import get
from controller.api.errors import ApiError
from controller.demo.playground import Playground
from controller.demo.ports import free_port
from controller.demo.scene import Scene
from controller.merge_patch import merge_patch
from models.container import Slo

ONLINE, OFFLINE = "online", "offline"
FLOOR_CORES = 0.1
_READY_WITHIN_SECONDS = 20.0
_STOPPED_WITHIN_SECONDS = 10.0


class EngineFailed(Exception):
    """The agent did not start, or died. The message ends with the last lines it wrote."""


def config_for(online_group: str, offline_group: str, service_url: str, slo: Slo) -> dict[str, Any]:
    """What an operator would write: two containers, and where the latency can be read. By quota alone, as in
    the article that this demo tells; the two are siblings, so that a weight would do."""
    return {
        "rung0": {"actuator": "off"},
        "discovery": {
            "static": [
                {
                    "name": ONLINE,
                    "cgroup": online_group,
                    "tier": "online",
                    "slo": {"latency": f"{slo.latency_seconds:g}s", "percentile": slo.percentile},
                    "latency": {
                        "url": f"{service_url}/metrics",
                        "metric": "http_request_duration_seconds",
                        "interval": "250ms",
                    },
                },
                {"name": OFFLINE, "cgroup": offline_group, "tier": "offline", "floor": FLOOR_CORES},
            ]
        },
    }


class AgentProcess:
    """Runs the agent in a playground's agent group; SIGTERM at the end, so that it gives everything back.

    `transitions`, `revisions` and `alerts` are the lists of its API, oldest first, `node` and `containers`
    what it showed last, and `memory_bytes` is the most that it had in memory: filled in by `stop`.
    """

    def __init__(self) -> None:
        self.transitions: list[dict[str, Any]] = []
        self.revisions: list[dict[str, Any]] = []
        self.alerts: list[dict[str, Any]] = []
        self.node: dict[str, Any] = {}
        self.containers: list[dict[str, Any]] = []
        self.memory_bytes = math.nan
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = tempfile.TemporaryDirectory(prefix="quotapilot-demo-")
        self._url = ""

    def launch(self, playground: Playground, group: str, config: dict[str, Any]) -> None:
        """Run it in a group with a configuration whose API and journal are here. Raises EngineFailed."""
        directory, port = Path(self._directory.name), free_port()
        self._url = f"http://127.0.0.1:{port}"
        config = {
            **config,
            "api": {"port": port},
            "journal": {"run_dir": str(directory / "run"), "data_dir": str(directory / "data")},
        }
        wanted = {entry["name"] for entry in config["discovery"]["static"]}
        file = directory / "config.yaml"
        file.write_text(yaml.safe_dump(config))
        with open(directory / "log", "wb") as log:
            self._process = playground.start_module(
                group, "controller.cli", "run", "--config", str(file), output=log
            )
        deadline = time.monotonic() + _READY_WITHIN_SECONDS
        while not self._sees(wanted):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise EngineFailed(f"the agent did not get ready{self._last_words()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """See `Controller.stop`. Raises EngineFailed when it had died, or did not end by itself."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            self.transitions = self._ask("transitions")
            self.revisions = self._ask("revisions")
            self.alerts = self._ask("alerts")
            self.node = asyncio.run(get(self._url, "/api/v1/node"))
            self.containers = asyncio.run(get(self._url, "/api/v1/containers"))["items"]
            self.memory_bytes = peak_memory_bytes(process.pid)
        except (ApiError, OSError):
            pass  # it is dead or has not begun to answer; its exit code says so below
        end(process, "the agent", self._last_words)

    def _sees(self, wanted: set[str]) -> bool:
        try:
            nodes = asyncio.run(get(self._url, "/api/v1/containers"))["items"]
        except ApiError:
            return False
        return wanted <= {shown["id"] for shown in nodes}

    def _ask(self, what: str) -> list[dict[str, Any]]:
        items = asyncio.run(get(self._url, f"/api/v1/{what}?limit=1000"))["items"]
        return list(reversed(items))

    def _last_words(self) -> str:
        log = Path(self._directory.name) / "log"
        lines = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
        return "".join(f"\n  {line}" for line in lines)


class Engine(AgentProcess):
    """The agent as a controller of the demo. `changes` are a merge patch of its configuration."""

    name = "quotapilot"

    def __init__(self, changes: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._changes = changes or {}

    def start(self, scene: Scene, online_group: str, offline_group: str, service_url: str, slo: Slo) -> None:
        """See `Controller.start`. Raises EngineFailed."""
        config = config_for(online_group, offline_group, service_url, slo)
        self.launch(scene, scene.agent, merge_patch(config, self._changes))

    def states(self) -> Sequence[tuple[float, str]]:
        """See `Controller.states`."""
        offset = time.monotonic() - time.time()
        moves = [move for move in self.transitions if move["container"] == ONLINE]
        first = [(float("-inf"), moves[0]["from"] if moves else "normal")]
        return first + [(datetime.fromisoformat(m["time"]).timestamp() + offset, m["to"]) for m in moves]


def end(process: subprocess.Popen[bytes], name: str, last_words: Callable[[], str]) -> None:
    """SIGTERM, and wait. Raises EngineFailed when it had died, or does not end by itself."""
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(_STOPPED_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise EngineFailed(f"{name} did not end when asked to{last_words()}") from None
    if code not in (0, -signal.SIGTERM):
        raise EngineFailed(f"{name} ended with {code}{last_words()}")


def peak_memory_bytes(pid: int) -> float:
    """The most that a process has had in memory. Raises OSError when it is gone."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = [float(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    return found[0] if found else math.nan
