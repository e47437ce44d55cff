"""A small act as a program of its own, to be interrupted or run in a guest. Prints its figures as JSON."""

from __future__ import annotations

import json
import os

from controller.demo.acts import ServiceSettings, run_act
from controller.demo.controllers import NoControl
from controller.demo.report import act_figures
from controller.demo.scene import Scene
from controller.demo.timeline import make_timeline
from controller.demo.work import calibrate
from models.container import Slo


def main() -> None:
    line = make_timeline("small", (2.0, 4.0, 1.0), cpus=os.cpu_count() or 1)
    service = ServiceSettings(calibrate())
    with Scene() as scene:
        act = run_act(scene, line, NoControl(), slo=Slo(0.25), service=service)
    print(json.dumps({"backend": act.backend, "restored": act.restored, **act_figures(act, 0.25, None)}))


if __name__ == "__main__":
    main()
