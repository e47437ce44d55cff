"""The schema of the configuration: every section, its defaults, and what a value must be.

What each key means to an operator stands in `config/default.yaml`; what must hold between keys of several
sections, in `controller.clashes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictInt,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from controller.clashes import clashes
from controller.merge_patch import merge_patch, without_nulls
from controller.rungs import Level
from controller.units import (
    Cores,
    Factor,
    Percentile,
    PositiveSeconds,
    Ratio,
    Seconds,
    Threshold,
    format_seconds,
)

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


# What these can be at most; a threshold there is never passed.
RATIO_METRICS = ("cpu_throttled_ratio", "cpu_wait_ratio", "node_cpu_ratio")
# What is 0 as long as all is well.
TROUBLE_METRICS = ("cpu_throttled_ratio", "cpu_wait_ratio", "cpu_run_delay_ratio")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation is not bool:
            raise ValueError(f"can't be {str(value).lower()}")
        return value


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
    image: str = ""
    slo: SloConfig | None = None
    floor: Cores = 0.1
    ceiling: Cores | None = None
    spec: Cores | None = None
    adjustable: bool = True
    reweight: bool = True
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
        groups = [entry.cgroup for entry in self.static]
        if twice := {group for group in groups if groups.count(group) > 1}:
            raise ValueError(f"static: cgroups are given twice: {', '.join(sorted(twice))}")
        return self


class PriorityWindow(_Section):
    containers: str = "*"
    tier: str | None = None
    days: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    start: time
    end: time
    priority: int

    @field_validator("start", "end", mode="before")
    @classmethod
    def _clock(cls, value: object) -> object:
        if isinstance(value, int | float):
            raise ValueError(f"{value!r} is not a time of day; write HH:MM")
        return value.zfill(5) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _opens(self) -> PriorityWindow:
        for key, clock in (("start", self.start), ("end", self.end)):
            if clock.tzinfo is not None:
                raise ValueError(f"{key}: {clock} has a time zone; write the node's local time")
        if self.start == self.end:
            raise ValueError(
                f"end: {self.end} is start: the window would never be open; "
                "for a whole day write 00:00 to 23:59:59.999"
            )
        if not self.days:
            raise ValueError("days: is empty: the window would never be open")
        return self


class RuleConfig(_Section):
    enabled: bool = True
    use: str | None = Field(default=None, description="entry point name or package.module:Class")
    options: dict[str, Any] = {}
    metric: Metric = "latency_seconds"
    tiers: tuple[str, ...] = ("online", "realtime")
    unless_metric: Metric | None = None
    percentile: Percentile = 20
    window: PositiveSeconds = 2.0
    threshold: Annotated[Threshold, Field(gt=0)] = 1.0
    clear_threshold: Annotated[Threshold, Field(gt=0)] = 0.8
    of: Literal["absolute", "slo", "baseline"] = "absolute"
    minimum: Threshold = 0.0
    hold: Seconds = 3.0

    @model_validator(mode="before")
    @classmethod
    def _units(cls, values: Any) -> Any:
        if isinstance(values, dict):
            metric, of = values.get("metric", "latency_seconds"), values.get("of", "absolute")
            for key in ("threshold", "clear_threshold", "minimum"):
                value, is_time = values.get(key, 0), _is_time(key, metric, of)
                if is_time and isinstance(value, int | float) and value != 0:
                    raise ValueError(f"{key}: {value!r} has no unit; {metric} is a time: 250ms, 2s")
                if isinstance(value, str) and not is_time:
                    raise ValueError(f"{key}: {value!r} is a text; a plain number is wanted here")
        return values

    @field_serializer("threshold", "clear_threshold", "minimum")
    def _with_unit(self, value: float, info: Any) -> float | str:
        is_time = _is_time(info.field_name, self.metric, self.of) and value != 0
        return format_seconds(value) if is_time else value

    @model_validator(mode="after")
    def _can_fire_and_clear(self) -> RuleConfig:
        if self.of == "absolute" and self.metric in RATIO_METRICS and self.threshold >= 1:
            raise ValueError(f"threshold: {self.metric} is never above {self.threshold:g}: it would not fire")
        if self.of == "baseline":
            if self.clear_threshold <= 1:
                raise ValueError(
                    f"clear_threshold: {self.clear_threshold:g} times the healthy value is no more than the "
                    "healthy value itself: the rule would not be clear when all is well"
                )
            if self.metric in TROUBLE_METRICS and self.minimum <= 0:
                raise ValueError(
                    f"minimum: is wanted, since the baseline of {self.metric} is 0 when all is well, "
                    "and anything is above a multiple of 0"
                )
        return self

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


def _is_time(key: str, metric: str, of: str) -> bool:
    """Whether a rule's number is a time. A minimum never is a factor."""
    return metric == "latency_seconds" and (of == "absolute" or key == "minimum")


# A file names only what it changes: its tiers are added to these, each rule is merged over the one of the
# same name here.
DEFAULT_TIERS = {"online": 100, "realtime": 50, "offline": 0}

DEFAULT_RULES: dict[str, dict[str, Any]] = {
    "latency": {
        "metric": "latency_seconds",
        "of": "slo",
        "threshold": 0.7,
        "clear_threshold": 0.6,
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
    percentile: float = Field(default=20, ge=0, le=50)
    throttled_ratio: Ratio = 0.1
    wait_ratio: Ratio = 0.2
    run_delay_ratio: Factor = 0.5
    min_reclaimable_cores: Annotated[Cores, Field(gt=0)] = 0.1
    not_local_for: Seconds = 5.0
    acquit_for: Seconds = 60.0


class InterferenceConfig(_Section):
    enabled: bool = True
    window: PositiveSeconds = 30.0
    least: Ratio = 0.1
    group_share: Annotated[Ratio, Field(gt=0)] = 0.5
    deep_ratio: float = Field(default=2.0, ge=1)
    alike_ratio: Annotated[Ratio, Field(gt=0)] = 0.5
    probe_min: PositiveSeconds = 2.0
    probe_max: PositiveSeconds = 5.0
    probe_z: float = Field(default=2.0, ge=1, le=10)
    probe_gain_ratio: Annotated[Ratio, Field(gt=0)] = 0.2

    @model_validator(mode="after")
    def _order(self) -> InterferenceConfig:
        if self.probe_min > self.probe_max:
            raise ValueError(
                f"probe_min: {self.probe_min:g}s is longer than probe_max ({self.probe_max:g}s): "
                "a probe would end before it may be judged"
            )
        return self


class ControlConfig(_Section):
    model: Literal["auto", "prior", "proportional"] = "auto"
    gain: Factor = 0.8
    margin: Factor = 0.2
    step_min_ratio: Ratio = 0.1
    step_max_ratio: Annotated[Ratio, Field(gt=0)] = 0.6
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
        if self.patience < self.settle:
            raise ValueError(
                f"patience: {self.patience:g}s is shorter than settle ({self.settle:g}s): a suspect would be "
                "acquitted before its cut could show an effect"
            )
        return self


class LearnerConfig(_Section):
    enabled: bool = False
    factor_min: float = Field(default=0.5, ge=0.1, le=1)
    factor_max: float = Field(default=2.0, ge=1, le=4)
    cores_cost: Factor = 0.1
    write_cost: Factor = 0.02
    judged_over: PositiveSeconds = 5.0
    exploration: Factor = 0.5
    prior_samples: float = Field(default=4.0, gt=0)
    forgetting: float = Field(default=0.98, gt=0.5, le=1)
    save_interval: PositiveSeconds = 30.0


class RecoveryConfig(_Section):
    interval: PositiveSeconds = 1.0
    step_ratio: float = Field(default=0.35, gt=0, le=2)
    step_min_cores: Annotated[Cores, Field(gt=0)] = 0.05
    reserve_ratio: Annotated[Ratio, Field(lt=1)] = 0.05
    safe_demand_ratio: Annotated[Ratio, Field(lt=1)] = 0.8
    idle_ratio: Annotated[Ratio, Field(le=0.9)] = 0.5
    idle_for: PositiveSeconds = 10.0
    relapse_backoff: PositiveSeconds = 10.0
    relapse_backoff_max: PositiveSeconds = 300.0
    approach_ratio: Annotated[Ratio, Field(lt=1)] = 0.7
    probe_after: PositiveSeconds = 3.0
    probe_after_max: PositiveSeconds = 300.0
    comfort_ratio: Annotated[Ratio, Field(lt=1)] = 0.6

    @model_validator(mode="after")
    def _order(self) -> RecoveryConfig:
        if self.relapse_backoff > self.relapse_backoff_max:
            raise ValueError("relapse_backoff: is above relapse_backoff_max")
        if self.probe_after > self.probe_after_max:
            raise ValueError("probe_after: is above probe_after_max")
        if self.relapse_backoff < self.interval:
            raise ValueError(
                f"relapse_backoff: {self.relapse_backoff:g}s is shorter than interval ({self.interval:g}s): "
                "after a relapse nothing would wait longer"
            )
        return self


class Rung0Config(_Section):
    actuator: Literal["idle", "weight", "off"] = "idle"
    when: Literal["pressure", "always"] = "pressure"
    weight: StrictInt = Field(default=2, ge=2, le=1024)
    level: Level = "container"
    keep: Seconds = 30.0


class OwnLimitConfig(_Section):
    enabled: bool = True
    step_ratio: float = Field(default=0.25, gt=0, le=2)
    ceiling_ratio: float = Field(default=3.0, ge=1)
    reserve_ratio: Ratio = 0.1


class ForecastConfig(_Section):
    enabled: bool = True
    fast_window: PositiveSeconds = 5.0
    slow_window: PositiveSeconds = 60.0
    horizon: PositiveSeconds = 3.0
    percentile: float = Field(default=95, ge=50, le=100)
    deviations: float = Field(default=1.0, ge=0)

    @model_validator(mode="after")
    def _order(self) -> ForecastConfig:
        if self.fast_window >= self.slow_window:
            raise ValueError("fast_window: is not shorter than slow_window")
        if self.horizon > self.slow_window:
            raise ValueError(
                f"horizon: {self.horizon:g}s is longer than slow_window ({self.slow_window:g}s): "
                "nothing that was seen reaches so far"
            )
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


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a configuration was written: the line of each key (dotted). All are equal: it is no setting."""

    source: str = field(default="", compare=False)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)

    def line(self, *keys: str) -> int:
        """The line that `place` names, 0 for none."""
        return self.lines.get(self._part(self._first(keys)), 0)

    def place(self, *keys: str) -> str:
        """Source, line and key of the first of `keys` that has a line; else of what it is part of."""
        line = self.line(*keys)
        where = f"{self.source}:{line}" if line else self.source
        return ": ".join(piece for piece in (where, self._first(keys)) if piece)

    def _first(self, keys: tuple[str, ...]) -> str:
        return next((key for key in keys if key in self.lines), keys[0])

    def _part(self, key: str) -> str:
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return key


class Config(_Section):
    node_name: str = ""
    dry_run: bool = False
    tick: Annotated[PositiveSeconds, Field(ge=0.02, le=1)] = 0.25
    cgroup_root: str | None = None
    tiers: dict[str, StrictInt] = DEFAULT_TIERS
    priority_windows: tuple[PriorityWindow, ...] = ()
    discovery: DiscoveryConfig = DiscoveryConfig()
    rules: dict[RuleName, RuleConfig] = Field(default={}, validate_default=True)
    diagnosis: DiagnosisConfig = DiagnosisConfig()
    interference: InterferenceConfig = InterferenceConfig()
    control: ControlConfig = ControlConfig()
    learner: LearnerConfig = LearnerConfig()
    recovery: RecoveryConfig = RecoveryConfig()
    rung0: Rung0Config = Rung0Config()
    own_limit: OwnLimitConfig = OwnLimitConfig()
    forecast: ForecastConfig = ForecastConfig()
    executor: ExecutorConfig = ExecutorConfig()
    states: StatesConfig = StatesConfig()
    freeze: FreezeConfig = FreezeConfig()
    divergence: DivergenceConfig = DivergenceConfig()
    journal: JournalConfig = JournalConfig()
    api: ApiConfig = ApiConfig()

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @model_validator(mode="before")
    @classmethod
    def _given(cls, values: Any) -> Any:
        """What is given, over the rules and tiers that are always there; a null is not given."""
        values = without_nulls(values)
        if isinstance(values, dict):
            defaults = {"rules": DEFAULT_RULES, "tiers": DEFAULT_TIERS}
            over = {key: merge_patch(default, values.get(key, {})) for key, default in defaults.items()}
            values = values | over
        return values

    @model_validator(mode="after")
    def _together(self) -> Config:
        if found := list(clashes(self)):
            raise PydanticCustomError("clashes", "keys contradict each other", {"clashes": found})
        return self

    def place(self, *keys: str) -> str:
        """Where a key was given, for errors: "file:line: key", of the first of `keys` that was given."""
        return self._origin.place(*keys)
