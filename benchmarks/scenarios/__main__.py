"""Run the scenarios on the real kernel: `python -m benchmarks.scenarios [NAME ...]`. As root."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.scenarios.run import run_scenario
from benchmarks.scenarios.table import SCENARIOS
from controller.demo.report import commit, machine
from controller.demo.work import calibrate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scenarios", description=__doc__)
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--rounds", type=int, default=1, help="how often each is run, with other arrivals")
    parser.add_argument("--out", type=Path, default=Path("reports/scenarios/report.json"))
    options = parser.parse_args()
    if unknown := set(options.names) - set(names):
        parser.error(f"no scenario of that name: {', '.join(sorted(unknown))}")
    speed = calibrate()
    wrong = 0
    rows = []
    for number in range(options.rounds):
        for scenario in SCENARIOS:
            if options.names and scenario.name not in options.names:
                continue
            outcome, figures = run_scenario(scenario, speed, seed=number + 1)
            right = scenario.is_right(outcome)
            wrong += not right
            print(
                f"{'right' if right else 'WRONG'}  {scenario.name}: {scenario.what}; {scenario.right}\n"
                f"       limit changes: online {outcome.online_limit_changes}, "
                f"offline {outcome.offline_limit_changes}; restored: {outcome.restored}; "
                f"alerts: {', '.join(sorted(outcome.alerts)) or 'none'}",
                flush=True,
            )
            rows.append(
                {
                    "scenario": scenario.name,
                    "seed": number + 1,
                    "right": right,
                    "online_limit_changes": outcome.online_limit_changes,
                    "offline_limit_changes": outcome.offline_limit_changes,
                    "restored": outcome.restored,
                    "alerts": sorted(outcome.alerts),
                    **figures,
                }
            )
    report = {"runs": rows, "wrong_actions": wrong, "commit": commit(), "machine": machine()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n")
    print(f"{len(rows) - wrong} of {len(rows)} right; report: {options.out}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
