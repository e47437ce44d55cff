"""The lab's pictures: what each controller traded for what, and how a run went over time. Small PNGs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lab.rows import Row, values
from benchmarks.lab.run import Run
from benchmarks.lab.scenario import Scenario
from benchmarks.lab.statistics import median_interval
from benchmarks.lab.verdicts import OURS, controllers_of
from controller.demo import figures as common

# Okabe and Ito's palette: told apart by colour-blind readers too.
_BLUE, _RED, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
_STATES = {
    "normal": "#DADADA",
    "pressured": "#E69F00",
    "throttling-peer": "#CC79A7",
    "recovering": "#56B4E9",
    "frozen-node": "#000000",
}
_UNKNOWN_STATE = "#F0E442"
_PEER_COLOURS = ("#000000", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")
_DPI = 75
_SAME_SPOT_PIXELS = 12.0


def pareto(path: Path, rows: list[Row], scenario: str) -> bool:
    """Violation seconds against offline work: medians, intervals. False when there is nothing to draw."""
    points = {}
    for name in controllers_of(rows, scenario):
        seconds = median_interval(list(values(rows, scenario, name, "violation_seconds").values()))
        work = median_interval(list(values(rows, scenario, name, "offline_work_vs_oracle_ratio").values()))
        # What is without a part of the engine has a table of its own.
        if seconds is not None and work is not None and name != "alone" and "-no-" not in name:
            points[name] = (seconds, work)
    if not points:
        return False
    figure, axes = _figure((8.4, 5.2))
    for name, (seconds, work) in points.items():
        axes.errorbar(
            seconds.median,
            work.median,
            xerr=[[seconds.median - seconds.low], [seconds.high - seconds.median]],
            yerr=[[work.median - work.low], [work.high - work.median]],
            fmt="*" if name == OURS else "o",
            markersize=12 if name == OURS else 5,
            color=_colour(name),
            elinewidth=0.8,
            alpha=0.9,
            zorder=5 if name == OURS else 3,
        )
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(left=0)
    axes.margins(x=0.1)
    _label(axes, {name: (seconds.median, work.median) for name, (seconds, work) in points.items()})
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("seconds over the SLO (fewer is better; logarithmic above 1)")
    axes.set_ylabel("offline work relative to the oracle (more is better)")
    axes.set_title(f"{scenario}: static quotas in grey, by cores", fontsize=10)
    axes.grid(True, alpha=0.3)
    return _save(figure, path)


def _colour(name: str) -> str:
    if name.startswith("static-"):
        return _GREY
    return _BLUE if name.startswith(OURS) else (_GREEN if name == "oracle" else _RED)


def _label(axes: Any, points: Mapping[str, tuple[float, float]]) -> None:
    """A name beside each point; points that lie together share one label."""
    together: list[tuple[tuple[float, float], list[str]]] = []
    axes.autoscale_view()
    for name, point in points.items():
        spot = axes.transData.transform(point)
        for other, names in together:
            if np.abs(axes.transData.transform(other) - spot).max() < _SAME_SPOT_PIXELS:
                names.append(name)
                break
        else:
            together.append((point, [name]))
    for point, names in together:
        # To the left of what is far to the right, so that nothing is cut off.
        right = axes.transAxes.inverted().transform(axes.transData.transform(point))[0] > 0.75
        axes.annotate(
            ", ".join(name.removeprefix("static-") for name in names),
            point,
            textcoords="offset points",
            xytext=(-6 if right else 6, 5),
            ha="right" if right else "left",
            fontsize=7.5,
            color=_colour(names[0]),
        )


def timeline(path: Path, scenario: Scenario, runs: Mapping[str, Run]) -> bool:
    """One run over time: p95 against the SLO, the victim's state, the peers' limits and use of CPU.

    With the runs of "none" and "oracle" beside it, if there. False without one of quotapilot.
    """
    run = runs.get(OURS)
    if run is None:
        return False
    figure, (latency, states, cores) = _figure((8.4, 6.2), rows=3, height_ratios=[10, 1, 7])
    for name, colour, width in (("none", _RED, 1.2), ("oracle", _GREEN, 1.0), (OURS, _BLUE, 1.8)):
        if name in runs:
            moments, p95 = common.p95_series(runs[name].requests, scenario.seconds)
            latency.plot(moments, p95 * 1000, color=colour, linewidth=width, label=name)
    latency.axhline(run.slo_seconds * 1000, color="black", linestyle=":", linewidth=1.2, label="SLO")
    latency.set_yscale("log")
    latency.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    latency.yaxis.set_minor_formatter(lambda value, _: "")
    latency.set_ylabel("p95 of the last second (ms)")
    latency.legend(fontsize=7.5, ncols=4, loc="upper left")
    _states(states, run, scenario)
    _cores(cores, run, scenario)
    for axes in (latency, states, cores):
        axes.axvspan(*scenario.surge_seconds, color="black", alpha=0.05, zorder=0)
        axes.set_xlim(0, scenario.seconds)
    cores.set_xlabel("time since the load began (s); the surge is shaded")
    figure.suptitle(f"{scenario.name}, seed {run.seed}: {scenario.title}", fontsize=10)
    return _save(figure, path)


def _states(axes: Any, run: Run, scenario: Scenario) -> None:
    from matplotlib.patches import Patch

    told = [
        (float(event["at_seconds"]), str(event.get("to")))
        for event in run.events
        if event.get("kind") == "transition" and event.get("container") in (None, scenario.victim.name)
    ]
    told = [(-math.inf, "normal"), *told]
    shown: list[str] = []
    for (start, state), (until, _) in pairwise([*told, (scenario.seconds, "")]):
        start, until = max(0.0, start), min(scenario.seconds, until)
        if until > start:
            axes.axvspan(start, until, color=_STATES.get(state, _UNKNOWN_STATE), linewidth=0)
            shown += [] if state in shown else [state]
    axes.set_yticks([])
    axes.set_ylabel("state", rotation=0, ha="right", va="center", fontsize=8)
    handles = [Patch(color=_STATES.get(state, _UNKNOWN_STATE), label=state) for state in shown]
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.1),
        ncols=max(1, len(shown)),
        frameon=False,
        fontsize=7.5,
    )


def _cores(axes: Any, run: Run, scenario: Scenario) -> None:
    for number, peer in enumerate(peer for peer in scenario.peers if peer.name in run.groups):
        group, colour = run.groups[peer.name], _PEER_COLOURS[number % len(_PEER_COLOURS)]
        moments, used = common.cores_series(run.at_seconds, group)
        axes.plot(moments, used, color=colour, linewidth=1.0, alpha=0.7, label=f"{peer.name}, used")
        # No limit is as good as all CPUs, and can be drawn.
        limit = np.minimum(group.limit_cores, run.cpus)
        axes.step(
            run.at_seconds, limit, where="post", color=colour, linewidth=1.5, linestyle="--", label="limit"
        )
        if np.any(group.idle > group.idle[0]):
            idle = (run.at_seconds >= 0) & (group.idle > 0)
            axes.fill_between(
                run.at_seconds,
                0,
                0.06 * run.cpus,
                where=idle,
                color=colour,
                step="post",
                alpha=0.4,
                label="cpu.idle",
            )
    axes.set_ylim(0, run.cpus * 1.1)
    axes.set_ylabel("CPU (cores)")
    axes.grid(True, alpha=0.3)
    axes.legend(fontsize=7.5, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.22), frameon=False)


def _figure(size: tuple[float, float], *, rows: int = 1, **options: Any) -> tuple[Any, Any]:
    # Imported here: it takes most of a second, and running a campaign does not need it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, 1, sharex=True, **options)


def _save(figure: Any, path: Path) -> bool:
    # Matplotlib itself needs Pillow. A palette makes the files a third as large.
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.set_dpi(_DPI)
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    picture.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
    return True
