"""Is a dry run's estimate of its worth true? `python -m benchmarks.lab.shadow_check [SCENARIO ...]`

Runs each scenario twice with the same arrivals: as a dry run, which says what an active agent would save and
take, and with the active agent, which shows it.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.lab.run import Run, Stage
from benchmarks.lab.scenario import SCENARIOS, load_scenario

DRY, ACTIVE = "quotapilot-dry-run", "quotapilot"
LEAST_SECONDS = 3.0  # a ratio of less says nothing


@dataclass(frozen=True, slots=True)
class Check:
    """One pair of runs. Violation seconds are one-second windows of arrivals whose p95 is over the SLO; what
    is taken is the peers' CPU time without the agent less that with it."""

    scenario: str
    seed: int
    violation_seconds: float
    saved_seconds_expected: float
    saved_seconds: float
    taken_core_seconds_expected: float
    taken_core_seconds: float


def check(stage: Stage, scenario_name: str, seed: int, slo_seconds: float) -> Check:
    """Run a pair and compare. Raises RunFailed."""
    scenario = load_scenario(scenario_name)
    dry = stage.run(scenario, DRY, seed, slo_seconds=slo_seconds)
    active = stage.run(scenario, ACTIVE, seed, slo_seconds=slo_seconds)
    worth = next(event for event in reversed(dry.events) if event["kind"] == "shadow")
    peers = [peer.name for peer in scenario.peers]
    return Check(
        scenario=scenario_name,
        seed=seed,
        violation_seconds=violation_seconds(dry),
        saved_seconds_expected=worth["node"]["violation_minutes_saved"] * 60,
        saved_seconds=violation_seconds(dry) - violation_seconds(active),
        taken_core_seconds_expected=sum(worth["containers"][name]["core_hours_taken"] for name in peers)
        * 3600,
        taken_core_seconds=sum(_used(dry, name) - _used(active, name) for name in peers),
    )


def violation_seconds(run: Run) -> float:
    """Whole seconds of arrivals whose 95th percentile is over the SLO."""
    second = np.floor(run.requests.intended_seconds)
    late = [
        float(np.percentile(run.requests.latency_seconds[second == at], 95)) > run.slo_seconds
        for at in np.unique(second)
    ]
    return float(sum(late))


def _used(run: Run, name: str) -> float:
    usage = run.groups[name].usage_seconds
    return float(usage[-1] - usage[0])


def ratios(checks: list[Check], expected: str, actual: str) -> list[float]:
    """Expected over actual, of the pairs in which there was anything to speak of."""
    pairs = [(getattr(one, expected), getattr(one, actual)) for one in checks]
    return [wanted / found for wanted, found in pairs if found >= LEAST_SECONDS]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lab.shadow_check", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="default: all there are")
    parser.add_argument("--seeds", type=int, default=2, help="pairs of runs of each, default: 2")
    parser.add_argument("--slo", type=float, default=0.25, help="seconds, default: 0.25")
    parser.add_argument("--real", action="store_true", help="on real cgroups, as root; takes minutes a pair")
    parser.add_argument("--out", type=Path, default=Path("reports/lab/shadow.json"))
    options = parser.parse_args()
    names = options.scenarios or sorted(path.stem for path in SCENARIOS.glob("*.yaml"))
    stage = _stage(options.real)
    checks = []
    print("scenario                seed  violated  saved: expected  actual   taken: expected  actual")
    for name in names:
        for seed in range(1, options.seeds + 1):
            one = check(stage, name, seed, options.slo)
            checks.append(one)
            print(
                f"{name:24}{seed:4}{one.violation_seconds:10.0f}"
                f"{one.saved_seconds_expected:17.1f}{one.saved_seconds:8.0f}"
                f"{one.taken_core_seconds_expected:18.1f}{one.taken_core_seconds:8.1f}",
                flush=True,
            )
    report = {"backend": stage.backend, "checks": [asdict(one) for one in checks]}
    for what in ("saved_seconds", "taken_core_seconds"):
        found = ratios(checks, f"{what}_expected", what)
        if found:
            report[f"{what}_ratio_median"] = float(np.median(found))
            low, middle, high = np.percentile(found, [10, 50, 90])
            print(
                f"{what}: expected / actual {middle:.2f} (median of {len(found)} pairs; "
                f"80 % of them {low:.2f} to {high:.2f})"
            )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def _stage(real: bool) -> Stage:
    if real:
        from benchmarks.lab.stage import RealStage

        return RealStage()
    from benchmarks.lab.simulated import SimulatedStage

    return SimulatedStage()


if __name__ == "__main__":
    sys.exit(main())
