"""Does the learner pay? `python -m benchmarks.lab.learner_trial`, on the simulated node.

It learns on some scenarios and seeds, goes on from what it has learnt on others, and is compared there with
fixed gains, run by run on the same arrivals. Beside it stand its two bounds as fixed gains: what always being
that gentle or that bold would do. Prints mean paired differences with bootstrap 95 % intervals, and leaves
every run in reports/learner/report.json.

It pays where one of violation seconds and offline work is better, its interval without zero, and the other
not worse, and that on held-out scenarios as well as on other seeds of the trained ones.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lab.calibrate import calibrate
from benchmarks.lab.measured import Measured
from benchmarks.lab.run import Run
from benchmarks.lab.scenario import Scenario, load_scenario
from benchmarks.lab.simulated import SimulatedStage
from controller.cases import learner_settings_of
from controller.config import Config
from controller.demo import figures
from controller.demo.report import commit, machine
from models.learner import Learner

OUT = Path("reports/learner")
TRAINED = ("s1-offline-step", "s2-online-steps", "s4-onoff-10")
HELD_OUT = ("s3-trace", "s4-onoff-60", "s13-kubepods", "s14-burst-5s")
FIRST_TRAINING_SEED, FIRST_TEST_SEED = 7001, 8001
RESAMPLES = 10_000

FIXED, LEARNER, GENTLE, BOLD = "fixed", "learner", "always-gentle", "always-bold"


@dataclass(frozen=True)
class Trial:
    """One run's figures. `offline_work` in CPU seconds; `changes` of limits, by all."""

    scenario: str
    held_out: bool
    seed: int
    gains: str
    violation_seconds: float
    offline_work: float
    changes: int


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences to fixed gains, with its bootstrap 95 % interval."""

    mean: float
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def difference(values: Sequence[float], seed: int = 1) -> Difference:
    """Of at least one pair."""
    data = np.asarray(values, np.float64)
    draws = np.random.default_rng(seed).integers(0, data.size, (RESAMPLES, data.size))
    low, high = np.percentile(data[draws].mean(axis=1), [2.5, 97.5])
    return Difference(float(data.mean()), float(low), float(high), data.size)


def pays(violation: Difference, work: Difference) -> bool:
    """One is better, the other not worse, by their intervals."""
    better = violation.high < 0 or work.low > 0
    worse = violation.low > 0 or work.high < 0
    return better and not worse


def train(settings: dict[str, Any], seeds: int, slo_of: Callable[[Scenario], float], variant: str) -> Learner:
    """A learner after `seeds` runs of each training scenario, in turn."""
    learner = Learner(learner_settings_of(Config.model_validate({"learner": settings})))
    stage = SimulatedStage(config={"learner": {"enabled": True, **settings}}, learner=learner)
    for seed in range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + seeds):
        for name in TRAINED:
            scenario = load_scenario(name)
            stage.run(scenario, variant, seed, slo_seconds=slo_of(scenario))
            _tell(f"trained on {name}, seed {seed}")
    return learner


def test(
    learner: Learner, settings: dict[str, Any], seeds: int, slo_of: Callable[[Scenario], float], variant: str
) -> list[Trial]:
    """Fixed gains, the learner from the same state each time, and its bounds, on each scenario and seed."""
    config = Config.model_validate({"learner": settings})
    found = []
    for name in (*HELD_OUT, *TRAINED):
        scenario = load_scenario(name)
        for seed in range(FIRST_TEST_SEED, FIRST_TEST_SEED + seeds):
            stages = {
                FIXED: SimulatedStage(config={"learner": {"enabled": False}}),
                LEARNER: SimulatedStage(
                    config={"learner": {"enabled": True, **settings}}, learner=deepcopy(learner)
                ),
                GENTLE: SimulatedStage(config=_always(config, config.learner.factor_min)),
                BOLD: SimulatedStage(config=_always(config, config.learner.factor_max)),
            }
            for gains, stage in stages.items():
                run = stage.run(scenario, variant, seed, slo_seconds=slo_of(scenario))
                found.append(_judged(run, scenario, gains))
                _tell(f"{name}, seed {seed}, {gains}: {found[-1].violation_seconds:.1f} s in violation")
    return found


def compared(trials: Sequence[Trial], gains: str, against: str = FIXED) -> dict[str, Difference]:
    """Differences between two kinds of gains over all pairs: violation seconds, offline work, changes."""
    other = {(trial.scenario, trial.seed): trial for trial in trials if trial.gains == against}
    pairs = [(trial, other[trial.scenario, trial.seed]) for trial in trials if trial.gains == gains]
    return {
        key: difference([getattr(ours, key) - getattr(theirs, key) for ours, theirs in pairs])
        for key in ("violation_seconds", "offline_work", "changes")
    }


def table(trials: Sequence[Trial]) -> str:
    """All comparisons, in Markdown."""
    lines = [
        "| gains | where | pairs | violation seconds | offline work, CPU s | changes |",
        "|---|---|--:|--:|--:|--:|",
    ]
    parts: list[tuple[str, list[Trial]]] = [
        ("held-out scenarios", [t for t in trials if t.held_out]),
        ("trained scenarios, other seeds", [t for t in trials if not t.held_out]),
    ]
    names = dict.fromkeys(trial.scenario for trial in trials)
    parts += [(name, [t for t in trials if t.scenario == name]) for name in names]
    for gains, against in ((LEARNER, FIXED), (GENTLE, FIXED), (BOLD, FIXED), (LEARNER, BOLD)):
        for where, some in parts:
            if some:
                found = compared(some, gains, against)
                cells = " | ".join(str(value) for value in found.values())
                lines.append(f"| {gains} - {against} | {where} | {found['changes'].pairs} | {cells} |")
    return "\n".join(lines)


def _always(config: Config, factor: float) -> dict[str, Any]:
    control = config.control
    return {
        "learner": {"enabled": False},
        "control": {
            "gain": control.gain * factor,
            "step_max_ratio": min(1.0, max(control.step_min_ratio, control.step_max_ratio * factor)),
        },
    }


def _judged(run: Run, scenario: Scenario, gains: str) -> Trial:
    moments, values = figures.p95_series(run.requests, scenario.seconds)
    judged = moments >= scenario.warm_up_seconds + figures.WINDOW_SECONDS
    peers = [run.groups[peer.name] for peer in scenario.peers]
    return Trial(
        scenario=scenario.name,
        held_out=scenario.name in HELD_OUT,
        seed=run.seed,
        gains=gains,
        violation_seconds=figures.violation_seconds(moments[judged], values[judged], run.slo_seconds),
        offline_work=float(sum(peer.work_units[-1] - peer.work_units[0] for peer in peers)),
        changes=sum(int((np.diff(np.nan_to_num(p.limit_cores, posinf=-1.0)) != 0).sum()) for p in peers),
    )


def main() -> int:
    """Train, test, print the table and the verdict."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lab.learner_trial",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--training-seeds", type=int, default=10, help="runs of each (%(default)s)")
    parser.add_argument("--test-seeds", type=int, default=6, help="of each scenario (%(default)s)")
    parser.add_argument("--variant", default="quotapilot", help="the configuration (%(default)s)")
    parser.add_argument(
        "--set", type=json.loads, default={}, metavar="JSON", help='of section learner: {"cores_cost": 0.2}'
    )
    parser.add_argument("--out", type=Path, default=OUT, help="where report.json goes (%(default)s)")
    options = parser.parse_args()
    if options.training_seeds < 1 or options.test_seeds < 1:
        parser.error("at least one seed to train and one to test with")
    measured = Measured(options.out / "slo.json", SimulatedStage.backend)
    slos: dict[str, float] = {}

    def slo_of(scenario: Scenario) -> float:
        if scenario.name not in slos:
            slos[scenario.name] = calibrate(SimulatedStage(), scenario, measured, _tell).slo_seconds
        return slos[scenario.name]

    try:
        learner = train(options.set, options.training_seeds, slo_of, options.variant)
        trials = test(learner, options.set, options.test_seeds, slo_of, options.variant)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    results = {
        "held-out scenarios": compared([trial for trial in trials if trial.held_out], LEARNER),
        "other seeds": compared([trial for trial in trials if not trial.held_out], LEARNER),
    }
    paid = {
        where: pays(found["violation_seconds"], found["offline_work"]) for where, found in results.items()
    }
    options.out.mkdir(parents=True, exist_ok=True)
    report = {
        "commit": commit(),
        "machine": machine(),
        "variant": options.variant,
        "settings": options.set,
        "training_seeds": options.training_seeds,
        "learnt": learner.table(),
        "pays": all(paid.values()),
        "differences": {
            where: {key: asdict(value) for key, value in found.items()} for where, found in results.items()
        },
        "trials": [asdict(trial) for trial in trials],
    }
    (options.out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    print(table(trials))
    print("\nlearnt:", *(f"  {row}" for row in learner.table()), sep="\n")
    print()
    for where, does in paid.items():
        print(f"on {where} the learner {'pays' if does else 'does not pay'}")
    return 0


def _tell(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
