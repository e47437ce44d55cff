"""The lab's command line: `python -m benchmarks.lab run | report`."""

from __future__ import annotations

import argparse
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks.lab.campaign import Campaign
from benchmarks.lab.page import summary
from benchmarks.lab.plan import load_plan
from benchmarks.lab.preparation import Prepared
from benchmarks.lab.report import DOCS, places_in, report_rows, report_runs
from benchmarks.lab.scenario import load_scenario, scenario_names
from benchmarks.lab.stages import STAGES, open_stage
from benchmarks.lab.store import Store
from benchmarks.lab.terminal import left, screen
from controller.demo.report import commit, machine

OUT = {"real": Path("reports/lab"), "simulated": Path("reports/lab-simulated")}
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: every cell has a valid run; 1: not; 2: nothing could be done; 130: interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options) if options.command == "run" else _report(options)
    except (OSError, ValueError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a plan; what is on disk already is not run again")
    run.add_argument(
        "--plan", default="short", help="of benchmarks/lab/plans, or a .yaml file; default: short"
    )
    run.add_argument("--stage", choices=STAGES, default="real", help="real cgroups (as root), or simulated")
    run.add_argument("--scenarios", default="*", metavar="PATTERN", help="only these of the plan")
    run.add_argument(
        "--controllers", default="*", metavar="PATTERN", help='only these and "none" of the plan'
    )
    run.add_argument("--seeds", type=_seeds, metavar="N,N,...", help="only these of the plan")
    run.add_argument("--slo", type=float, metavar="SECONDS", help="instead of the calibrated one; kept apart")
    run.add_argument(
        "--fresh",
        nargs="?",
        const="*",
        metavar="CONTROLLERS",
        help="forget the plan's runs on disk first; of these controllers only, if given (a pattern)",
    )
    run.add_argument("--list", action="store_true", help="show what would be run, and for how long")
    report = commands.add_parser("report", help="write the report anew from the runs on disk; runs nothing")
    report.add_argument(
        "--from", dest="rows", type=Path, metavar="FILE", help="from figures (JSON lines) instead"
    )
    report.add_argument("--docs", action="store_true", help="also write the page and its data in docs/")
    for command in (run, report):
        command.add_argument("--out", type=Path, help=f"default: {OUT['real']}, simulated {OUT['simulated']}")
    return parser


def _run(options: argparse.Namespace) -> int:
    plan = load_plan(options.plan)
    scenarios = {name: load_scenario(name) for name in scenario_names()}
    # Runs with another SLO can't be compared with the others.
    apart = "" if options.slo is None else f"-slo-{options.slo:g}"
    out = options.out or OUT[options.stage].with_name(OUT[options.stage].name + apart)
    store = Store(out / "runs")
    stage = open_stage(options.stage)
    with screen() as shown:
        campaign = Campaign(
            plan,
            stage,
            Prepared(stage, out, shown.measuring, options.slo),
            store,
            scenarios=scenarios,
            wanted=lambda *cell: _is_wanted(options, *cell),
            commit=commit(),
            machine=machine(),
            started=shown.started,
        )
        if options.list:
            print("\n".join(campaign.titles))
            print(f"{len(campaign.titles)} runs, {left(campaign.seconds_left())}")
            return 0
        if options.fresh is not None:
            campaign.forget(lambda controller: fnmatchcase(controller, options.fresh))
        try:
            for outcome in campaign.run():
                shown.ended(outcome)
        except KeyboardInterrupt:
            print(f"interrupted: {campaign.tally}; the same command goes on from here", file=sys.stderr)
            return INTERRUPTED
    print(campaign.tally)
    rows = report_runs(out, [places_in(out)], _warn)
    print(f"{summary(rows)}\nreport: {places_in(out).page}, {places_in(out).report}")
    return 1 if campaign.tally.lost else 0


def _is_wanted(options: argparse.Namespace, scenario: str, controller: str, seed: int) -> bool:
    return (
        fnmatchcase(scenario, options.scenarios)
        and (controller == "none" or fnmatchcase(controller, options.controllers))
        and (options.seeds is None or seed in options.seeds)
    )


def _report(options: argparse.Namespace) -> int:
    out = options.out or OUT["real"]
    places = ([] if options.rows else [places_in(out)]) + ([DOCS] if options.docs else [])
    if not places:
        raise ValueError("--from needs --docs: it writes that page")
    rows = report_rows(options.rows, places) if options.rows else report_runs(out, places, _warn)
    print(f"{summary(rows)}\n{len(rows)} runs; {', '.join(str(place.page) for place in places)}")
    return 0


def _seeds(told: str) -> tuple[int, ...]:
    return tuple(int(part) for part in told.split(","))


def _warn(message: str) -> None:
    print(f"lab: {message}", file=sys.stderr)
