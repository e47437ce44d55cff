"""`quotapilot tune`: gains that cost less, and what they gain on what the search did not see."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.config import Config
    from controller.tuning.gain import Gain
    from controller.tuning.search import Found, Progress
    from controller.tuning.situation import Situation
    from controller.tuning.space import Key

HELD_OUT_SEEDS = 1000  # far from those of the search


def add_tune(commands: Any) -> None:
    """Add the command and its options to the parser's sub-commands."""
    tune = commands.add_parser(
        "tune",
        help="search gains on simulated situations or on a recording; prints a configuration",
        description="Searches gains (differential evolution, bounded, seeded) that lower the cost: violation "
        "seconds + lambda * core-seconds of batch work lost + mu * writes. It plays simulated situations, or "
        "the twin of a recording: the recorded load on a simulated node, of which the last 30 %% is kept for "
        "judging. Prints a piece of configuration and what it gains on arrivals that the search did not see, "
        "with a 95 %% interval; and says so where that is no gain. Ctrl-C ends with the best so far.",
    )
    source = tune.add_mutually_exclusive_group()
    source.add_argument(
        "--scenario", type=Path, metavar="FILE", help="situations as in config/situations.yaml"
    )
    source.add_argument("--recording", type=Path, metavar="FILE", help="tune on the twin of this recording")
    tune.add_argument("--container", help="which container of the recording, where several have an SLO")
    tune.add_argument("--config", type=Path, help="where to begin; default: the defaults")
    tune.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="KEY=LOW:HIGH",
        help="tune this key within this range, times in seconds; may be repeated; default: seven gains",
    )
    tune.add_argument("--seeds", type=int, default=2, help="arrivals that each evaluation plays, default: 2")
    tune.add_argument("--held-out", type=int, default=5, help="arrivals to judge by, default: 5")
    tune.add_argument("--evaluations", type=int, default=150, help="at most so many, default: 150")
    tune.add_argument("--minutes", type=float, default=10.0, help="at most so long, default: 10")
    tune.add_argument("--seed", type=int, default=1, help="of search and arrivals, default: 1")
    tune.add_argument("--lambda", dest="core_second", type=float, default=0.1, help="default: 0.1")
    tune.add_argument("--mu", dest="write", type=float, default=0.02, help="default: 0.02")
    tune.add_argument("--json", action="store_true", help="print JSON at the end")
    tune.set_defaults(command=run_tune)


def run_tune(options: argparse.Namespace) -> int:
    """Search, judge, print; its exit code."""
    from backends.recording.reader import RecordingError
    from controller.config import Config, ConfigError, load
    from controller.tuning.situation import SituationError
    from controller.tuning.space import DEFAULT_KEYS, SpaceError, key_of

    logging.basicConfig(level=logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    for name in ("seeds", "held_out", "evaluations"):
        if getattr(options, name) < 1:
            return _fail(f"--{name.replace('_', '-')}: must be at least 1")
    try:
        config = load(options.config) if options.config else Config()
        keys = [key_of(text, config) for text in options.key] or list(DEFAULT_KEYS)
        train, test = _situations(options, config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except (SituationError, RecordingError, SpaceError) as error:
        return _fail(error)
    return _tune(options, config.model_copy(update={"dry_run": False}), keys, train, test)


def _situations(
    options: argparse.Namespace, config: Config
) -> tuple[Sequence[Situation], Sequence[Situation]]:
    """What to tune on, and what to judge by."""
    from controller.tuning.situation import built_in, load_situations

    if options.recording is None:
        found = load_situations(options.scenario) if options.scenario else built_in()
        return found, found  # judged with other arrivals
    from backends.recording.reader import Recording
    from controller.tuning.outcome import without_control
    from controller.tuning.twin import twins, whole

    train, test, recorded, seconds = twins(Recording(options.recording), options.container)
    twin = without_control(whole(train, test), options.seed)
    _say(f"recorded: {recorded:.0f} of {seconds:.0f} s over the SLO; its twin without control: {twin:.0f} s")
    if abs(twin - recorded) > 0.3 * max(recorded, 10.0):
        _say("note: the twin is not like the recording, so what is tuned on it may not hold there")
    return (train,), (test,)


def _tune(
    options: argparse.Namespace,
    config: Config,
    keys: Sequence[Key],
    train: Sequence[Situation],
    test: Sequence[Situation],
) -> int:
    from controller.config import ConfigError
    from controller.tuning.gain import gain_of
    from controller.tuning.outcome import Player, Weights
    from controller.tuning.search import search
    from controller.tuning.space import configured, value_of

    player, weights = Player(), Weights(options.core_second, options.write)

    def costs(tried: Config, on: Sequence[Situation], seeds: range) -> list[float]:
        return [player.play(one, seed, tried).cost(weights) for one in on for seed in seeds]

    def cost(values: Sequence[float]) -> float:
        try:
            found = costs(configured(config, keys, values), train, _seeds(options.seed, options.seeds))
        except ConfigError:  # keys that contradict each other
            return 1e6
        return sum(found) / len(found)

    start = [value_of(config, key) for key in keys]
    budget = options.minutes * 60
    show = _Show(options.evaluations, budget)
    found = search(
        cost, keys, start, options.seed, options.evaluations, budget, time.monotonic, show.progress
    )
    show.end()
    _say("judging on arrivals that the search did not see")
    seeds = _seeds(HELD_OUT_SEEDS + options.seed, options.held_out)
    best = configured(config, keys, found.values)
    gain = gain_of(costs(config, test, seeds), costs(best, test, seeds), options.seed)
    _tell(options, config, keys, found, gain)
    return 0


def _seeds(first: int, count: int) -> range:
    return range(first, first + count)


def _tell(options: argparse.Namespace, config: Config, keys: Sequence[Key], found: Found, gain: Gain) -> None:
    import yaml

    from controller.tuning.space import fragment, value_of

    moved = [n for n, key in enumerate(keys) if found.values[n] != value_of(config, key)]
    piece = fragment(config, [keys[n] for n in moved], [found.values[n] for n in moved])
    result = {
        "configuration": piece,
        "ended": found.ended,
        "evaluations": found.evaluations,
        "cost_before": found.start_cost,
        "cost_after": found.cost,
        "gain": gain.mean,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "gain_pairs": gain.pairs,
        "gain_proven": gain.proven,
    }
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(
        f"# {found.evaluations} evaluations ({found.ended}); cost {found.start_cost:.2f} -> {found.cost:.2f}"
    )
    interval = f"{gain.mean:.2f} a run, 95 % interval {gain.low:.2f} to {gain.high:.2f}, {gain.pairs} pairs"
    print(f"# on what the search did not see: gain {interval}")
    if not gain.proven:
        print("# that is no gain: keep the configuration you have")
    print(yaml.safe_dump(piece, sort_keys=False) if piece else "# nothing cheaper was found\n", end="")


class _Show:
    """Progress on stderr: one line, renewed on a terminal, else one for every tenth evaluation."""

    def __init__(self, evaluations: int, seconds: float) -> None:
        self._evaluations, self._seconds = evaluations, seconds

    def progress(self, now: Progress) -> None:
        """One evaluation more."""
        per_evaluation = now.elapsed_seconds / now.evaluations
        by_count = (self._evaluations - now.evaluations) * per_evaluation
        left = max(0.0, min(by_count, self._seconds - now.elapsed_seconds))
        line = f"{now.evaluations} of {self._evaluations}: best cost {now.best_cost:.2f}, {left:.0f} s left"
        if sys.stderr.isatty():
            print(f"\r{line}   ", end="", file=sys.stderr, flush=True)
        elif now.evaluations % 10 == 1:
            _say(line)

    def end(self) -> None:
        """No more of it."""
        if sys.stderr.isatty():
            print(file=sys.stderr)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _fail(message: object) -> int:
    print(f"quotapilot: {message}", file=sys.stderr)
    return 1
