"""`quotapilot run` as a process of its own beside busy groups, for tests."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from controller.api.client import get, post
from controller.api.errors import ApiError
from controller.demo.ports import free_port
from controller.demo.scene import Scene

TOKEN = "a-token-for-tests"
ROOT = Path(__file__).parents[2]


class Service:
    """An agent over the scene's two groups, with files in `directory`. `changes` are merged by section."""

    def __init__(self, scene: Scene, directory: Path, **changes: Any) -> None:
        self.scene, self.directory = scene, directory
        self.config_file = directory / "config.yaml"
        self.log_file = directory / "log"
        self.url = f"http://127.0.0.1:{free_port()}"
        token = directory / "token"
        token.write_text(TOKEN)
        self.config: dict[str, Any] = {
            "discovery": {
                "static": [
                    {"name": "web", "cgroup": scene.online, "tier": "online", "slo": {"latency": "250ms"}},
                    {"name": "batch", "cgroup": scene.offline, "tier": "offline", "floor": 0.1},
                ]
            },
            "api": {"port": int(self.url.rsplit(":", 1)[1]), "token_file": str(token)},
            "rung0": {"actuator": "off"},
            "journal": {"run_dir": str(directory / "run"), "data_dir": str(directory / "data")},
            **changes,
        }
        self.write_config()
        self.process: subprocess.Popen[bytes] | None = None

    def write_config(self) -> None:
        self.config_file.write_text(yaml.safe_dump(self.config))

    def start(self, *options: str) -> Service:
        """Start it in the scene's agent group: beside the busy groups, not behind them."""
        arguments = ("run", "--config", str(self.config_file), *options)
        with open(self.log_file, "ab") as log:
            self.process = self.scene.start_module(self.scene.agent, "controller.cli", *arguments, output=log)
        return self

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of quotapilot."""
        command = [sys.executable, "-m", "controller.cli", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    def signal(self, number: int) -> int:
        """Send a signal that ends it; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(15)
        self.process = None
        return code

    def stop(self) -> None:
        """End it however it goes; for clean-ups."""
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGKILL)

    def get(self, path: str) -> Any:
        return asyncio.run(get(self.url, path, token=TOKEN))

    def post(self, path: str, body: Any = None) -> Any:
        return asyncio.run(post(self.url, path, body, token=TOKEN))

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def hurt(self, latency_seconds: float = 1.0) -> None:
        """Push latencies that say that the online container is slow."""
        with suppress(ApiError):  # it is not up yet, or does not know the container yet
            self.post("/api/v1/containers/web/latency", {"samples_seconds": [latency_seconds] * 20})

    def hurt_until(self, condition: Callable[[], bool], timeout_seconds: float = 30.0) -> None:
        self.wait(condition, timeout_seconds, each=self.hurt)

    def wait(
        self,
        condition: Callable[[], bool],
        timeout_seconds: float = 30.0,
        each: Callable[[], None] = lambda: None,
    ) -> None:
        deadline = time.monotonic() + timeout_seconds
        while True:
            each()
            try:
                if condition():
                    return
            except ApiError:
                pass
            assert time.monotonic() < deadline, f"not within {timeout_seconds} s; log:\n{self.log()}"
            time.sleep(0.2)

    def limit(self) -> str:
        """What the kernel holds for the offline group."""
        name = "cpu.max" if self.scene.backend == "cgroup-v2" else "cpu.cfs_quota_us"
        return self.scene.cpu_file(self.scene.offline, name).read_text().split()[0]


def busy(scene: Scene) -> None:
    """Busy loops in both groups, so that each waits for the other."""
    for group, loops in ((scene.online, "3"), (scene.offline, "4")):
        work = f"{os.environ.get('TMPDIR', '/tmp')}/quotapilot-work-{os.getpid()}-{loops}"
        scene.start_module(group, "controller.demo.hog", "--loops", loops, "--work-file", work)
