"""The oracle: the largest quota of the guilty peers at which the SLO holds, for every load level of a
scenario, and the caps that a clairvoyant would set: `python -m benchmarks.lab.oracle [NAME...]`.

O3, B*(L): for each situation (the services' loads, the peers at work) a scenario of its own with just that,
constantly, for as long as a surge must last at least; the cap is searched over twentieths of the machine,
assuming that less for the peers never hurts. A cap holds when at least 95 % of the 1 s windows of two seeds
are within the SLO. Where the SLO does not hold even at the peers' floors, the floors it is. The caps follow
the situations one second ahead: lowered a second before the load rises, given back when it falls.
O2, the best static setting, is the least of these.

Where the right answer is not to cut anybody, the oracle does nothing.
"""

from __future__ import annotations

import bisect
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.lab.arrivals import phases
from benchmarks.lab.calibrate import FILE as SLO_FILE
from benchmarks.lab.calibrate import Tell, calibrate, options_of
from benchmarks.lab.measured import Figures, Measured
from benchmarks.lab.run import Caps, Run, RunFailed, Stage
from benchmarks.lab.scenario import Online, Peer, Scenario, load_scenario, scenario_names
from benchmarks.lab.stages import open_stage
from benchmarks.lab.valid import ValidStage
from controller.demo.figures import WINDOW_SECONDS, p95_series

FILE = "oracle.json"
SEEDS = (9101, 9102)
"""Not those that controllers are judged or tuned with."""

HOLDS_RATIO = 0.95
_STEPS_OF_A_MACHINE = 20
_SECONDS, _WARM_UP_SECONDS = 33.0, 3.0
_ROUNDS = 3
_AHEAD_SECONDS = 1.0
# Of a trial's settings: limits are moved, weights are not, whatever the scenario allows.
_TELLS_NOTHING = {"name", "title", "why", "answer", "surge_seconds", "release_seconds", "reweight"}
_TRACE_LEVELS = 10  # a trace's mean load of a second is rounded up to a tenth


@dataclass(frozen=True)
class Situation:
    """What holds for a second: the load of each service, in the scenario's order, and who is at work."""

    loads: tuple[float, ...]
    at_work: tuple[str, ...]


@dataclass(frozen=True)
class Level:
    """The largest total of the guilty peers at which the SLO holds (inf: they need no cap); not `holds`: it
    is their floors, and the SLO does not hold there either."""

    cores: float
    holds: bool


def situations(scenario: Scenario, cpus: int) -> list[tuple[float, Situation]]:
    """From when on (seconds) which situation must be reckoned with, beginning a second before the load: it
    holds now or within a second. Left out are those in which no guilty peer is at work."""
    curves = [_loads(scenario, online, cpus) for online in scenario.online]
    guilty = {peer.name for peer in scenario.peers if peer.guilty}
    found: list[tuple[float, Situation]] = []
    for second in range(-1, math.ceil(scenario.seconds)):
        until = second + 1 + _AHEAD_SECONDS
        loads = tuple(_highest(curve, second, until) for curve in curves)
        at_work = tuple(peer.name for peer in scenario.peers if _works(peer, second, until))
        here = Situation(loads, at_work)
        if guilty & set(at_work) and (not found or found[-1][1] != here):
            found.append((float(second), here))
    return found


def constant(scenario: Scenario, situation: Situation) -> Scenario:
    """The scenario with this situation and nothing else."""
    online = tuple(
        service.model_copy(update={"load": ((0.0, load),), "trace": None, "changes": ()})
        for service, load in zip(scenario.online, situation.loads, strict=True)
    )
    peers = tuple(_constant_peer(peer) for peer in scenario.peers if peer.name in situation.at_work)
    return scenario.model_copy(
        update={
            "seconds": _SECONDS,
            "warm_up_seconds": _WARM_UP_SECONDS,
            "surge_seconds": (_WARM_UP_SECONDS, _SECONDS),
            "release_seconds": None,
            "online": online,
            "peers": peers,
        }
    )


def _constant_peer(peer: Peer) -> Peer:
    """At work all the time; with its rhythm only where the trial has room for some rounds of it: for a slow
    one, what counts is the cap while it works."""
    is_quick = peer.period_seconds * _ROUNDS <= _SECONDS - _WARM_UP_SECONDS
    return peer.model_copy(update={"active": None, "duty": peer.duty if is_quick else 1.0})


def largest(candidates: Sequence[float], holds: Callable[[float], bool], guess: float) -> Level:
    """The largest of the ascending candidates that holds, the least where none does.

    Asks for the largest first, as many situations need no cap at all; then from the guess on in steps that
    double, and by halves when the answer is enclosed: every question takes a minute.
    """
    if holds(candidates[-1]):
        return Level(candidates[-1], True)
    # candidates[low] holds, candidates[high] does not.
    low, high = -1, len(candidates) - 1
    at, step = bisect.bisect_left(candidates, guess) - 1, 1
    answers: set[bool] = set()
    while high - low > 1:
        if len(answers) == 2 or not low < at < high:
            at = (low + high) // 2
        held = holds(candidates[at])
        answers.add(held)
        low, high = (at, high) if held else (low, at)
        at, step = at + (step if held else -step), 2 * step
    return Level(candidates[max(0, low)], low >= 0)


def within_slo_ratio(run: Run, scenario: Scenario) -> float:
    """The part of the 1 s windows after the warm-up whose p95 is within the SLO."""
    moments, values = p95_series(run.requests, scenario.seconds)
    judged = values[moments >= scenario.warm_up_seconds + WINDOW_SECONDS]
    judged = judged[~np.isnan(judged)]
    if not judged.size:
        raise RunFailed(f"{scenario.name}: no requests")
    return float(np.mean(judged <= run.slo_seconds))


class Oracle:
    """Finds levels and caps on one stage; what it measures is kept in `measured`."""

    def __init__(self, stage: Stage, measured: Measured, cpus: int, tell: Tell) -> None:
        self._stage, self._tell = ValidStage(stage, tell), tell
        self._measured, self._cpus = measured, cpus

    def caps(self, scenario: Scenario, slo_seconds: float) -> Caps:
        """O3's caps. Raises RunFailed."""
        levels = self.levels(scenario, slo_seconds)
        caps: list[tuple[float, dict[str, float]]] = []
        for at, situation in situations(scenario, self._cpus) if levels else ():
            cap = _shared(levels[situation].cores, _guilty(scenario, situation))
            if not caps or caps[-1][1] != cap:
                caps.append((at, cap))
        return tuple(caps)

    def levels(self, scenario: Scenario, slo_seconds: float) -> dict[Situation, Level]:
        """B* of every situation of the scenario; empty where the answer is not to cut. Raises RunFailed."""
        levels: dict[Situation, Level] = {}
        if scenario.answer != "cut":
            return levels
        # Lighter ones first: what a heavier load leaves is not more.
        found = {situation for _, situation in situations(scenario, self._cpus)}
        for situation in sorted(found, key=lambda found: (found.loads, found.at_work)):
            most = min(
                (level.cores for light, level in levels.items() if _is_lighter(light, situation)),
                default=math.inf,
            )
            levels[situation] = self._level(scenario, situation, slo_seconds, most)
        return levels

    def _level(self, scenario: Scenario, situation: Situation, slo_seconds: float, most: float) -> Level:
        trial = constant(scenario, situation)
        told = ", ".join(f"{load:g}" for load in situation.loads)
        self._tell(f"{scenario.name}: load {told}, {' '.join(situation.at_work)} at work")
        settings = {
            "slo_seconds": slo_seconds,
            "scenario": trial.model_dump(mode="json", exclude=_TELLS_NOTHING),
        }
        floor = sum(peer.floor_cores for peer in trial.peers if peer.guilty)
        step = self._cpus / _STEPS_OF_A_MACHINE
        steps = [round(n * step, 6) for n in range(1, _STEPS_OF_A_MACHINE)]
        candidates = [floor, *(cores for cores in steps if cores > floor), math.inf]
        candidates = candidates[: bisect.bisect_right(candidates, max(most, floor))]

        def measure() -> Figures:
            level = largest(
                candidates,
                lambda cores: self._holds(trial, situation, cores, slo_seconds),
                self._cpus * (1 - sum(situation.loads)),  # what the services leave
            )
            # JSON has no infinity.
            return {"cores": None if math.isinf(level.cores) else level.cores, "holds": level.holds}

        figures = self._measured.figures(settings, measure)
        cores = math.inf if figures["cores"] is None else float(figures["cores"])
        return Level(cores, bool(figures["holds"]))

    def _holds(self, trial: Scenario, situation: Situation, cores: float, slo_seconds: float) -> bool:
        caps = ((-_AHEAD_SECONDS, _shared(cores, _guilty(trial, situation))),)
        ratios: list[float] = []
        for seed in SEEDS:
            run = self._stage.run(trial, "oracle", seed, slo_seconds=slo_seconds, caps=caps)
            ratios.append(within_slo_ratio(run, trial))
            self._tell(f"  {cores:g} cores, seed {seed}: {ratios[-1]:.0%} of the windows within the SLO")
            if np.mean([*ratios, 1.0]) < HOLDS_RATIO:
                return False  # whatever the other seed says
        return float(np.mean(ratios)) >= HOLDS_RATIO


def best_static_cores(levels: dict[Situation, Level]) -> float:
    """O2 of the same sweep: the one total at which the SLO holds in every situation; inf: no cap."""
    return min((level.cores for level in levels.values()), default=math.inf)


def _loads(scenario: Scenario, online: Online, cpus: int) -> list[tuple[float, float, float]]:
    """(from, until, load) over the scenario: the steps, or a trace's mean of each second in whole levels."""
    per_load = cpus * 1000 / online.request_ms
    at, curve = 0.0, []
    for phase in phases(scenario, online, cpus):
        curve.append((at, at + phase.seconds, round(phase.rate_per_second / per_load, 6)))
        at += phase.seconds
    return curve if online.trace is None else _by_second(curve)


def _by_second(curve: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    means = []
    for second in range(math.ceil(curve[-1][1])):
        parts = [(min(until, second + 1) - max(since, second), load) for since, until, load in curve]
        inside = [(seconds, load) for seconds, load in parts if seconds > 1e-9]
        mean = sum(seconds * load for seconds, load in inside) / sum(seconds for seconds, _ in inside)
        means.append((float(second), second + 1.0, math.ceil(round(mean * _TRACE_LEVELS, 6)) / _TRACE_LEVELS))
    return means


def _highest(curve: list[tuple[float, float, float]], start: float, end: float) -> float:
    return max((load for since, until, load in curve if since < end and until > start), default=0.0)


def _works(peer: Peer, start: float, end: float) -> bool:
    return peer.active is None or any(since < end and until > start for since, until in peer.active)


def _guilty(scenario: Scenario, situation: Situation) -> list[str]:
    return [peer.name for peer in scenario.peers if peer.guilty and peer.name in situation.at_work]


def _shared(cores: float, names: Sequence[str]) -> dict[str, float]:
    return dict.fromkeys(names, cores / len(names))


def _is_lighter(one: Situation, other: Situation) -> bool:
    return one.at_work == other.at_work and all(
        light <= heavy for light, heavy in zip(one.loads, other.loads, strict=True)
    )


def main() -> int:
    parser = options_of("python -m benchmarks.lab.oracle", __doc__)
    options = parser.parse_args()

    def tell(line: str) -> None:
        print(f"  {line}", file=sys.stderr, flush=True)

    try:
        stage = open_stage(options.stage)
        slos = Measured(options.out / SLO_FILE, stage.backend)
        kept = Measured(options.out / FILE, stage.backend, fresh=options.fresh)
        for name in options.scenarios or scenario_names():
            scenario = load_scenario(name)
            slo_seconds = calibrate(stage, scenario, slos, tell).slo_seconds
            oracle = Oracle(stage, kept, stage.cpus, tell)
            print(_report(scenario, oracle, slo_seconds), flush=True)
    except (RunFailed, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _report(scenario: Scenario, oracle: Oracle, slo_seconds: float) -> str:
    lines = [f"{scenario.name}: SLO {slo_seconds * 1000:.0f} ms"]
    levels = oracle.levels(scenario, slo_seconds)
    if not levels:
        return f"{lines[0]}; nobody is to be cut: the oracle does nothing"
    for situation, level in levels.items():
        loads = ", ".join(f"{load:g}" for load in situation.loads)
        note = "" if level.holds else " (the floor; the SLO does not hold there)"
        lines.append(f"  load {loads} beside {' '.join(situation.at_work)}: {level.cores:g} cores{note}")
    lines.append(f"  best static: {best_static_cores(levels):g} cores")
    for at, cap in oracle.caps(scenario, slo_seconds):
        lines.append(f"  from {at:g} s: {', '.join(f'{name} {cores:g}' for name, cores in cap.items())}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
