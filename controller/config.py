"""The configuration: its schema, its loading with file and line in every error, its merging.

The schema says what a value must be; what each key means to an operator stands in `config/default.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from controller.units import Cores, Factor, Percentile, PositiveSeconds, Ratio, Seconds, Threshold

Metric = Literal[
    "cpu_usage_cores",
    "cpu_throttled_ratio",
    "cpu_wait_ratio",
    "cpu_run_delay_ratio",
    "latency_seconds",
    "memory_bytes",
    "node_cpu_ratio",
    "cpu_demand_cores",
]
RuleName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


_NAMES_A_KEY = re.compile(r"^([a-z_][\w.-]*): (.*)$", re.DOTALL)


class ConfigError(Exception):
    """A configuration that can't be used. The text names file, line and key, one problem a line."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SloConfig(_Section):
    latency: PositiveSeconds
    percentile: float = Field(default=95.0, ge=50, le=99.9)


class ScrapeConfig(_Section):
    url: str = Field(pattern=r"^https?://")
    metric: str = Field(min_length=1)
    labels: dict[str, str] = {}
    interval: PositiveSeconds = 0.5
    timeout: PositiveSeconds = 1.0


class Policy(_Section):
    """What discovery attaches to a container: of the static list, or of a cgroupfs pattern."""

    tier: str = "offline"
    priority: int | None = None
    app: str = ""
    slo: SloConfig | None = None
    floor: Cores = 0.1
    ceiling: Cores | None = None
    spec: Cores | None = None
    adjustable: bool = True
    latency: ScrapeConfig | None = None

    @model_validator(mode="after")
    def _order(self) -> Policy:
        if self.ceiling is not None and self.ceiling < self.floor:
            raise ValueError(f"ceiling: {self.ceiling} is below floor ({self.floor})")
        return self


class StaticContainer(Policy):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")
    cgroup: str = Field(min_length=1)


class TierPattern(Policy):
    match: str = Field(min_length=1)


class CgroupfsConfig(_Section):
    enabled: bool = False
    roots: tuple[str, ...] = (
        "/kubepods",
        "/kubepods.slice",
        "/docker",
        "/libpod_parent",
        "/machine.slice",
        "/system.slice",
        "/user.slice",
    )
    tiers: tuple[TierPattern, ...] = ()


class DiscoveryConfig(_Section):
    interval: PositiveSeconds = 0.5
    static: tuple[StaticContainer, ...] = ()
    cgroupfs: CgroupfsConfig = CgroupfsConfig()

    @field_validator("interval")
    @classmethod
    def _within_a_second(cls, value: float) -> float:
        if value > 1:
            raise ValueError("must be at most 1s: a new container has to be seen within a second")
        return value

    @model_validator(mode="after")
    def _unique(self) -> DiscoveryConfig:
        names = [entry.name for entry in self.static]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"static: names are used twice: {', '.join(sorted(twice))}")
        return self


class PriorityWindow(_Section):
    containers: str = "*"
    tier: str | None = None
    days: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    start: time
    end: time
    priority: int


class RuleConfig(_Section):
    enabled: bool = True
    use: str | None = Field(default=None, description="entry point name or package.module:Class")
    options: dict[str, Any] = {}
    metric: Metric = "latency_seconds"
    tiers: tuple[str, ...] = ("online", "realtime")
    unless_metric: Metric | None = None
    percentile: Percentile = 20
    window: PositiveSeconds = 2.0
    threshold: Threshold = 1.0
    clear_threshold: Threshold = 0.8
    of: Literal["absolute", "slo", "baseline"] = "absolute"
    minimum: float = Field(default=0.0, ge=0)
    hold: Seconds = 3.0

    @model_validator(mode="after")
    def _order(self) -> RuleConfig:
        if self.clear_threshold > self.threshold:
            raise ValueError(
                f"clear_threshold: {self.clear_threshold} is above threshold ({self.threshold}): "
                "the rule could fire and be clear at once"
            )
        if self.of == "slo" and self.metric != "latency_seconds":
            raise ValueError(f"of: slo compares a latency with the SLO, but metric is {self.metric}")
        if self.percentile > 50:
            raise ValueError(
                f"percentile: {self.percentile:g} is not low: a rule fires when nearly all of the window "
                "is bad, so it must be at most 50"
            )
        return self


# A file names only what it changes: each rule is merged over the one of the same name here.
DEFAULT_RULES: dict[str, dict[str, Any]] = {
    "latency": {
        "metric": "latency_seconds",
        "of": "slo",
        "threshold": 0.7,
        "clear_threshold": 0.6,
        "window": "1500ms",
    },
    "cpu-wait": {
        "metric": "cpu_wait_ratio",
        "unless_metric": "latency_seconds",
        "threshold": 0.6,
        "clear_threshold": 0.4,
    },
    "run-delay": {
        "metric": "cpu_run_delay_ratio",
        "unless_metric": "latency_seconds",
        "threshold": 1.0,
        "clear_threshold": 0.6,
    },
    "throttled": {
        "metric": "cpu_throttled_ratio",
        "threshold": 0.25,
        "clear_threshold": 0.05,
    },
    "node-busy": {
        "enabled": False,
        "metric": "node_cpu_ratio",
        "tiers": (),
        "threshold": 0.9,
        "clear_threshold": 0.8,
        "window": "5s",
        "hold": "5s",
    },
}


class DiagnosisConfig(_Section):
    window: PositiveSeconds = 2.0
    percentile: Percentile = 20
    throttled_ratio: Ratio = 0.1
    wait_ratio: Ratio = 0.2
    run_delay_ratio: Factor = 0.5
    min_reclaimable_cores: Cores = 0.1
    not_local_for: Seconds = 5.0
    acquit_for: Seconds = 60.0


class ControlConfig(_Section):
    gain: Factor = 0.8
    margin: Factor = 0.2
    step_min_ratio: Ratio = 0.1
    step_max_ratio: Ratio = 0.4
    settle: PositiveSeconds = 1.0
    drain: PositiveSeconds = 3.0
    patience: PositiveSeconds = 10.0
    prior_sensitivity: float = Field(default=1.5, gt=0)
    effort: float = Field(default=0.1, gt=0)
    forgetting: float = Field(default=0.95, gt=0.5, le=1)
    fit_samples: int = Field(default=6, ge=2)
    fit_min: Ratio = 0.3

    @model_validator(mode="after")
    def _order(self) -> ControlConfig:
        if self.step_min_ratio > self.step_max_ratio:
            raise ValueError(
                f"step_min_ratio: {self.step_min_ratio} is above step_max_ratio ({self.step_max_ratio})"
            )
        return self


class RecoveryConfig(_Section):
    interval: PositiveSeconds = 1.0
    step_ratio: float = Field(default=0.35, gt=0, le=2)
    step_min_cores: Cores = 0.05
    reserve_ratio: Ratio = 0.05
    safe_demand_ratio: Ratio = 0.8
    idle_ratio: Ratio = 0.5
    idle_for: PositiveSeconds = 10.0
    relapse_backoff: PositiveSeconds = 10.0
    relapse_backoff_max: PositiveSeconds = 300.0

    @model_validator(mode="after")
    def _order(self) -> RecoveryConfig:
        if self.relapse_backoff > self.relapse_backoff_max:
            raise ValueError("relapse_backoff: is above relapse_backoff_max")
        return self


class OwnLimitConfig(_Section):
    enabled: bool = True
    step_ratio: float = Field(default=0.25, gt=0, le=2)
    ceiling_ratio: float = Field(default=3.0, ge=1)
    reserve_ratio: Ratio = 0.1


class ForecastConfig(_Section):
    fast_window: PositiveSeconds = 5.0
    slow_window: PositiveSeconds = 60.0
    horizon: PositiveSeconds = 3.0
    percentile: float = Field(default=95, ge=50, le=100)
    deviations: float = Field(default=1.0, ge=0)

    @model_validator(mode="after")
    def _order(self) -> ForecastConfig:
        if self.fast_window >= self.slow_window:
            raise ValueError("fast_window: is not shorter than slow_window")
        return self


class ExecutorConfig(_Section):
    min_interval: PositiveSeconds = 1.0
    dead_band_cores: Cores = 0.02
    max_taken_ratio: Ratio = 0.8
    reassert_after: PositiveSeconds = 10.0

    @field_validator("min_interval")
    @classmethod
    def _one_batch_a_second(cls, value: float) -> float:
        if value < 1:
            raise ValueError(
                "must be at least 1s: every write refills the group's runtime, "
                "so a cap that is written often is no cap"
            )
        return value


class StatesConfig(_Section):
    throttling_peer_dwell: Seconds = 2.0
    recovering_dwell: Seconds = 2.0


class FreezeConfig(_Section):
    thaw: Seconds = 30.0
    on_exit: Literal["restore", "leave"] = "restore"
    disk_paths: tuple[str, ...] = ()
    disk_free_min_ratio: Ratio = 0.01
    network: bool = True
    clock_step: PositiveSeconds = 5.0
    failed_collections: int = Field(default=3, ge=1)
    interval: PositiveSeconds = 1.0


class DivergenceConfig(_Section):
    after: PositiveSeconds = Field(default=600.0, alias="for")
    clear_after: PositiveSeconds = 60.0
    tolerance_ratio: Ratio = 0.02
    tolerance_cores: Cores = 0.01


class JournalConfig(_Section):
    run_dir: str = "/run/quotapilot"
    data_dir: str = "/var/lib/quotapilot"
    retention: PositiveSeconds = 7 * 86400.0
    max_rows: int = Field(default=100_000, ge=100)


class ApiConfig(_Section):
    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(default=8765, ge=0, le=65535)
    token_file: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None

    @model_validator(mode="after")
    def _exposed_needs_tls(self) -> ApiConfig:
        loopback = self.host in ("localhost", "::1") or self.host.startswith("127.")
        if self.enabled and not loopback and not (self.token_file and self.tls_cert and self.tls_key):
            raise ValueError(
                f"host: {self.host} is not loopback: set token_file, tls_cert and tls_key, or use 127.0.0.1"
            )
        return self


class Config(_Section):
    node_name: str = ""
    dry_run: bool = False
    tick: PositiveSeconds = 0.25
    cgroup_root: str | None = None
    tiers: dict[str, int] = {"online": 100, "realtime": 50, "offline": 0}
    priority_windows: tuple[PriorityWindow, ...] = ()
    discovery: DiscoveryConfig = DiscoveryConfig()
    rules: dict[RuleName, RuleConfig] = Field(default={}, validate_default=True)
    diagnosis: DiagnosisConfig = DiagnosisConfig()
    control: ControlConfig = ControlConfig()
    recovery: RecoveryConfig = RecoveryConfig()
    own_limit: OwnLimitConfig = OwnLimitConfig()
    forecast: ForecastConfig = ForecastConfig()
    executor: ExecutorConfig = ExecutorConfig()
    states: StatesConfig = StatesConfig()
    freeze: FreezeConfig = FreezeConfig()
    divergence: DivergenceConfig = DivergenceConfig()
    journal: JournalConfig = JournalConfig()
    api: ApiConfig = ApiConfig()

    @field_validator("rules", mode="before")
    @classmethod
    def _over_the_defaults(cls, value: Any) -> Any:
        return _merge_patch(DEFAULT_RULES, value) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _together(self) -> Config:
        for key, tier in self._tiers_used():
            if tier not in self.tiers:
                raise ValueError(f"{key}: unknown tier {tier}; tiers has {', '.join(self.tiers)}")
        for name, rule in self.rules.items():
            if rule.window < 4 * self.tick:
                raise ValueError(f"rules.{name}.window: is shorter than four ticks of {self.tick:g}s")
            if max(rule.window, rule.hold) > self.forecast.slow_window:
                raise ValueError(
                    f"rules.{name}.window: window and hold must fit forecast.slow_window "
                    f"({self.forecast.slow_window:g}s), which is how much history is kept"
                )
        if self.forecast.fast_window < 4 * self.tick:
            raise ValueError(f"forecast.fast_window: is shorter than four ticks of {self.tick:g}s")
        return self

    def _tiers_used(self) -> Iterator[tuple[str, str]]:
        for n, entry in enumerate(self.discovery.static):
            yield f"discovery.static.{n}.tier", entry.tier
        for n, pattern in enumerate(self.discovery.cgroupfs.tiers):
            yield f"discovery.cgroupfs.tiers.{n}.tier", pattern.tier
        for name, rule in self.rules.items():
            yield from ((f"rules.{name}.tiers", tier) for tier in rule.tiers)
        for n, window in enumerate(self.priority_windows):
            if window.tier is not None:
                yield f"priority_windows.{n}.tier", window.tier


# What is wired at the start: files, sockets, the tree. A reload that changes one of these needs a restart.
FIXED_SECTIONS = ("cgroup_root", "journal", "api", "tick")


def load(path: Path) -> Config:
    """Read a YAML file. Raises ConfigError with one line "file:line: key: what is wrong" per problem."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't be read: {error}") from error
    return parse(text, str(path))


def parse(text: str, source: str) -> Config:
    """Build the configuration of a YAML text; `source` is its name in errors."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[tuple[str | int, ...], int] = {}
        if root is not None:
            _index_lines(root, (), lines, source)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else source
        raise ConfigError(f"{where}: not YAML: {getattr(error, 'problem', error)}") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: nested too deeply") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{source}:1: must be a mapping of sections, such as 'api:'")
    return _build(values, source, lines)


def merge(config: Config, changes: dict[str, Any]) -> Config:
    """The configuration with `changes` (a JSON merge patch, RFC 7396) applied, validated as a whole."""
    return _build(_merge_patch(dump(config), changes), "patch", {})


def dump(config: Config) -> dict[str, Any]:
    """The effective configuration as plain values that `parse` reads back."""
    return config.model_dump(mode="json", by_alias=True)


def _build(values: dict[str, Any], source: str, lines: dict[tuple[str | int, ...], int]) -> Config:
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_problem(item, source, lines) for item in error.errors())) from None


def _problem(item: Any, source: str, lines: dict[tuple[str | int, ...], int]) -> str:
    location: tuple[str | int, ...] = tuple(item["loc"])
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "unknown key; see config/default.yaml for the keys there are"
    elif item["type"] not in ("value_error", "missing"):
        message += f" (it is {item['input']!r})"
    elif match := _NAMES_A_KEY.match(message):  # a check across keys names the one to look at first
        location += tuple(int(part) if part.isdigit() else part for part in match[1].split("."))
        message = match[2]
    line = next((lines[location[:n]] for n in range(len(location), -1, -1) if location[:n] in lines), None)
    where = f"{source}:{line}" if line is not None else source
    key = ".".join(str(part) for part in location)
    return f"{where}: {key}: {message}" if key else f"{where}: {message}"


def _index_lines(
    node: yaml.Node, at: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int], source: str
) -> None:
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            if here in lines:
                raise ConfigError(
                    f"{source}:{key.start_mark.line + 1}: {'.'.join(map(str, here))}: given twice"
                )
            lines[here] = key.start_mark.line + 1
            _index_lines(value, here, lines, source)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _index_lines(item, (*at, number), lines, source)


def _merge_patch(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_patch(merged.get(key), value)
    return merged
