from __future__ import annotations

import math
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import controller.rules as rules_module
from controller.config import Config, ConfigError, RuleConfig, parse
from controller.rules import FORGIVEN_AFTER_SECONDS, RuleBook, RuleResult, ThresholdRule
from models.container import Container, Slo
from models.history import History
from models.observation import Observation
from models.rates import METRICS, NODE

TICK = 0.25
SLO = 0.25
GOOD, BAD = 0.05, 2.0  # seconds of latency, far from any threshold

Columns = dict[str, list[float]]


def observe(
    columns: Columns, containers: tuple[Container, ...] | None = None, start: float = 0.0
) -> Observation:
    """One row "a" (and the node's) with these values, one a tick; the newest is now."""
    containers = containers or (Container("a", "/a", 1, tier="online", priority=100, slo=Slo(SLO)),)
    history = History(60.0, TICK)
    history.keep((*(c.id for c in containers), NODE))
    ticks = max(len(values) for values in columns.values())
    for n in range(ticks):
        now = {name: np.full(len(containers) + 1, np.nan) for name in METRICS}
        for name, values in columns.items():
            row = -1 if name.startswith("node_") else 0
            now[name][row] = values[n]
        history.push(start + n * TICK, now)
    one = np.ones(len(containers))
    return Observation(
        now_seconds=start + (ticks - 1) * TICK,
        containers=containers,
        history=history,
        cpus=2,
        priority=np.full(len(containers), 100),
        limit_cores=one,
        base_cores=one,
        forecast_cores=one,
        allowed_cpus=(frozenset({0, 1}),) * len(containers),
    )


def book(text: str = "") -> RuleBook:
    return RuleBook.of(parse(text, "test"))


def fires(columns: Columns, text: str = "") -> bool:
    return "a" in book(text).evaluate(observe(columns)).fired


def ever_fires(latencies: list[float], text: str = "") -> bool:
    """Whether a rule fires at any moment while these values come in."""
    made = book(text)
    return any(
        made.evaluate(observe({"latency_seconds": latencies[: n + 1]})).fired for n in range(len(latencies))
    )


# ---- the low percentile


@pytest.mark.parametrize("at", range(40))
@pytest.mark.parametrize("height", [0.3, 2.0, 1e6])
def test_a_single_spike_never_fires(at: int, height: float) -> None:
    assert not ever_fires([height if n == at else GOOD for n in range(40)])


@pytest.mark.parametrize("at", range(20))
@pytest.mark.parametrize("window", ["1500ms", "2s", "5s"])
def test_a_burst_of_one_second_does_not_fire(at: int, window: str) -> None:
    burst = [BAD if at <= n < at + 4 else GOOD for n in range(40)]
    assert not ever_fires(burst, f"rules: {{latency: {{window: {window}}}}}")


@pytest.mark.parametrize("window", ["1500ms", "2s"])
def test_two_seconds_of_bad_fire(window: str) -> None:
    assert fires({"latency_seconds": [GOOD] * 20 + [BAD] * 8}, f"rules: {{latency: {{window: {window}}}}}")


def test_what_is_over_does_not_fire() -> None:
    """The window is bad to nearly its end, but it is well now."""
    assert not fires({"latency_seconds": [BAD] * 20 + [GOOD] * 2})


def test_one_good_reading_in_the_window_does_not_save_it() -> None:
    assert fires({"latency_seconds": [BAD] * 4 + [GOOD] + [BAD] * 3})


# ---- what is not known


def test_too_few_samples_fire_nothing() -> None:
    assert not fires({"latency_seconds": [BAD] * 3})
    assert not fires({"latency_seconds": [math.nan, BAD] * 4})


def test_a_stale_metric_fires_nothing_and_is_clear_in_the_end() -> None:
    def unclear(silent_ticks: int) -> bool:
        seen = observe({"latency_seconds": [BAD] * 20 + [math.nan] * silent_ticks})
        findings = book().evaluate(seen)
        assert ("a" in findings.fired) == (silent_ticks == 0)
        return "a" in findings.unclear

    assert unclear(0)
    assert unclear(4)  # a source that pauses has cleared nothing
    assert unclear(11)
    assert not unclear(12)  # the hold time of 3 s brought no value


def test_nothing_seen_yet() -> None:
    findings = book().evaluate(observe({"latency_seconds": [math.nan]}))
    assert (findings.fired, findings.unclear) == ({}, frozenset())


# ---- clear


def test_it_is_clear_when_the_hold_time_was_good() -> None:
    def unclear(good_ticks: int) -> bool:
        seen = observe({"latency_seconds": [BAD] * 20 + [GOOD] * good_ticks})
        return "a" in book().evaluate(seen).unclear

    assert [unclear(n) for n in (1, 6, 8)] == [True, True, True]
    assert not unclear(12)


def test_between_the_thresholds_it_neither_fires_nor_is_clear() -> None:
    seen = observe({"latency_seconds": [0.65 * SLO] * 20})  # 0.6 to 0.7 of the SLO
    findings = book().evaluate(seen)
    assert (dict(findings.fired), findings.unclear) == ({}, {"a"})


def test_without_a_hold_time_now_decides() -> None:
    seen = observe({"latency_seconds": [BAD] * 20 + [GOOD] * 2})
    assert "a" not in book("rules: {latency: {hold: 0s}}").evaluate(seen).unclear


def test_a_spike_in_the_hold_time_is_forgiven() -> None:
    values = [GOOD] * 20
    values[-4] = BAD
    assert "a" not in book().evaluate(observe({"latency_seconds": values})).unclear


# ---- thresholds


def test_the_finding_has_signal_and_target() -> None:
    found = book().evaluate(observe({"latency_seconds": [0.35] * 10})).fired["a"]
    assert (found.rule, found.metric) == ("latency", "latency_seconds")
    assert (found.signal, found.target) == (pytest.approx(0.35), pytest.approx(0.7 * SLO))
    assert found.error == pytest.approx(math.log(0.35 / (0.7 * SLO)))


def test_no_slo_no_slo_rule() -> None:
    seen = observe({"latency_seconds": [BAD] * 10}, (Container("a", "/a", 1, tier="online"),))
    assert not book().evaluate(seen).fired


def test_other_tiers_are_left_alone() -> None:
    seen = observe({"cpu_throttled_ratio": [1.0] * 10}, (Container("a", "/a", 1, tier="offline"),))
    assert not book().evaluate(seen).fired


def test_cpu_wait_speaks_only_where_no_latency_is_known() -> None:
    wait = [0.9] * 10
    assert fires({"cpu_wait_ratio": wait})
    assert not fires({"cpu_wait_ratio": wait, "latency_seconds": [GOOD] * 10})
    assert fires({"cpu_wait_ratio": wait, "latency_seconds": [GOOD] + [math.nan] * 9})


def test_the_worst_rule_speaks() -> None:
    columns = {"latency_seconds": [0.2] * 10, "cpu_throttled_ratio": [0.9] * 10}
    assert book().evaluate(observe(columns)).fired["a"].rule == "throttled"


def test_the_node_has_a_rule_of_its_own() -> None:
    seen = observe({"node_cpu_ratio": [0.99] * 24})
    assert not book().evaluate(seen).fired  # off by default
    assert set(book("rules: {node-busy: {enabled: true}}").evaluate(seen).fired) == {NODE}


def baseline_rule() -> ThresholdRule:
    return ThresholdRule(
        "own", RuleConfig(of="baseline", threshold=2.0, clear_threshold=1.5, minimum="20ms"), 60.0
    )


def test_a_baseline_is_learnt_while_it_is_well() -> None:
    rule = baseline_rule()
    well, worse = [0.1] * 240, [0.3] * 10
    assert not rule.evaluate(observe({"latency_seconds": well})).fired[0]
    result = rule.evaluate(observe({"latency_seconds": well + worse}))
    assert (result.fired[0], result.target[0]) == (True, pytest.approx(0.2))


def test_the_minimum_keeps_a_tiny_baseline_quiet() -> None:
    rule = baseline_rule()
    assert not rule.evaluate(observe({"latency_seconds": [0.001] * 240})).fired[0]
    assert not rule.evaluate(observe({"latency_seconds": [0.001] * 240 + [0.015] * 10})).fired[0]
    assert rule.evaluate(observe({"latency_seconds": [0.001] * 240 + [0.03] * 10})).fired[0]


def test_what_gets_worse_slowly_is_not_taken_for_healthy() -> None:
    rule = baseline_rule()
    for minute in range(30):  # 5 % a minute: 4.3-fold in half an hour
        result = rule.evaluate(observe({"latency_seconds": [0.1 * 1.05**minute] * 240}, start=minute * 60.0))
    assert result.fired[0]


def test_a_baseline_falls_at_once_and_goes_with_its_container() -> None:
    rule = baseline_rule()
    rule.evaluate(observe({"latency_seconds": [0.4] * 240}))
    rule.evaluate(observe({"latency_seconds": [0.1] * 240}, start=60.0))
    assert rule.evaluate(observe({"latency_seconds": [0.3] * 240}, start=120.0)).fired[0]
    other = (Container("b", "/b", 2, tier="online"),)
    rule.evaluate(observe({"latency_seconds": [0.4] * 240}, other, start=180.0))
    assert not rule.evaluate(observe({"latency_seconds": [0.3] * 240}, start=240.0)).fired[0]


# ---- rules of one's own


class Mine:
    """Fires for every row, with what `options` say."""

    metric = "cpu_usage_cores"

    def __init__(self, name: str, config: RuleConfig) -> None:
        self.name = name
        self.result: Callable[[int], Any] = config.options.get("result", always)

    def evaluate(self, seen: Observation) -> Any:
        return self.result(len(seen.history.ids))


def always(rows: int) -> RuleResult:
    return RuleResult(np.ones(rows, bool), np.ones(rows, bool), np.full(rows, 2.0), np.full(rows, 1.0))


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("a_plugin")
    module.Mine = Mine  # type: ignore[attr-defined]
    module.broken = lambda name, config: 1 / 0  # type: ignore[attr-defined]
    module.nothing = lambda name, config: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_plugin", module)


def with_mine(**options: Any) -> Config:
    made = parse("rules: {mine: {use: 'a_plugin:Mine'}}", "test")
    mine = made.rules["mine"].model_copy(update={"options": options})
    return made.model_copy(update={"rules": made.rules | {"mine": mine}})


@pytest.mark.usefixtures("plugin")
def test_a_rule_by_dotted_path() -> None:
    found = RuleBook.of(with_mine()).evaluate(observe({"latency_seconds": [GOOD]}))
    assert {name: finding.rule for name, finding in found.fired.items()} == {"a": "mine", NODE: "mine"}


@pytest.mark.usefixtures("plugin")
def test_a_rule_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("my-rule", "a_plugin:Mine", rules_module.ENTRY_POINT_GROUP)

    def installed(group: str, name: str) -> list[EntryPoint]:
        return [point] if (group, name) == (point.group, point.name) else []

    monkeypatch.setattr(rules_module, "entry_points", installed)
    assert book("rules: {mine: {use: my-rule}}").evaluate(observe({"latency_seconds": [GOOD]})).fired


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("use", "says"),
    [
        ("a_plugin:Nobody", "Nobody"),
        ("no_such_package:Mine", "no_such_package"),
        ("no-such-entry-point", "no entry point of that name"),
        ("a_plugin:broken", "division by zero"),
        ("a_plugin:nothing", "name"),
    ],
)
def test_a_rule_that_cannot_be_loaded_is_told_with_its_place(tmp_path: Path, use: str, says: str) -> None:
    with pytest.raises(ConfigError, match=rf"^here\.yaml:3: rules\.mine\.use: {use}: .*{says}"):
        RuleBook.of(parse(f"rules:\n  mine:\n    use: {use}\n", "here.yaml"))


def _raises(rows: int) -> RuleResult:
    raise RuntimeError("my own bug")


NONSENSE: dict[str, Callable[[int], Any]] = {
    "raises": _raises,
    "nothing": lambda rows: None,
    "too short": lambda rows: always(rows - 1),
    "too long": lambda rows: always(rows + 1),
    "a scalar": lambda rows: RuleResult(True, True, 1.0, 1.0),  # type: ignore[arg-type]
    "numbers for booleans": lambda rows: RuleResult(
        np.ones(rows), np.ones(rows), np.ones(rows), np.ones(rows)
    ),  # type: ignore[arg-type]
    "no signal": lambda rows: RuleResult(
        np.ones(rows, bool), np.ones(rows, bool), np.full(rows, np.nan), np.ones(rows)
    ),
    "endless signal": lambda rows: RuleResult(
        np.ones(rows, bool), np.ones(rows, bool), np.full(rows, np.inf), np.ones(rows)
    ),
    "no target": lambda rows: RuleResult(
        np.ones(rows, bool), np.ones(rows, bool), np.ones(rows), np.zeros(rows)
    ),
    "texts": lambda rows: RuleResult(
        np.ones(rows, bool), np.ones(rows, bool), np.full(rows, "high"), np.ones(rows)
    ),
}


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("kind", NONSENSE)
def test_a_rule_that_fails_is_cut_off_and_the_others_go_on(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = RuleBook.of(with_mine(result=NONSENSE[kind]))
    seen = observe({"latency_seconds": [BAD] * 10})
    for round_ in range(1, 6):
        found = made.evaluate(seen)
        assert {name: finding.rule for name, finding in found.fired.items()} == {"a": "latency"}
        assert found.unclear == {"a"}
        assert made.cut_off == (() if round_ < 3 else ("mine",))
    assert len(caplog.records) == 3


@pytest.mark.usefixtures("plugin")
def test_a_failure_now_and_then_is_forgiven() -> None:
    broken = True

    def sometimes(rows: int) -> RuleResult:
        return _raises(rows) if broken else always(rows)

    made = RuleBook.of(with_mine(result=sometimes))
    for n in range(10):
        made.evaluate(observe({"latency_seconds": [GOOD]}, start=n * (FORGIVEN_AFTER_SECONDS + 1)))
    broken = False
    assert made.cut_off == ()
    assert made.evaluate(observe({"latency_seconds": [GOOD]}, start=1e6)).fired


@pytest.mark.usefixtures("plugin")
def test_rows_that_do_not_fire_may_be_unknown() -> None:
    def half(rows: int) -> RuleResult:
        fired = np.arange(rows) == 0
        value = np.where(fired, 2.0, np.nan)
        return RuleResult(fired, fired, value, value)

    made = RuleBook.of(with_mine(result=half))
    assert set(made.evaluate(observe({"latency_seconds": [GOOD]})).fired) == {"a"}
    assert made.cut_off == ()


def test_a_rule_that_is_off_is_not_even_loaded() -> None:
    book("rules: {mine: {enabled: false, use: no-such-thing}}")
