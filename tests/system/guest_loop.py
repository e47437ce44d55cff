"""For a guest with cgroup v2: the demo with and without control, sized for one slow CPU. Writes report.json.

A guest pays much for every system call, so requests are few and long, and the loop ticks less often.
"""

from __future__ import annotations

import sys
from pathlib import Path

from controller.demo.acts import ServiceSettings, run_act
from controller.demo.controllers import NoControl
from controller.demo.engine import Engine
from controller.demo.report import write_report
from controller.demo.scene import Scene
from controller.demo.timeline import Phase, Timeline
from controller.demo.work import calibrate
from models.container import Slo

CPU_MS = 40.0
SLO = Slo(0.5)
SLOWER = {"tick": "500ms", "rules": {"latency": {"window": "2s"}}}


def main() -> None:
    rates = {"before": (6.0, 0.1), "surge": (25.0, 0.42), "after": (16.0, 0.05)}
    phases = [Phase(name, seconds, share * 1000 / CPU_MS) for name, (seconds, share) in rates.items()]
    timeline = Timeline("guest", *phases, cpu_ms=CPU_MS, hogs=2)
    service = ServiceSettings(calibrate(), threads=4)
    engine = Engine(SLOWER)
    acts = []
    for controller in (NoControl(), engine):
        with Scene() as scene:
            acts.append(run_act(scene, timeline, controller, slo=SLO, service=service))
    write_report(
        Path(sys.argv[1]) / "report.json",
        slo_seconds=SLO.latency_seconds,
        controlled=acts[1],
        uncontrolled=acts[0],
        transitions=engine.transitions,
        revisions=engine.revisions,
    )


if __name__ == "__main__":
    main()
