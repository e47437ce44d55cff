"""The stages by name, as commands take them."""

from __future__ import annotations

from backends.cgroup import LayoutError
from benchmarks.lab.run import Stage

STAGES = ("real", "simulated")


def open_stage(name: str) -> Stage:
    """Raises ValueError for an unknown name or where this machine has no cgroups."""
    if name == "simulated":
        from benchmarks.lab.simulated import SimulatedStage

        return SimulatedStage()
    if name == "real":
        from benchmarks.lab.stage import RealStage

        try:
            return RealStage()
        except LayoutError as error:
            raise ValueError(f"the real stage needs cgroups: {error}") from error
    raise ValueError(f"no stage {name}; there are {', '.join(STAGES)}")
