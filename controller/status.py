"""The tables of `quotapilot status`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

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


# Left out first where the terminal is narrow: (narrower than, columns).
_NARROW = ((120, {"throttled", "held for"}), (100, {"base", "SLO", "waiting"}), (80, {"tier", "verdict"}))


def render(state: dict[str, Any], width: int) -> RenderableType:
    """Node, containers and alerts, as `status` asks for them, for a terminal so many columns wide."""
    node = state["node"]
    head = Text(f"{node['name']}: {node['mode']} on {node['backend']}, {node['cpus']} CPUs")
    if node["reasons"]:
        head.append(f"  abnormal: {'; '.join(node['reasons'])}", "bold red")
    elif node["thaws_in_seconds"] is not None:
        head.append(
            f"  was: {'; '.join(node['frozen_by'])}; thaws in {node['thaws_in_seconds']:.0f} s", "blue"
        )
    parts: list[RenderableType] = [head, _containers(state["containers"], width)]
    if node["config_problem"]:
        parts.append(Text(f"the changed configuration is refused: {node['config_problem']}", "bold red"))
    parts += [Text(f"nothing found for {name}", "yellow") for name in node["not_found"]]
    for alert in state["alerts"]:
        subject = alert["container"] or "node"
        parts.append(Text(f"alert {alert['kind']} on {subject}: {alert['message']}", "yellow"))
    parts += [Text(line, "cyan") for line in worth(node, state["containers"])]
    return Group(*parts)


def worth(node: dict[str, Any], containers: list[dict[str, Any]]) -> list[str]:
    """What a dry run is worth so far, a line for the node and one for each container that has a part in it.
    None where it was none."""
    total = node.get("shadow")
    if total is None:
        return []
    lines = [
        f"dry run of {total['seconds'] / 60:.1f} minutes: an active agent is expected to save "
        f"{total['violation_minutes_saved']:.2f} of {total['violation_minutes']:.2f} violation minutes, "
        f"for {total['core_hours_taken']:.4f} core-hours"
    ]
    for shown in containers:
        found = shown["shadow"]
        if found["violation_minutes"]:
            lines.append(
                f"  {shown['id']}: saves {found['violation_minutes_saved']:.2f} "
                f"of {found['violation_minutes']:.2f} violation minutes"
            )
        if found["core_hours_taken"]:
            lines.append(f"  {shown['id']}: gives {found['core_hours_taken']:.4f} core-hours")
    return lines


def _containers(containers: list[dict[str, Any]], width: int) -> Table:
    table = Table(box=None, pad_edge=False)
    left_out = {title for narrow, titles in _NARROW if width < narrow for title in titles}
    columns = [column for column in _COLUMNS if column[0] not in left_out]
    for title, justify, _ in columns:
        table.add_column(title, justify=justify, no_wrap=title not in ("verdict", "held for"))
    for shown in containers:
        table.add_row(*(cell(shown) for _, _, cell in columns))
    return table


def _cores(value: float | None, unknown: str) -> str:
    return unknown if value is None else f"{value:.2f}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value * 1000:.0f} ms"


_COLUMNS: tuple[tuple[str, Literal["left", "right"], Callable[[dict[str, Any]], str | Text]], ...] = (
    ("container", "left", lambda shown: shown["id"]),
    ("tier", "left", lambda shown: shown["tier"]),
    ("state", "left", lambda shown: Text(shown["state"], _STATE_STYLES.get(shown["state"], ""))),
    ("verdict", "left", lambda shown: shown["verdict"] or ""),
    ("use", "right", lambda shown: _cores(shown["cpu_usage_cores"], "-")),
    ("limit", "right", lambda shown: _cores(shown["cpu_limit_cores"], "none")),
    ("base", "right", lambda shown: _cores(shown["cpu_base_cores"], "none")),
    ("throttled", "right", lambda shown: _ratio(shown["cpu_throttled_ratio"])),
    ("waiting", "right", lambda shown: _ratio(shown["cpu_wait_ratio"])),
    ("latency", "right", lambda shown: _milliseconds(shown["latency_seconds"])),
    ("SLO", "right", lambda shown: _milliseconds(shown["slo"]["latency_seconds"]) if shown["slo"] else ""),
    ("held for", "left", lambda shown: ", ".join(sorted({hold["victim"] for hold in shown["holds"]}))),
)
