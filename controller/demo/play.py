"""The demo from beginning to end: its acts, its report, its picture, and what it says at the end."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from backends.cgroup import LayoutError, open_node
from controller.demo.acts import ServiceSettings, run_act
from controller.demo.controllers import Controller, NoControl, WeightsOnly
from controller.demo.crew import ActFailed
from controller.demo.engine import Engine, EngineFailed
from controller.demo.live import LiveView
from controller.demo.plot import plot
from controller.demo.report import write_report
from controller.demo.result import ActResult
from controller.demo.scene import Scene
from controller.demo.simulated import SimulatedAct
from controller.demo.timeline import SHAPES, Timeline, make_timeline
from controller.demo.work import calibrate
from models.container import Slo

NO_CONTROL, IDLE, CONTROLLED = "no control", "cpu.idle", "quotapilot"
SIMULATED_CPUS = 2


class DemoFailed(Exception):
    """The demo can't go on; the text says why."""


@dataclass
class _Stage:
    """Where the acts are played, and what the engine said of its own."""

    slo: Slo
    seed: int
    console: Console
    transitions: Sequence[Mapping[str, Any]] = field(default_factory=list)
    revisions: Sequence[Mapping[str, Any]] = field(default_factory=list)


def play(options: argparse.Namespace, slo_seconds: float) -> int:
    """Run all acts and write what they left; 0 when the controlled run recovered and gave everything back."""
    console = Console()
    _can_write(options.out)
    simulated = _simulated(options.backend, console)
    stage = _Stage(Slo(slo_seconds), options.seed, console)
    cpus = SIMULATED_CPUS if simulated else os.cpu_count() or 1
    timeline = make_timeline(options.timeline, SHAPES[options.timeline], cpus=cpus)
    wanted = [NO_CONTROL, *([IDLE] if options.compare == "idle" else []), CONTROLLED]
    console.print(
        f"{len(wanted)} acts of {timeline.total_seconds:.0f} s each, with the same arrivals: "
        f"{', '.join(wanted)}"
    )
    run = _simulate if simulated else _play_on_kernel
    acts = run(stage, timeline, wanted)
    report = write_report(
        options.out / "report.json",
        slo_seconds=slo_seconds,
        controlled=acts[CONTROLLED],
        uncontrolled=acts[NO_CONTROL],
        idle=acts.get(IDLE),
        transitions=stage.transitions,
        revisions=stage.revisions,
    )
    picture = options.out / "demo.png"
    drawn = _draw(picture, slo_seconds, acts, console)
    _summary(report, console)
    console.print(f"\nreport: {options.out / 'report.json'}" + (f", picture: {picture}" if drawn else ""))
    held = report["violation_seconds"] == 0 or report["recovered_at_seconds"] is not None
    return 0 if held and report["restored"] else 1


def _can_write(out: Path) -> None:
    """Fail before the acts rather than after them. Raises DemoFailed."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DemoFailed(
            f"can't write to {out}: {error.strerror}; name another directory with --out"
        ) from error


def _simulated(backend: str, console: Console) -> bool:
    """Whether to use the simulated node, and why; says which it is. Raises DemoFailed."""
    problem = None
    if backend != "simulated":
        try:
            node = open_node()
            problem = node.write_problem()
            console.print(f"backend: {node.name}, this machine's kernel" if problem is None else "", end="")
            node.close()
        except LayoutError as error:
            problem = str(error)
        if problem is not None and backend == "kernel":
            raise DemoFailed(f"the kernel can't be used: {problem}")
    if backend == "simulated" or problem is not None:
        console.print(f"backend: simulated node{f' ({problem})' if problem else ''}")
        return True
    console.print()
    return False


def _play_on_kernel(stage: _Stage, timeline: Timeline, wanted: Sequence[str]) -> dict[str, ActResult]:
    service = ServiceSettings(calibrate())
    acts: dict[str, ActResult] = {}
    for name in wanted:
        engine = Engine()
        controllers: dict[str, Controller] = {
            NO_CONTROL: NoControl(),
            IDLE: WeightsOnly(),
            CONTROLLED: engine,
        }
        try:
            with (
                Scene() as scene,
                LiveView(slo_seconds=stage.slo.latency_seconds, cpus=os.cpu_count() or 1) as live,
            ):
                acts[name] = run_act(
                    scene,
                    timeline,
                    controllers[name],
                    slo=stage.slo,
                    service=service,
                    seed=stage.seed,
                    progress=live,
                )
        except (ActFailed, EngineFailed, OSError) as error:
            raise DemoFailed(f"{name}: {error}") from error
        if name == CONTROLLED:
            stage.transitions, stage.revisions = engine.transitions, engine.revisions
    return acts


def _simulate(stage: _Stage, timeline: Timeline, wanted: Sequence[str]) -> dict[str, ActResult]:
    acts: dict[str, ActResult] = {}
    for name in wanted:
        act = SimulatedAct(timeline, name, slo=stage.slo, seed=stage.seed, cpus=SIMULATED_CPUS)
        with LiveView(slo_seconds=stage.slo.latency_seconds, cpus=SIMULATED_CPUS) as live:
            acts[name] = act.run(live)
        if name == CONTROLLED:
            stage.transitions = [r.data for r in reversed(act.loop.records("transition"))]
            stage.revisions = [r.data for r in reversed(act.loop.records("revision"))]
    return acts


def _draw(picture: Path, slo_seconds: float, acts: Mapping[str, ActResult], console: Console) -> bool:
    try:
        plot(
            picture,
            slo_seconds=slo_seconds,
            controlled=acts[CONTROLLED],
            uncontrolled=acts[NO_CONTROL],
            idle=acts.get(IDLE),
        )
    except ImportError:
        console.print("no picture: matplotlib is not installed (pip install 'quotapilot[demo]')")
        return False
    return True


def _summary(report: Mapping[str, Any], console: Console) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    runs = [("no control", report["uncontrolled"]), ("cpu.idle", report.get("idle")), ("quotapilot", report)]
    shown = [(name, run) for name, run in runs if run is not None]
    for title in ("", *(name for name, _ in shown)):
        table.add_column(title, justify="right" if title else "left")
    surge_until = report["surge_until_seconds"]
    rows: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
        ("p95 over the SLO for, in all", lambda run: _seconds(run["violation_seconds"])),
        ("onset to first cut", lambda run: _seconds(run["time_to_first_cut_seconds"])),
        ("onset to recovery", lambda run: _recovery(run, surge_until)),
        ("longest relapse", lambda run: _seconds(run["longest_relapse_seconds"])),
        ("p95 before the surge", lambda run: _milliseconds(run["p95_before_seconds"])),
        ("p95 of the whole surge", lambda run: _milliseconds(run["p95_during_seconds"])),
        ("p95 after the surge", lambda run: _milliseconds(run["p95_after_seconds"])),
        ("offline work in the surge", lambda run: _cores(run["offline_cores_during"])),
        ("offline work after it", lambda run: _cores(run["offline_cores_after"])),
    )
    for title, cell in rows:
        table.add_row(title, *(cell(run) for _, run in shown))
    console.print(table)
    if not report["valid"]:
        console.print(
            "the generator lagged or others used this machine: take these figures with care", style="yellow"
        )
    if not report["restored"]:
        console.print("a limit was NOT given back", style="bold red")


def _recovery(run: Mapping[str, Any], surge_until: float) -> str:
    if run["violation_seconds"] == 0:
        return "never over it"
    recovered = run["recovered_at_seconds"]
    if recovered is None or recovered >= surge_until:
        return "not in the surge"
    return _seconds(run["time_to_recover_seconds"])


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} s" if value >= 0 else f"{-value:.1f} s before it"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value * 1000:,.0f} ms"


def _cores(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} cores"
