"""The tables of `quotapilot status`."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_STATE_STYLES = {
    "normal": "green",
    "pressured": "yellow",
    "throttling-peer": "magenta",
    "recovering": "cyan",
    "frozen-node": "blue",
}


def render(state: dict[str, Any]) -> RenderableType:
    """Node, containers and alerts, as `status` asks for them."""
    node = state["node"]
    head = Text(f"{node['name']}: {node['mode']} on {node['backend']}, {node['cpus']} CPUs")
    if node["reasons"]:
        head.append(f"  abnormal: {'; '.join(node['reasons'])}", "bold red")
    parts: list[RenderableType] = [head, _containers(state["containers"])]
    for alert in state["alerts"]:
        subject = alert["container"] or "node"
        parts.append(Text(f"alert {alert['kind']} on {subject}: {alert['message']}", "yellow"))
    return Group(*parts)


def _containers(containers: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("container", "tier", "state", "verdict"):
        table.add_column(title, no_wrap=title != "verdict")
    for title in ("use", "limit", "base", "throttled", "waiting", "latency", "SLO"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("held for")
    for shown in containers:
        slo = shown["slo"]
        table.add_row(
            shown["id"],
            shown["tier"],
            Text(shown["state"], _STATE_STYLES.get(shown["state"], "")),
            shown["verdict"] or "",
            _cores(shown["cpu_usage_cores"], "-"),
            _cores(shown["cpu_limit_cores"], "none"),
            _cores(shown["cpu_base_cores"], "none"),
            _ratio(shown["cpu_throttled_ratio"]),
            _ratio(shown["cpu_wait_ratio"]),
            _milliseconds(shown["latency_seconds"]),
            _milliseconds(slo["latency_seconds"]) if slo else "",
            ", ".join(sorted({hold["victim"] for hold in shown["holds"]})),
        )
    return table


def _cores(value: float | None, unknown: str) -> str:
    return unknown if value is None else f"{value:.2f}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value * 1000:.0f} ms"
