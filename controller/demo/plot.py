"""The demo's picture: latency above, the offline work below, the online container's states between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from controller.demo import figures
from controller.demo.result import ActResult

# Okabe and Ito's palette: told apart by colour-blind readers too; the line styles do it once more.
_CONTROLLED = {"color": "#0072B2", "linewidth": 2.0, "zorder": 4}
_UNCONTROLLED = {"color": "#D55E00", "linewidth": 1.6, "linestyle": "-."}
_IDLE = {"color": "#009E73", "linewidth": 1.4, "linestyle": (0, (4, 1.5))}
_STATES = {
    "normal": "#DADADA",
    "pressured": "#E69F00",
    "throttling-peer": "#CC79A7",
    "recovering": "#56B4E9",
    "frozen-node": "#000000",
}
_UNKNOWN_STATE = "#F0E442"


def plot(
    path: Path,
    *,
    slo_seconds: float,
    controlled: ActResult,
    uncontrolled: ActResult,
    idle: ActResult | None = None,
) -> None:
    """Draw the runs over one time axis into a PNG. Raises ImportError without matplotlib, and OSError."""
    # Imported here: it takes most of a second, and nobody but the demo needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), layout="constrained")
    FigureCanvasAgg(figure)
    latency, states, cores = figure.subplots(3, 1, sharex=True, height_ratios=[10, 1, 7])
    runs = [(uncontrolled, _UNCONTROLLED), (idle, _IDLE), (controlled, _CONTROLLED)]
    _latency(latency, [(act, style) for act, style in runs if act is not None], slo_seconds)
    _states(states, controlled)
    _cores(cores, controlled, uncontrolled)
    line = controlled.timeline
    for axes in (latency, states, cores):
        axes.axvspan(line.surge_from_seconds, line.surge_until_seconds, color="#000000", alpha=0.05, zorder=0)
    cores.set_xlim(0, line.total_seconds)
    figure.suptitle(_title(controlled, uncontrolled, slo_seconds), fontsize=12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def _latency(axes: Any, runs: Iterable[tuple[ActResult, dict[str, Any]]], slo_seconds: float) -> None:
    for act, style in runs:
        moments, values = figures.p95_series(act.requests, act.timeline.total_seconds)
        axes.plot(moments, values * 1000, label=act.controller, **style)
    axes.axhline(slo_seconds * 1000, color="black", linestyle=":", linewidth=1.5, label="SLO", zorder=3)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_ylabel("p95 of the last second's requests (ms)")
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(loc="upper left", framealpha=0.9)
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top * 1.5)


def _states(axes: Any, act: ActResult) -> None:
    from matplotlib.patches import Patch

    end = act.timeline.total_seconds
    shown = []
    for (start, state), (until, _) in pairwise([*act.states, (end, "")]):
        color = _STATES.get(state, _UNKNOWN_STATE)
        axes.axvspan(max(0.0, start), min(end, until), color=color, linewidth=0, zorder=2)
        if min(end, until) > 0 and state not in shown:
            shown.append(state)
    axes.set_yticks([])
    axes.set_ylabel("state", rotation=0, ha="right", va="center")
    if shown:
        handles = [Patch(color=_STATES.get(state, _UNKNOWN_STATE), label=state) for state in shown]
        axes.legend(
            handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=len(shown), frameon=False
        )
    else:
        axes.text(
            0.5, 0.5, "none reported", transform=axes.transAxes, ha="center", va="center", color="#555555"
        )


def _cores(axes: Any, controlled: ActResult, uncontrolled: ActResult) -> None:
    seen = controlled.observations
    # No limit is as good as all CPUs, and can be drawn.
    limit = np.minimum(seen.offline.limit_cores, controlled.cpus)
    axes.step(seen.at_seconds, limit, where="post", color="black", linewidth=1.6, label="offline limit")
    _use(axes, controlled, "offline", f"offline use, {controlled.controller}", _CONTROLLED)
    _use(axes, uncontrolled, "offline", f"offline use, {uncontrolled.controller}", _UNCONTROLLED)
    _use(axes, controlled, "online", "online use", {"color": "#777777", "linewidth": 1.2, "linestyle": ":"})
    axes.set_ylim(0, controlled.cpus * 1.1)
    axes.set_ylabel("CPU (cores)")
    axes.set_xlabel("time since the load began (s); the surge is shaded")
    axes.grid(True, alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4, frameon=False)


def _use(axes: Any, act: ActResult, group: str, label: str, style: dict[str, Any]) -> None:
    moments, cores = figures.cores_series(act.observations.at_seconds, act.observations.groups[group])
    axes.plot(moments, cores, label=label, **style)


def _title(controlled: ActResult, uncontrolled: ActResult, slo_seconds: float) -> str:
    surge = (controlled.timeline.surge_from_seconds, controlled.timeline.surge_until_seconds)

    def during(act: ActResult) -> str:
        return _milliseconds(figures.p95_between(act.requests, *surge))

    offline = _offline_cores(controlled, surge), _offline_cores(uncontrolled, surge)
    return (
        f"{controlled.backend}: p95 during the surge {during(controlled)} with {controlled.controller}, "
        f"{during(uncontrolled)} with {uncontrolled.controller}; SLO {_milliseconds(slo_seconds)}\n"
        f"offline work got {offline[0]:.2f} cores with {controlled.controller}, "
        f"{offline[1]:.2f} with {uncontrolled.controller}"
    )


def _offline_cores(act: ActResult, stretch: Sequence[float]) -> float:
    return figures.cores_between(act.observations.at_seconds, act.observations.offline, *stretch)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"
