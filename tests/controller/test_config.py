from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Any

import pytest

from controller.config import Config, ConfigError, RuleConfig, dump, load, merge, parse
from controller.schema import DEFAULT_RULES


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yaml")
    return str(caught.value).splitlines()


def test_nothing_is_the_default() -> None:
    assert parse("", "f") == parse("{}", "f") == parse("# only a comment", "g") == Config()
    assert set(Config().rules) == set(DEFAULT_RULES)


# ---- every error names file, line and key


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tick: 250ms\nticks: 1s", "f.yaml:2: ticks: unknown key"),
        ("api:\n  port: 1\n  ports: 2", "f.yaml:3: api.ports: unknown key"),
        ("tick: 1", "f.yaml:1: tick: 1 is not a time; write a number with a unit"),
        ("api: {port: eight}", "f.yaml:1: api.port: Input should be a valid integer"),
        ("api:\n\n  port: 70000", "f.yaml:3: api.port: Input should be less than or equal to 65535"),
        ("api: 7", "f.yaml:1: api: "),
        ("dry_run: perhaps", "f.yaml:1: dry_run: "),
        ("control:\n  gain: 20%", "f.yaml:2: control.gain: '20%' is not a ratio"),
        ("control:\n  gain: true", "f.yaml:2: control.gain: can't be true"),
        ("control:\n  effort: .inf", "f.yaml:2: control.effort: "),
        ("control:\n  effort: .nan", "f.yaml:2: control.effort: "),
        ("discovery:\n  interval: 2s", "f.yaml:2: discovery.interval: must be at most 1s"),
        ("discovery:\n  static:\n  - cgroup: /a", "f.yaml:3: discovery.static.0.name: is not given"),
        (
            "discovery:\n  static:\n  - {name: a, cgroup: /a}\n  - {name: a, cgroup: /b}",
            "f.yaml:2: discovery.static: names are used twice: a",
        ),
        (
            "discovery:\n  static:\n  - {name: a, cgroup: /a}\n  - {name: b, cgroup: /a}",
            "f.yaml:2: discovery.static: cgroups are given twice: /a",
        ),
        (
            "discovery:\n  static:\n  - name: a\n    cgroup: /a\n    ceiling: 500m\n    floor: 1",
            "f.yaml:5: discovery.static.0.ceiling: 0.5 is below floor (1.0)",
        ),
        ("tiers: {vip: high}", "f.yaml:1: tiers.vip: Input should be a valid integer"),
        ("tiers: {vip: true}", "f.yaml:1: tiers.vip: Input should be a valid integer"),
        ("executor:\n  min_interval: 100ms", "f.yaml:2: executor.min_interval: must be at least 1s"),
        ("api:\n  host: 0.0.0.0", "f.yaml:2: api.host: 0.0.0.0 is not loopback"),
        ("rules:\n  No Name: {}", "f.yaml:2: rules.No Name: "),
        ("rules:\n  latency:\n    metric: latency", "f.yaml:3: rules.latency.metric: "),
        ("a: 1\na: 2", "f.yaml:2: a: given twice"),
        ("api:\n  port: 1\n  port: 2", "f.yaml:3: api.port: given twice"),
        ("a: [1", "f.yaml:1: not YAML: "),
        ("a: 2026-99-99", "f.yaml: not YAML: "),
        ("- a", "f.yaml:1: must be a mapping of sections"),
        ("just text", "f.yaml:1: must be a mapping of sections"),
        ("[" * 5000, "f.yaml: nested too deeply"),
        ("a: &a [*a]", "f.yaml: nested too deeply"),
        ("1: 2", "f.yaml:1: 1: "),
    ],
)
def test_one_problem(text: str, says: str) -> None:
    found = problems(text)
    assert [line for line in found if line.startswith(says)], found


def test_all_problems_at_once() -> None:
    found = problems("tick: 1\napi:\n  port: x\ncontrol:\n  gain: -1\n")
    assert [line.split(": ")[0] for line in found] == ["f.yaml:1", "f.yaml:3", "f.yaml:5"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: can't be read"):
        load(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.yaml: is not a text file"):
        load(tmp_path / "binary.yaml")


# ---- contradictions


@pytest.mark.parametrize(
    ("text", "says"),
    [
        # Within a section.
        ("rules: {latency: {clear_threshold: 0.8}}", "rules.latency.clear_threshold: 0.8 is above threshold"),
        ("rules: {latency: {threshold: 0.5}}", "rules.latency.clear_threshold: 0.6 is above threshold"),
        ("rules: {throttled: {of: slo}}", "rules.throttled.of: slo compares a latency"),
        ("rules: {latency: {percentile: 95}}", "rules.latency.percentile: 95 is not low"),
        ("rules: {latency: {threshold: 0, clear_threshold: 0}}", "rules.latency.threshold: "),
        ("rules: {cpu-wait: {threshold: 1}}", "rules.cpu-wait.threshold: cpu_wait_ratio is never above 1"),
        (
            "rules: {m: {of: baseline, threshold: 2, clear_threshold: 1}}",
            "rules.m.clear_threshold: 1 times the healthy value",
        ),
        (
            "rules: {m: {metric: cpu_wait_ratio, of: baseline, threshold: 2, clear_threshold: 1.5}}",
            "rules.m.minimum: is wanted",
        ),
        ("control: {step_min_ratio: 0.7}", "control.step_min_ratio: 0.7 is above step_max_ratio (0.6)"),
        ("control: {step_max_ratio: 0, step_min_ratio: 0}", "control.step_max_ratio: "),
        ("control: {patience: 500ms}", "control.patience: 0.5s is shorter than settle"),
        ("recovery: {safe_demand_ratio: 1}", "recovery.safe_demand_ratio: "),
        ("recovery: {idle_ratio: 1}", "recovery.idle_ratio: "),
        ("recovery: {relapse_backoff_max: 5s}", "recovery.relapse_backoff: is above relapse_backoff_max"),
        ("recovery: {relapse_backoff: 500ms}", "recovery.relapse_backoff: 0.5s is shorter than interval"),
        ("forecast: {fast_window: 60s}", "forecast.fast_window: is not shorter than slow_window"),
        ("forecast: {horizon: 2m}", "forecast.horizon: 120s is longer than slow_window"),
        ("diagnosis: {percentile: 80}", "diagnosis.percentile: "),
        ("diagnosis: {min_reclaimable_cores: 0}", "diagnosis.min_reclaimable_cores: "),
        # Across sections; the key that was given is named.
        ("tick: 600ms", "tick: rules.latency.window (2s) is shorter than four ticks of 0.6s"),
        (
            "diagnosis: {window: 500ms}",
            "diagnosis.window: diagnosis.window (0.5s) is shorter than four ticks",
        ),
        ("forecast: {fast_window: 500ms}", "forecast.fast_window: forecast.fast_window (0.5s) is shorter"),
        ("rules: {latency: {hold: 2m}}", "rules.latency.hold: rules.latency.hold (120s) is longer than"),
        ("forecast: {slow_window: 2h}", "forecast.slow_window: 7200s in ticks of 0.25s is more history"),
        ("control: {settle: 70s, patience: 80s}", "control.settle: control.settle (70s) is longer than"),
        (
            "diagnosis: {throttled_ratio: 0.3}",
            "diagnosis.throttled_ratio: diagnosis.throttled_ratio (0.3) is above",
        ),
        (
            "rules: {throttled: {threshold: 0.08}}",
            "rules.throttled.threshold: diagnosis.throttled_ratio (0.1) is",
        ),
        (
            "diagnosis: {wait_ratio: 0.7}",
            "diagnosis.wait_ratio: diagnosis.wait_ratio (0.7) is above rules.cpu-wait",
        ),
        (
            "diagnosis: {run_delay_ratio: 1.5}",
            "diagnosis.run_delay_ratio: diagnosis.run_delay_ratio (1.5) is above",
        ),
        (
            "control: {settle: 500ms}",
            "control.settle: control.settle (0.5s) is shorter than executor.min_interval",
        ),
        (
            "recovery: {interval: 500ms}",
            "recovery.interval: recovery.interval (0.5s) is shorter than executor",
        ),
        ("executor: {min_interval: 3s}", "executor.min_interval: control.settle (1s) is shorter than"),
        (
            "executor: {dead_band_cores: 60m}",
            "executor.dead_band_cores: recovery.step_min_cores (0.05) is below",
        ),
        (
            "executor: {dead_band_cores: 0.2}",
            "executor.dead_band_cores: diagnosis.min_reclaimable_cores (0.1)",
        ),
        (
            "rules: {latency: {tiers: [vip]}}",
            "rules.latency.tiers: unknown tier vip; tiers has online, realtime",
        ),
        (
            "discovery: {static: [{name: a, cgroup: /a, tier: vip}]}",
            "discovery.static.0.tier: unknown tier vip",
        ),
        (
            "discovery: {cgroupfs: {tiers: [{match: '*', tier: vip}]}}",
            "discovery.cgroupfs.tiers.0.tier: unknown tier vip",
        ),
        (
            "priority_windows: [{tier: vip, start: 08:00, end: 09:00, priority: 1}]",
            "priority_windows.0.tier: unknown tier vip",
        ),
    ],
)
def test_a_contradiction(text: str, says: str) -> None:
    found = problems("# a line above\n" + text)
    assert [line for line in found if line.startswith(f"f.yaml:2: {says}")], found


def test_rules_that_are_off_or_ones_own_contradict_nothing() -> None:
    parse("diagnosis: {wait_ratio: 0.7}\nrules: {cpu-wait: {enabled: false}}", "f")
    parse(
        "rules: {m: {use: 'a:B', metric: cpu_throttled_ratio, threshold: 0.05, clear_threshold: 0.01}}", "f"
    )


def test_contradictions_are_told_together() -> None:
    found = problems("executor:\n  min_interval: 3s\n  dead_band_cores: 0.2\n")
    assert [line.split(": ")[0] for line in found] == ["f.yaml:2", "f.yaml:2", "f.yaml:3", "f.yaml:3"]


# ---- units


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (
            "{threshold: 3, clear_threshold: 1s}",
            "rules.m.threshold: 3 has no unit; latency_seconds is a time",
        ),
        ("{threshold: 3s, clear_threshold: 1}", "rules.m.clear_threshold: 1 has no unit"),
        ("{of: slo, threshold: 250ms, clear_threshold: 0.1}", "rules.m.threshold: '250ms' is a text"),
        ("{of: baseline, minimum: 3, threshold: 2, clear_threshold: 1.5}", "rules.m.minimum: 3 has no unit"),
        (
            "{metric: cpu_wait_ratio, threshold: 250ms, clear_threshold: 0.1}",
            "rules.m.threshold: '250ms' is a text",
        ),
        ("{metric: cpu_wait_ratio, threshold: 20%, clear_threshold: 0.1}", "rules.m.threshold: "),
    ],
)
def test_a_threshold_has_the_unit_of_its_metric(rule: str, says: str) -> None:
    assert problems(f"rules: {{m: {rule}}}")[0].startswith(f"f.yaml:1: {says}")


def test_a_latency_threshold_is_a_time_and_stays_one() -> None:
    made = parse("rules: {m: {threshold: 300ms, clear_threshold: 200ms}}", "f")
    assert made.rules["m"].threshold == 0.3
    assert dump(made)["rules"]["m"]["threshold"] == "300ms"


# ---- priority windows


def window(text: str) -> str:
    return f"priority_windows: [{{priority: 5, {text}}}]"


def test_a_time_of_day_needs_no_quotes() -> None:
    """In YAML 1.1 an unquoted 22:00 is the number 1320, which would be read as 00:22."""
    made = parse(window("start: 22:00, end: 6:30"), "f").priority_windows[0]
    assert (made.start, made.end) == (time(22), time(6, 30))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("start: 1320, end: 06:00", "start: 1320 is not a time of day; write HH:MM"),
        ("start: 08:00, end: 08:00", "end: 08:00:00 is start: the window would never be open"),
        ("start: 08:00, end: 09:00, days: []", "days: is empty"),
        ("start: '08:00+02:00', end: 09:00", "start: 08:00:00+02:00 has a time zone"),
        ("start: 08:00, end: 09:00, days: [monday]", "days.0: "),
        ("start: 08:00, end: 09:00, priority: x", "priority: given twice"),
    ],
)
def test_windows_that_never_open(text: str, says: str) -> None:
    assert problems(window(text))[0].startswith(f"f.yaml:1: priority_windows.0.{says}")


# ---- merging


def test_rules_and_tiers_are_merged_over_the_defaults() -> None:
    mine = "{metric: cpu_wait_ratio, threshold: 0.5, clear_threshold: 0.4}"
    made = parse(f"tiers: {{vip: 200}}\nrules: {{latency: {{hold: 5s}}, mine: {mine}}}", "f")
    assert made.tiers == {"online": 100, "realtime": 50, "offline": 0, "vip": 200}
    assert set(made.rules) == {*DEFAULT_RULES, "mine"}
    assert (made.rules["latency"].hold, made.rules["latency"].threshold) == (5.0, 0.7)
    assert set(DEFAULT_RULES["latency"]) == {"metric", "of", "threshold", "clear_threshold"}


def test_a_null_is_not_given() -> None:
    text = "api:\nrules:\n  latency:\n  throttled: {threshold: null}\nnode_name: null\n"
    assert parse(text, "f") == Config()


@pytest.mark.parametrize(
    ("patch", "key", "value"),
    [
        ({"control": {"gain": 0.5}}, ("control", "gain"), 0.5),
        ({"tick": "500ms", "rules": {"latency": {"window": "2s"}}}, ("tick",), "500ms"),
        ({"rules": {"latency": {"enabled": False}}}, ("rules", "latency", "enabled"), False),
        ({"rules": {"latency": {"threshold": None}}}, ("rules", "latency", "threshold"), 0.7),
        ({"rules": {"latency": None}}, ("rules", "latency", "hold"), "3s"),
        ({"divergence": {"for": "5m"}}, ("divergence", "for"), "5m"),
        ({"control": None}, ("control", "gain"), 0.8),
        ({"discovery": {"static": []}}, ("discovery", "static"), []),
    ],
)
def test_a_patch(patch: dict[str, Any], key: tuple[str, ...], value: Any) -> None:
    before = parse("control: {gain: 0.6, margin: 0.1}\nrules: {latency: {hold: 9s, threshold: 0.65}}\n", "f")
    shown: Any = dump(merge(before, patch))
    for part in key:
        shown = shown[part]
    assert shown == value
    assert before.control.gain == 0.6


def test_a_patch_changes_nothing_else() -> None:
    before = parse("rules: {latency: {enabled: false}, m: {threshold: 2s, clear_threshold: 1s}}", "f")
    assert merge(before, {}) == before
    assert merge(before, {"control": {"gain": 0.5}}).rules == before.rules


def test_a_rule_may_change_its_metric_by_patch() -> None:
    before = parse("rules: {m: {threshold: 2s, clear_threshold: 1s}}", "f")
    change = {"metric": "cpu_wait_ratio", "threshold": 0.5, "clear_threshold": 0.4}
    assert merge(before, {"rules": {"m": change}}).rules["m"].metric == "cpu_wait_ratio"


@pytest.mark.parametrize(
    ("patch", "says"),
    [
        ({"control": {"gains": 1}}, "patch: control.gains: unknown key"),
        ({"executor": {"dead_band_cores": 1}}, "patch: recovery.step_min_cores: "),
        ({"tick": 1}, "patch: tick: 1 is not a time"),
        ({"rules": "none"}, "patch: rules: "),
        ("all", "patch: "),
    ],
)
def test_a_patch_is_validated_as_a_whole(patch: Any, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        merge(Config(), patch)
    assert str(caught.value).startswith(says)


def test_what_is_dumped_reads_back() -> None:
    import yaml

    made = parse("tick: 200ms\ndivergence: {for: 90s}\nrules: {m: {threshold: 2s, clear_threshold: 1s}}", "f")
    assert parse(yaml.safe_dump(dump(made)), "g") == made


def test_it_knows_where_a_key_stands() -> None:
    made = parse("api:\n  port: 1\n", "f.yaml")
    assert made.place("api.port") == "f.yaml:2: api.port"
    assert made.place("tick", "api.port") == "f.yaml:2: api.port"
    assert made.place("api.host") == "f.yaml:1: api.host"
    assert Config().place("tick") == "tick"


def test_it_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().tick = 1.0
    with pytest.raises(ValueError, match="has no unit"):
        RuleConfig(threshold=2.0)
