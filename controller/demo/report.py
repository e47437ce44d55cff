"""The demo's report: flat figures with their units in the names, as JSON beside the plot."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.demo import figures
from controller.demo.result import ActResult

Figures = dict[str, float | int | str | bool | None]

# The lab's rules of validity: above these, the figures tell of something else than the controller.
_MOST_SEND_LAG_OF_SLO = 0.10
_MOST_FOREIGN_RATIO = 0.05
_BEFORE_FROM_SECONDS = 1.0  # the first second is the start-up of connections and caches


def act_figures(act: ActResult, slo_seconds: float, onset_at_seconds: float | None) -> Figures:
    """One run's figures. Times count from the start of the load; None where there is nothing to tell.

    `time_to_...` count from the onset, which is that of the uncontrolled run. A run that never violated it
    recovered in no time and has no `recovered_at_seconds`. `valid` is false when the generator lagged or
    others than the experiment used the machine: such figures are to be measured again.
    """
    line, seen = act.timeline, act.observations
    stretches = {
        "before": (_BEFORE_FROM_SECONDS, line.surge_from_seconds),
        "during": (line.surge_from_seconds, line.surge_until_seconds),
        "after": (line.surge_until_seconds, line.total_seconds),
    }
    moments, values = figures.p95_series(act.requests, line.total_seconds)
    cut = figures.first_cut_at(seen.at_seconds, seen.offline)
    recovered = figures.recovered_at(moments, values, slo_seconds, line.surge_from_seconds)
    violated = figures.onset_at(moments, values, slo_seconds, line.surge_from_seconds)
    found: Figures = {
        "first_cut_at_seconds": cut,
        "recovered_at_seconds": recovered,
        "time_to_first_cut_seconds": _since(cut, onset_at_seconds),
        "time_to_recover_seconds": 0.0 if violated is None else _since(recovered, onset_at_seconds),
        "longest_relapse_seconds": None
        if recovered is None
        else figures.longest_relapse_seconds(
            moments, values, slo_seconds, recovered, line.surge_until_seconds
        ),
        "violation_seconds": figures.violation_seconds(moments, values, slo_seconds),
        "over_slo_ratio": figures.over_slo_ratio(act.requests, slo_seconds),
    }
    for name, (start, end) in stretches.items():
        found[f"p95_{name}_seconds"] = figures.p95_between(act.requests, start, end)
        found[f"offline_cores_{name}"] = figures.cores_between(seen.at_seconds, seen.offline, start, end)
        found[f"online_cores_{name}"] = figures.cores_between(seen.at_seconds, seen.online, start, end)
        found[f"offline_work_units_per_second_{name}"] = figures.work_units_per_second(seen, start, end)
    found["requests"] = int(act.requests.intended_seconds.size)
    found["requests_unanswered"] = int((~act.requests.answered).sum())
    lag = figures.send_lag_p99_seconds(act.requests)
    foreign = figures.foreign_ratio(seen, act.cpus, 0.0, line.total_seconds)
    stolen = figures.stolen_ratio(seen, act.cpus, 0.0, line.total_seconds)
    found["send_lag_p99_seconds"] = lag
    found["foreign_load_ratio"] = foreign
    found["stolen_ratio"] = stolen
    found["valid"] = lag <= _MOST_SEND_LAG_OF_SLO * slo_seconds and foreign + stolen <= _MOST_FOREIGN_RATIO
    return {key: _tidy(value) for key, value in found.items()}


def onset_of(uncontrolled: ActResult, slo_seconds: float) -> float | None:
    """When the p95 first exceeded the SLO in the surge of the uncontrolled run."""
    line = uncontrolled.timeline
    moments, values = figures.p95_series(uncontrolled.requests, line.total_seconds)
    return _tidy_seconds(figures.onset_at(moments, values, slo_seconds, line.surge_from_seconds))


def write_report(
    path: Path,
    *,
    slo_seconds: float,
    controlled: ActResult,
    uncontrolled: ActResult,
    idle: ActResult | None = None,
    transitions: Sequence[Mapping[str, Any]] = (),
    revisions: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Write the report and return what was written.

    `transitions` and `revisions` are the lists of the engine's API. Raises OSError.
    """
    onset = onset_of(uncontrolled, slo_seconds)
    line = controlled.timeline
    report: dict[str, Any] = {
        "backend": controlled.backend,
        "slo_seconds": slo_seconds,
        "timeline": line.name,
        "seed": controlled.seed,
        "surge_from_seconds": line.surge_from_seconds,
        "surge_until_seconds": line.surge_until_seconds,
        "onset_at_seconds": onset,
        **act_figures(controlled, slo_seconds, onset),
        "uncontrolled": act_figures(uncontrolled, slo_seconds, onset),
        **({} if idle is None else {"idle": act_figures(idle, slo_seconds, onset)}),
        "restored": controlled.restored,
        "transitions": list(transitions),
        "revisions": list(revisions),
        "commit": commit(),
        "machine": machine(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")
    return report


def commit() -> str:
    """The commit of these sources, with "-dirty" after it if they differ; "unknown" outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def machine() -> str:
    """CPUs, memory and kernel in one line."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} CPUs ({_cpu_model()}), {memory_gib:.0f} GiB, Linux {platform.release()}"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def _since(moment: float | None, onset: float | None) -> float | None:
    return None if moment is None or onset is None else moment - onset


def _tidy_seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _tidy(value: float | int | str | bool | None) -> float | int | str | bool | None:
    """JSON knows neither NaN nor infinity, and nobody wants fifteen digits."""
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
