"""How fast this machine is: measured once and kept, so that runs that are compared get the same work."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from controller.demo.report import machine
from controller.demo.work import calibrate


@dataclass(frozen=True)
class Speed:
    """`iterations_per_ms`: of `controller.demo.work.burn`, in a millisecond of CPU time."""

    iterations_per_ms: float


def kept_speed(file: Path) -> Speed:
    """The speed kept in a file, when it is of this machine; else it is measured and kept there."""
    here = machine()
    try:
        kept = json.loads(file.read_text())
        if kept["machine"] == here:
            return Speed(**kept["speed"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none yet, or another version's
    speed = Speed(calibrate())
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"machine": here, "speed": asdict(speed)}, indent=2) + "\n")
    return speed
