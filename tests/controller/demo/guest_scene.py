"""For a guest with cgroup v2: makes a scene, starts a busy loop in it, and reports what the kernel shows."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from pathlib import Path

from controller.demo.controllers import WeightsOnly
from controller.demo.observer import GroupReader
from controller.demo.scene import Scene
from models.container import Slo


def main() -> None:
    controller = WeightsOnly()
    with Scene() as scene:
        process = scene.start(scene.offline, ["sh", "-c", "while :; do :; done"])
        time.sleep(1.0)
        controller.start(scene, scene.online, scene.offline, "", Slo(0.25))
        with closing(GroupReader(scene.layout, scene.offline)) as reader:
            row = reader.read()
        controller.stop()
        report = {
            "backend": scene.backend,
            "joined": Path(f"/proc/{process.pid}/cgroup").read_text().strip() == f"0::{scene.offline}",
            "row": row,
            "load_weight": scene.cpu_file(scene.load, "cpu.weight").read_text().strip(),
            "idle_afterwards": scene.cpu_file(scene.offline, "cpu.idle").read_text().strip(),
        }
        top = scene.cpu_file(scene.prefix, "")
    report["left"] = top.exists() or Path(f"/proc/{process.pid}").exists()
    Path(sys.argv[1]).write_text(json.dumps(report))


if __name__ == "__main__":
    main()
