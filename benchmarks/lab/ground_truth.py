"""Who really is to blame: `python -m benchmarks.lab.ground_truth SCENARIO`, the victim with each peer alone.

A guilty peer must raise the victim's p95 by more than 20 %, an innocent one by less than 5 %, against the
victim alone, with the same arrivals: medians over seeds.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from benchmarks.lab.run import Run, RunFailed, Stage
from benchmarks.lab.scenario import Peer, Scenario, load_scenario
from benchmarks.lab.stages import open_stage
from controller.demo.figures import p95

GUILTY_RATIO, INNOCENT_RATIO = 0.20, 0.05
SEEDS = (8001, 8002, 8003)
"""Not those that controllers are judged or tuned with."""

_NO_SLO_SECONDS = 1.0  # nobody controls, so it is not used


def with_peer(scenario: Scenario, peer: Peer) -> Scenario:
    """The scenario with this peer as the only one."""
    return scenario.model_copy(update={"peers": (peer,)})


def p95_of(run: Run, scenario: Scenario) -> float:
    """The p95 of all requests of the surge, in seconds; NaN without any."""
    intended, (start, end) = run.requests.intended_seconds, scenario.surge_seconds
    return p95(run.requests.latency_seconds[(intended >= start) & (intended < end)])


def harm_ratio(alone_seconds: list[float], with_peer_seconds: list[float]) -> float:
    """By what part the p95 is higher: the median over seeds, each against the same seed alone."""
    return statistics.median(
        beside / alone - 1 for alone, beside in zip(alone_seconds, with_peer_seconds, strict=True)
    )


def is_as_said(peer: Peer, harm: float) -> bool:
    """Whether a peer does what the scenario says of it."""
    return harm > GUILTY_RATIO if peer.guilty else harm < INNOCENT_RATIO


def measure(stage: Stage, scenario: Scenario, seeds: tuple[int, ...]) -> dict[str, float]:
    """The harm that each peer does alone, by name. Raises RunFailed."""

    def p95s(played: Scenario, controller: str) -> list[float]:
        found = []
        for seed in seeds:
            run = stage.run(played, controller, seed, slo_seconds=_NO_SLO_SECONDS)
            found.append(p95_of(run, played))
            who = "alone" if controller == "alone" else played.peers[0].name
            print(f"  {who}, seed {seed}: p95 {found[-1] * 1000:.0f} ms", flush=True)
        return found

    alone = p95s(scenario, "alone")
    return {peer.name: harm_ratio(alone, p95s(with_peer(scenario, peer), "none")) for peer in scenario.peers}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lab.ground_truth", description=__doc__)
    parser.add_argument("scenario")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), choices=range(1, len(SEEDS) + 1))
    parser.add_argument("--seconds", type=float, help="shorter than the scenario, for a first look")
    options = parser.parse_args()
    try:
        scenario = load_scenario(options.scenario)
        if options.seconds is not None:
            scenario = _shortened(scenario, options.seconds)
        harm = measure(open_stage("real"), scenario, SEEDS[: options.seeds])
    except (ValueError, RunFailed, OSError) as error:
        print(f"ground_truth: {error}", file=sys.stderr)
        return 1
    wrong = 0
    for peer in scenario.peers:
        right = is_as_said(peer, harm[peer.name])
        wrong += not right
        said = "guilty" if peer.guilty else "innocent"
        print(f"{'as said' if right else 'NOT SO'}  {peer.name}: {harm[peer.name]:+.0%}, said to be {said}")
    return 1 if wrong else 0


def _shortened(scenario: Scenario, seconds: float) -> Scenario:
    return Scenario.model_validate(
        scenario.model_dump() | {"seconds": seconds, "surge_seconds": (scenario.surge_seconds[0], seconds)}
    )


if __name__ == "__main__":
    sys.exit(main())
