"""The simulator held against the kernel: `python -m benchmarks.lab.compare`.

For each valid real run that is kept (reports/lab/runs) the same is simulated, and the p95 of the surge, the
time to recover and the offline work are set beside each other, in reports/lab/simulator.md. With --measure
the traits of kernel and programs (benchmarks/lab/traits.json) are measured anew on these runs first.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks.lab.comparison import Comparison, compare, page, unit_cost_seconds, victims_share
from benchmarks.lab.run import Run
from benchmarks.lab.simulated import SimulatedStage
from benchmarks.lab.store import Record, Store
from benchmarks.lab.traits import Pair, Traits, keep_traits, kept_traits, measure
from controller.demo.report import commit, machine

OUT = Path("reports/lab")
DOCS = Path("docs/simulator.md")
# It needs caps, which a kept run does not tell.
_NOT_SIMULATED = ("oracle",)
_ALWAYS = ("none", "alone")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: compared; 2: there was nothing to compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lab.compare", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help=f"where the runs are; default: {OUT}")
    parser.add_argument("--scenarios", default="*", metavar="PATTERN")
    parser.add_argument("--controllers", default="*", metavar="PATTERN", help="only these, none and alone")
    parser.add_argument("--measure", action="store_true", help="measure the traits on these runs first")
    parser.add_argument("--docs", action="store_true", help=f"also write {DOCS}")
    options = parser.parse_args(arguments)
    try:
        found = _real_runs(Store(options.out / "runs").records(), options)
        if not found:
            raise ValueError(f"no valid real runs in {options.out / 'runs'}: python -m benchmarks.lab run")
        if options.measure:
            _tell("measuring the traits")
            keep_traits(measure(found, _simulate), _measured_on(found))
        text = _compare_all(found, kept_traits())
        for file in [options.out / "simulator.md", *([DOCS] if options.docs else [])]:
            file.write_text(text)
            print(file)
    except (OSError, ValueError) as error:
        _tell(f"compare: {error}")
        return 2
    return 0


def _compare_all(found: Sequence[Pair], traits: Traits) -> str:
    comparisons: list[Comparison] = []
    shares = []
    for name in sorted({scenario.name for _, scenario in found}):
        of_scenario = [pair for pair in found if pair[1].name == name]
        unit_seconds = unit_cost_seconds(of_scenario)
        nones = {
            run.seed: (run, _simulate((run, s), traits)) for run, s in of_scenario if run.controller == "none"
        }
        if of_scenario[0][1].answer == "cut":
            shares += [victims_share((real, of_scenario[0][1])) for real, _ in nones.values()]
        for run, scenario in of_scenario:
            _tell(f"{name} {run.controller} seed {run.seed}")
            pair = (run, scenario)
            comparisons.append(compare(pair, _simulate(pair, traits), nones.get(run.seed), unit_seconds))
    return page(comparisons, traits, shares, f"Commit {commit()}, {machine()}.")


def _real_runs(records: Iterable[Record], options: argparse.Namespace) -> list[Pair]:
    return [
        (record.load(), record.scenario)
        for record in records
        if record.valid
        and record.backend != "simulated"
        and record.controller not in _NOT_SIMULATED
        and fnmatchcase(record.scenario.name, options.scenarios)
        and (record.controller in _ALWAYS or fnmatchcase(record.controller, options.controllers))
    ]


def _simulate(pair: Pair, traits: Traits) -> Run:
    run, scenario = pair
    stage = SimulatedStage(run.cpus, traits)
    return stage.run(scenario, run.controller, run.seed, slo_seconds=run.slo_seconds)


def _measured_on(found: Sequence[Pair]) -> dict[str, object]:
    used = sorted({f"{scenario.name} {run.controller} seed {run.seed}" for run, scenario in found})
    return {"machine": machine(), "commit": commit(), "runs": used}


def _tell(message: str) -> None:
    print(message, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
