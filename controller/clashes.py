"""What must hold between keys of several sections, so that the parts of the engine do not work against each
other. What must hold within one section stands there, in `controller.schema`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controller.schema import Config

TICKS_IN_A_WINDOW = 4  # a percentile of fewer values says nothing
MOST_TICKS_KEPT = 10_000  # 160 MB of history with 500 containers

# What a rule watches, and the evidence that the diagnosis wants to see for it.
_EVIDENCE = {
    "cpu_throttled_ratio": "throttled_ratio",
    "cpu_wait_ratio": "wait_ratio",
    "cpu_run_delay_ratio": "run_delay_ratio",
}


@dataclass(frozen=True, slots=True)
class Clash:
    """Keys that contradict each other, the one to look at first in front, and why."""

    keys: tuple[str, ...]
    text: str


def clashes(config: Config) -> Iterator[Clash]:
    """All contradictions between sections."""
    yield from _tiers(config)
    yield from _windows(config)
    yield from _evidence(config)
    yield from _paces(config)
    yield from _steps(config)
    yield from _learning(config)


def _tiers(config: Config) -> Iterator[Clash]:
    used = [(f"discovery.static.{n}.tier", entry.tier) for n, entry in enumerate(config.discovery.static)]
    for n, pattern in enumerate(config.discovery.cgroupfs.tiers):
        used.append((f"discovery.cgroupfs.tiers.{n}.tier", pattern.tier))
    for n, window in enumerate(config.priority_windows):
        if window.tier is not None:
            used.append((f"priority_windows.{n}.tier", window.tier))
    for name, rule in config.rules.items():
        used += [(f"rules.{name}.tiers", tier) for tier in rule.tiers]
    for key, tier in used:
        if tier not in config.tiers:
            yield Clash((key,), f"unknown tier {tier}; tiers has {', '.join(config.tiers)}")


def _windows(config: Config) -> Iterator[Clash]:
    """Every window must hold enough ticks, and fit into the history."""
    slow = config.forecast.slow_window
    windows = {f"rules.{name}.window": rule.window for name, rule in config.rules.items()}
    windows |= {
        "diagnosis.window": config.diagnosis.window,
        "forecast.fast_window": config.forecast.fast_window,
    }
    for key, seconds in windows.items():
        if seconds < TICKS_IN_A_WINDOW * config.tick:
            yield Clash((key, "tick"), f"{key} ({seconds:g}s) is shorter than four ticks of {config.tick:g}s")
    holds = {f"rules.{name}.hold": rule.hold for name, rule in config.rules.items()}
    kept = windows | holds | {"control.settle": config.control.settle}
    kept |= {f"interference.{key}": getattr(config.interference, key) for key in ("window", "probe_max")}
    for key, seconds in kept.items():
        if seconds > slow:
            text = f"{key} ({seconds:g}s) is longer than forecast.slow_window ({slow:g}s), all that is kept"
            yield Clash((key, "forecast.slow_window"), text)
    if slow / config.tick > MOST_TICKS_KEPT:
        text = f"{slow:g}s in ticks of {config.tick:g}s is more history than the {MOST_TICKS_KEPT} ticks kept"
        yield Clash(("forecast.slow_window", "tick"), text)


def _evidence(config: Config) -> Iterator[Clash]:
    """A rule that fires on what the diagnosis does not take for evidence would be answered by "not local"."""
    for name, rule in config.rules.items():
        key = _EVIDENCE.get(rule.metric)
        if not rule.enabled or rule.use is not None or rule.of != "absolute" or key is None:
            continue
        wanted = getattr(config.diagnosis, key)
        if wanted > rule.threshold:
            yield Clash(
                (f"diagnosis.{key}", f"rules.{name}.threshold"),
                f"diagnosis.{key} ({wanted:g}) is above rules.{name}.threshold ({rule.threshold:g}): "
                "the rule would fire and the diagnosis would find no cause",
            )


def _paces(config: Config) -> Iterator[Clash]:
    """Nothing may be judged, or decided again, before it can have been written."""
    least = config.executor.min_interval
    for key, seconds in {
        "control.settle": config.control.settle,
        "recovery.interval": config.recovery.interval,
    }.items():
        if seconds < least:
            yield Clash(
                (key, "executor.min_interval"),
                f"{key} ({seconds:g}s) is shorter than executor.min_interval ({least:g}s): "
                "the next step would be decided before this one is written",
            )
    probe, settle = config.interference.probe_min, config.control.settle
    if probe <= settle:
        yield Clash(
            ("interference.probe_min", "control.settle"),
            f"interference.probe_min ({probe:g}s) is not longer than control.settle ({settle:g}s): "
            "a probe would be judged before its cut could show an effect",
        )


def _steps(config: Config) -> Iterator[Clash]:
    """No step that is wanted may be swallowed by the dead band."""
    band = config.executor.dead_band_cores
    for key, cores in {
        "recovery.step_min_cores": config.recovery.step_min_cores,
        "diagnosis.min_reclaimable_cores": config.diagnosis.min_reclaimable_cores,
    }.items():
        if cores < band:
            yield Clash(
                (key, "executor.dead_band_cores"),
                f"{key} ({cores:g}) is below executor.dead_band_cores ({band:g}), which would swallow it",
            )


def _learning(config: Config) -> Iterator[Clash]:
    """A step can't be judged before it has settled."""
    judged, settle = config.learner.judged_over, config.control.settle
    if judged < settle:
        yield Clash(
            ("learner.judged_over", "control.settle"),
            f"learner.judged_over ({judged:g}s) is shorter than control.settle ({settle:g}s): "
            "a step would be judged before it shows",
        )
