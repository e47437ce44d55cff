"""Who is hurt: trigger rules over the window, and the registry for rules that users plug in.

A rule fires when the *low* percentile of its window is above the threshold: nearly all of the window was
bad, so that one spike never moves a limit. That is counted in time, and time of which nothing is known was
not bad: a container that has just started with a burst has no bad window yet. It is clear when the matching
*high* percentile of the hold time is below the clear threshold: nearly all that was seen of it was good. In
between it is neither. A metric that is stale or has too few samples fires nothing; once the whole hold time
brought no value, it is clear.
"""

from __future__ import annotations

import importlib
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol

import numpy as np

from controller.config import Config, ConfigError, RuleConfig
from models.container import BoolArray, FloatArray
from models.observation import Observation
from models.rates import METRICS, NODE

ENTRY_POINT_GROUP = "quotapilot.rules"
FAILURES_BEFORE_CUT_OFF = 3
FORGIVEN_AFTER_SECONDS = 600.0  # a failure now and then, of an agent that runs for months

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What a rule says of every row (all containers, then the node).

    `fired`: pressured. `unclear`: not well yet, or not for long enough. `signal` is the present value of what
    it watches, `target` the value it should be under; both NaN where the rule has nothing to say.
    """

    fired: BoolArray
    unclear: BoolArray
    signal: FloatArray
    target: FloatArray


class Rule(Protocol):
    """A rule. One of your own is built as `YourRule(name, RuleConfig)` and must not touch files or clocks.

    `rules.NAME.use` says where it is: the name of an entry point in the group `quotapilot.rules`, or
    "package.module:Class". One that raises, or returns what can't be used, is cut off.
    """

    name: str
    metric: str

    def evaluate(self, seen: Observation) -> RuleResult:
        """Judge all rows at once; it sees the last minute in `seen.history`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The worst rule that fires for a container, and the numbers it fired on."""

    rule: str
    metric: str
    signal: float
    target: float

    @property
    def error(self) -> float:
        """ln(signal / target): 0 at the target, 0.7 at twice it."""
        return float(np.log(max(self.signal, 1e-9) / max(self.target, 1e-9)))


@dataclass(frozen=True, slots=True)
class Findings:
    """What all rules together say: the worst that fires per container, and who is not well yet."""

    fired: Mapping[str, Finding]
    unclear: frozenset[str]


class ThresholdRule:
    """The built-in rule: a metric's percentile against a threshold, absolute or relative.

    A healthy baseline is the median of the last minute in which the rule neither fired nor was unclear. It
    falls at once and at most doubles in an hour, so that what gets worse slowly is not taken for healthy.
    """

    BASELINE_PERCENTILE = 50.0
    BASELINE_DOUBLES_IN_SECONDS = 3600.0

    def __init__(self, name: str, config: RuleConfig, baseline_seconds: float = 60.0) -> None:
        self.name = name
        self.metric: str = config.metric
        self._config = config
        self._baseline_seconds = baseline_seconds
        self._baseline: dict[str, float] = {}
        self._learned_at_seconds = -math.inf

    def evaluate(self, seen: Observation) -> RuleResult:
        """See the module's comment."""
        config = self._config
        scale = np.where(self._applies(seen), self._scale(seen), np.nan)
        threshold = np.maximum(config.threshold * scale, config.minimum)
        clear_threshold = np.maximum(config.clear_threshold * scale, config.minimum)
        recent = seen.recent(config.metric)
        high = recent
        if config.hold > 0:
            # Whatever was seen counts: a source that pauses for a moment has not cleared anything.
            high = seen.percentile(config.metric, 100 - config.percentile, config.hold, coverage=0.0)
        bad_seconds = seen.history.seconds_above(config.metric, threshold, config.window)
        enough = (1 - config.percentile / 100) * config.window - 1e-6
        fired = (bad_seconds >= enough) & (recent > threshold)
        unclear = fired | (high >= clear_threshold)
        self._learn_baseline(seen, fired | unclear)
        return RuleResult(fired, unclear, recent, threshold)

    def _applies(self, seen: Observation) -> BoolArray:
        tiers = self._config.tiers
        rows = np.fromiter((c.tier in tiers for c in seen.containers), bool, len(seen.containers))
        applies = np.append(rows, self._config.metric == "node_cpu_ratio")
        if (other := self._config.unless_metric) is not None:
            applies &= np.isnan(seen.percentile(other, 50, self._config.window))
        return applies

    def _scale(self, seen: Observation) -> FloatArray:
        if self._config.of == "slo":
            slos = (c.slo.latency_seconds if c.slo else np.nan for c in seen.containers)
            return np.append(np.fromiter(slos, float, len(seen.containers)), np.nan)
        if self._config.of == "baseline":
            return np.array([self._baseline.get(name, np.nan) for name in seen.history.ids])
        return np.ones(len(seen.history.ids))

    def _learn_baseline(self, seen: Observation, sick: BoolArray) -> None:
        if self._config.of != "baseline":
            return
        level = seen.percentile(self.metric, self.BASELINE_PERCENTILE, self._baseline_seconds)
        known = {
            name: float(value)
            for name, value, bad in zip(seen.history.ids, level, sick, strict=True)
            if not bad and not np.isnan(value)
        }
        elapsed = seen.now_seconds - self._learned_at_seconds
        self._learned_at_seconds = seen.now_seconds
        growth = 2 ** min(elapsed / self.BASELINE_DOUBLES_IN_SECONDS, 1.0)
        old = {name: value for name, value in self._baseline.items() if name in seen.history.row}
        # From 0 nothing grows; the rule's minimum is what counts there.
        risen = {name: min(value, old[name] * growth) for name, value in known.items() if old.get(name)}
        self._baseline = old | known | risen


class RuleBook:
    """All enabled rules. One that fails again and again is cut off; the others go on."""

    def __init__(self, rules: list[tuple[object, Rule]]) -> None:
        """`rules`: each with what it was built from."""
        self._built = rules
        self._rules = [rule for _, rule in rules]
        self._failures: dict[str, int] = {}
        self._failed_at_seconds: dict[str, float] = {}

    @classmethod
    def of(cls, config: Config, before: RuleBook | None = None) -> RuleBook:
        """The rules of a configuration. Raises ConfigError for one that can't be loaded.

        Of those in force before, the ones that are built from the same stay, with what they have learnt.
        """
        old = [] if before is None else before._built
        rules: list[tuple[object, Rule]] = []
        for name, rule in config.rules.items():
            if rule.enabled:
                origin = (name, rule, config.forecast.slow_window)
                same = next((built for key, built in old if key == origin), None)
                rules.append((origin, same or _build(name, rule, config)))
        return cls(rules)

    @property
    def cut_off(self) -> tuple[str, ...]:
        """The names of rules that failed too often."""
        return tuple(name for name, count in self._failures.items() if count >= FAILURES_BEFORE_CUT_OFF)

    def evaluate(self, seen: Observation) -> Findings:
        """Ask every rule; per container the one with the largest error speaks."""
        fired: dict[str, Finding] = {}
        unclear: set[str] = set()
        names = seen.history.ids
        for rule in self._rules:
            if self._failures.get(rule.name, 0) >= FAILURES_BEFORE_CUT_OFF:
                continue
            try:
                result = _usable(rule.evaluate(seen), len(names))
            except Exception:
                self._count_failure(rule.name, seen.now_seconds)
                continue
            unclear.update(names[n] for n in np.flatnonzero(result.unclear))
            for n in np.flatnonzero(result.fired):
                finding = Finding(rule.name, rule.metric, float(result.signal[n]), float(result.target[n]))
                if names[n] not in fired or finding.error > fired[names[n]].error:
                    fired[names[n]] = finding
        return Findings(fired, frozenset(unclear))

    def _count_failure(self, rule: str, now_seconds: float) -> None:
        if now_seconds - self._failed_at_seconds.get(rule, now_seconds) > FORGIVEN_AFTER_SECONDS:
            self._failures[rule] = 0
        self._failures[rule] = self._failures.get(rule, 0) + 1
        self._failed_at_seconds[rule] = now_seconds
        log.exception("rule %s failed (%d times)", rule, self._failures[rule])


def _usable(result: RuleResult, rows: int) -> RuleResult:
    """The result as arrays that can be relied on. Raises ValueError or TypeError for what can't be used."""
    fired, unclear = np.asarray(result.fired), np.asarray(result.unclear)
    signal, target = np.asarray(result.signal, float), np.asarray(result.target, float)
    for name, column in (("fired", fired), ("unclear", unclear), ("signal", signal), ("target", target)):
        if column.shape != (rows,):
            raise ValueError(f"{name} has shape {column.shape} instead of {(rows,)}")
    if fired.dtype != bool or unclear.dtype != bool:
        raise ValueError(f"fired and unclear must be booleans, not {fired.dtype} and {unclear.dtype}")
    if not (np.isfinite(signal[fired]) & np.isfinite(target[fired]) & (target[fired] > 0)).all():
        raise ValueError("it fires where signal or target is no finite number, or the target is not above 0")
    return RuleResult(fired, unclear, signal, target)


def _build(name: str, config: RuleConfig, whole: Config) -> Rule:
    if config.use is None:
        return ThresholdRule(name, config, whole.forecast.slow_window)
    try:
        rule = _load(config.use)(name, config)
        if rule.name != name or rule.metric not in METRICS or not callable(rule.evaluate):
            raise TypeError(f"needs name (as given), metric (one of {', '.join(METRICS)}) and evaluate(seen)")
        return rule
    except Exception as error:
        place = whole.place(f"rules.{name}.use")
        raise ConfigError(f"{place}: {config.use}: {error or type(error).__name__}") from error


def _load(reference: str) -> Callable[[str, RuleConfig], Rule]:
    if ":" not in reference:
        for point in entry_points(group=ENTRY_POINT_GROUP, name=reference):
            loaded: Callable[[str, RuleConfig], Rule] = point.load()
            return loaded
        raise LookupError(f"no entry point of that name in group {ENTRY_POINT_GROUP}")
    module, _, attribute = reference.partition(":")
    found: Callable[[str, RuleConfig], Rule] = getattr(importlib.import_module(module), attribute)
    return found


def is_node(name: str) -> bool:
    """Whether a victim's name is the node itself."""
    return name == NODE
