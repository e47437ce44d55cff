"""The SLO of each service, fixed before anything is tuned: `python -m benchmarks.lab.calibrate [NAME...]`.

p95 over 1 s windows within max(3 x p99 alone at a load of 0.6, 1.3 x p99 alone at the scenario's peak load),
rounded up to a millisecond. Alone is the service by itself: no peers, no other service, no limit of its own.
A service is measured once for each of its settings and peak loads. A peak above 0.9 counts as 0.9: beyond, a
service alone is in overload, and what it does there is nothing to promise. For a service that may use a part
of the CPUs only, both loads are of that part.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.lab.measured import Figures, Measured
from benchmarks.lab.run import Run, RunFailed, Stage
from benchmarks.lab.scenario import Online, Scenario, load_scenario, scenario_names
from benchmarks.lab.stages import STAGES, open_stage
from benchmarks.lab.valid import ValidStage

OUT = Path("reports/lab")
FILE = "slo.json"
USUAL_LOAD, USUAL_FACTOR = 0.6, 3.0
PEAK_FACTOR = 1.3
MOST_LOAD = 0.9
SEEDS = (9001, 9002, 9003)
"""Not those that controllers are judged or tuned with."""

# Nobody controls; it says how late the generator may be before it is known what is late.
_SUPPOSED_SLO_SECONDS = 0.1
_SECONDS = 25.0
_WARM_UP_SECONDS = 5.0
# Not part of a service's cost: where it is, what load it gets, what happens to it on the way.
_NOT_ITS_OWN = {
    "name",
    "group",
    "load",
    "trace",
    "trace_peak_load",
    "trace_line_seconds",
    "trace_from_line",
    "limit_cores",
    "weight",
    "changes",
}

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Calibration:
    """A service's SLO and what it comes from: the p99 alone, median of the seeds."""

    slo_seconds: float
    usual_load: float
    peak_load: float
    p99_at_usual_load_seconds: float
    p99_at_peak_seconds: float


def measured_loads(online: Online, cpus: int) -> tuple[float, float]:
    """The usual load and the peak load at which a service is measured, as shares of `cpus` CPUs."""
    highest = online.trace_peak_load if online.trace is not None else max(load for _, load in online.load)
    part = len(online.cpus) / cpus if online.cpus else 1.0
    return round(USUAL_LOAD * part, 6), round(min(highest, MOST_LOAD * part), 6)


def slo_seconds(p99_at_usual_load_seconds: float, p99_at_peak_seconds: float) -> float:
    """The SLO, a whole number of milliseconds."""
    slo = max(USUAL_FACTOR * p99_at_usual_load_seconds, PEAK_FACTOR * p99_at_peak_seconds)
    return math.ceil(round(slo * 1000, 6)) / 1000


def alone_at(online: Online, load: float) -> Scenario:
    """The service by itself under a constant load."""
    itself = online.model_copy(
        update={
            "name": "web",
            "group": "/web",
            "load": ((0.0, load),),
            "trace": None,
            "limit_cores": None,
            "weight": Online.model_fields["weight"].default,
            "changes": (),
        }
    )
    return Scenario(
        name=f"alone-{load:g}",
        title=f"the service alone at a load of {load:g}",
        why="its SLO is made of what it does by itself",
        seconds=_SECONDS,
        warm_up_seconds=_WARM_UP_SECONDS,
        surge_seconds=(_WARM_UP_SECONDS, _SECONDS),
        answer="nothing",
        online=(itself,),
        peers=(),
    )


def calibrate(stage: Stage, scenario: Scenario, measured: Measured, tell: Tell) -> Calibration:
    """The SLO of a scenario's victim. Raises RunFailed, also when the machine is not quiet."""
    stage, victim = ValidStage(stage, tell), scenario.victim
    service = victim.model_dump(mode="json", exclude=_NOT_ITS_OWN)
    loads = measured_loads(victim, stage.cpus)
    p99 = []
    for load in loads:
        settings = {"service": service, "load": load}
        found = measured.figures(settings, partial(_measure, stage, victim, load, tell))
        p99.append(float(found["p99_seconds"]))
    return Calibration(slo_seconds(*p99), *loads, *p99)


def _measure(stage: Stage, victim: Online, load: float, tell: Tell) -> Figures:
    by_seed = []
    for seed in SEEDS:
        scenario = alone_at(victim, load)
        run = stage.run(scenario, "alone", seed, slo_seconds=_SUPPOSED_SLO_SECONDS)
        by_seed.append(p99_seconds(run, scenario))
        tell(f"{scenario.title}, seed {seed}: p99 {by_seed[-1] * 1000:.0f} ms")
    return {"p99_seconds": statistics.median(by_seed), "p99_by_seed_seconds": by_seed}


def p99_seconds(run: Run, scenario: Scenario) -> float:
    """Of the requests after the warm-up. Raises RunFailed when there are none."""
    kept = run.requests.latency_seconds[run.requests.intended_seconds >= scenario.warm_up_seconds]
    if not kept.size:
        raise RunFailed(f"{scenario.name}: no requests")
    return float(np.percentile(kept, 99))


def options_of(program: str, description: str | None) -> argparse.ArgumentParser:
    """What calibration and oracle are both asked for."""
    parser = argparse.ArgumentParser(
        prog=program, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="all of them if none is given")
    parser.add_argument("--stage", choices=STAGES, default=STAGES[0], help="where to run (%(default)s)")
    parser.add_argument("--fresh", action="store_true", help="use nothing that was measured before")
    parser.add_argument("--out", type=Path, default=OUT, help="where measurements are kept (%(default)s)")
    return parser


def main() -> int:
    options = options_of("python -m benchmarks.lab.calibrate", __doc__).parse_args()
    try:
        stage = open_stage(options.stage)
        measured = Measured(options.out / FILE, stage.backend, fresh=options.fresh)
        for name in options.scenarios or scenario_names():
            found = calibrate(stage, load_scenario(name), measured, _tell)
            print(
                f"{name}: SLO {found.slo_seconds * 1000:.0f} ms; p99 alone "
                f"{found.p99_at_usual_load_seconds * 1000:.1f} ms at {found.usual_load:g}, "
                f"{found.p99_at_peak_seconds * 1000:.1f} ms at the peak of {found.peak_load:g}",
                flush=True,
            )
    except (RunFailed, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _tell(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
