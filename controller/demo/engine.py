"""The engine as a demo controller: `quotapilot run` as a process of its own, as an operator starts it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from controller.api.client import get
from controller.api.errors import ApiError
from controller.demo.ports import free_port
from controller.demo.scene import Scene
from models.container import Slo

ONLINE, OFFLINE = "online", "offline"
FLOOR_CORES = 0.1
_READY_WITHIN_SECONDS = 20.0
_STOPPED_WITHIN_SECONDS = 10.0


class EngineFailed(Exception):
    """The agent did not start, or died. The message ends with the last lines it wrote."""


def config_for(online_group: str, offline_group: str, service_url: str, slo: Slo) -> dict[str, Any]:
    """What an operator would write: two containers, and where the latency can be read."""
    return {
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
        }
    }


class Engine:
    """Starts the agent in the scene's agent group; SIGTERM at the end, so that it gives everything back.

    `transitions`, `revisions` and `alerts` are the lists of its API, oldest first, filled in by `stop`.
    `changes` are merged into the configuration, section by section.
    """

    name = "quotapilot"

    def __init__(self, changes: dict[str, Any] | None = None) -> None:
        self._changes = changes or {}
        self.transitions: list[dict[str, Any]] = []
        self.revisions: list[dict[str, Any]] = []
        self.alerts: list[dict[str, Any]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = tempfile.TemporaryDirectory(prefix="quotapilot-demo-")
        self._url = ""

    def start(self, scene: Scene, online_group: str, offline_group: str, service_url: str, slo: Slo) -> None:
        """See `Controller.start`. Raises EngineFailed."""
        directory, port = Path(self._directory.name), free_port()
        self._url = f"http://127.0.0.1:{port}"
        config = config_for(online_group, offline_group, service_url, slo)
        config["api"] = {"port": port}
        config["journal"] = {"run_dir": str(directory / "run"), "data_dir": str(directory / "data")}
        for section, values in self._changes.items():
            config[section] = {**config.get(section, {}), **values} if isinstance(values, dict) else values
        file = directory / "config.yaml"
        file.write_text(yaml.safe_dump(config))
        with open(directory / "log", "wb") as log:
            self._process = scene.start_module(
                scene.agent, "controller.cli", "run", "--config", str(file), output=log
            )
        deadline = time.monotonic() + _READY_WITHIN_SECONDS
        while not self._ready():
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
        except ApiError:
            pass  # it is dead or has not begun to answer; its exit code says so below
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(_STOPPED_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise EngineFailed(f"the agent did not end when asked to{self._last_words()}") from None
        if code not in (0, -signal.SIGTERM):
            raise EngineFailed(f"the agent ended with {code}{self._last_words()}")

    def states(self) -> Sequence[tuple[float, str]]:
        """See `Controller.states`."""
        offset = time.monotonic() - time.time()
        moves = [move for move in self.transitions if move["container"] == ONLINE]
        first = [(float("-inf"), moves[0]["from"] if moves else "normal")]
        return first + [(datetime.fromisoformat(m["time"]).timestamp() + offset, m["to"]) for m in moves]

    def _ready(self) -> bool:
        try:
            nodes = asyncio.run(get(self._url, "/api/v1/containers"))["items"]
        except ApiError:
            return False
        return {ONLINE, OFFLINE} <= {shown["id"] for shown in nodes}

    def _ask(self, what: str) -> list[dict[str, Any]]:
        items = asyncio.run(get(self._url, f"/api/v1/{what}?limit=1000"))["items"]
        return list(reversed(items))

    def _last_words(self) -> str:
        log = Path(self._directory.name) / "log"
        lines = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
        return "".join(f"\n  {line}" for line in lines)
