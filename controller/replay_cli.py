"""`quotapilot replay`: what a configuration would have done over a recording, as a table."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from controller.feed import Record
    from controller.replay import Replayed

OPEN_LOOP = "open loop: the recorded world does not react to these decisions"


def add_replay(commands: Any) -> None:
    """Add the command and its options to the parser's sub-commands."""
    replay = commands.add_parser(
        "replay",
        help="run a configuration over a recording and print what it would have done",
        description="Runs the engine over a recording and prints its transitions, changes of limits and "
        "alerts. The recorded world does not react (open loop): after a cut that would have helped, the "
        "pressure goes on and is not answered a second time. Without --config the decisions of "
        "the recorded agent are reproduced, and compared with what it did.",
    )
    replay.add_argument("file", type=Path, metavar="FILE", help="what `record` or `run --record` wrote")
    replay.add_argument(
        "--config", type=Path, help="another configuration, run as a dry run; default: the recorded one"
    )
    replay.add_argument("--partial", action="store_true", help="use a file that is cut off, up to there")
    replay.add_argument("--json", action="store_true", help="print JSON instead of a table")
    replay.set_defaults(command=run_replay)


def run_replay(options: argparse.Namespace) -> int:
    """Replay and print; its exit code."""
    from backends.recording.reader import Recording, RecordingError
    from controller.config import ConfigError, load
    from controller.replay import replay

    logging.basicConfig(level=logging.CRITICAL)  # what the engine says is in the table
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    try:
        config = load(options.config) if options.config else None
        done = replay(Recording(options.file, options.partial), config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except RecordingError as error:
        print(f"quotapilot: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(as_json(done), indent=2))
    else:
        _print(done)
    return 0


def as_json(done: Replayed) -> dict[str, Any]:
    """A replay as plain JSON."""
    from controller import view

    return {
        "node": done.header.node,
        "backend": done.header.backend,
        "seconds": round(done.seconds, 3),
        "ticks": done.ticks,
        "lost_ticks": done.lost_ticks,
        "open_loop": True,
        "same_configuration": done.exact,
        "ticks_decided_otherwise": done.differs if done.exact else None,
        "notes": done.notes,
        "shadow": view.node(done.engine)["shadow"],
        "records": [
            {"at_seconds": round(at, 3), "kind": record.kind, **record.data} for at, record in done.records
        ],
    }


def _print(done: Replayed) -> None:
    from rich.console import Console
    from rich.table import Table

    from controller import view
    from controller.status import worth

    console = Console() if sys.stdout.isatty() else Console(width=200)
    header = done.header
    print(f"{header.node}, {header.backend}, {header.cpus} CPUs: {done.ticks} ticks in {done.seconds:.0f} s")
    print(OPEN_LOOP)
    for note in done.notes:
        print(f"note: {note}")
    table = Table(box=None, pad_edge=False)
    for title in ("at", "container", "what", "why"):
        table.add_column(title, justify="right" if title == "at" else "left", no_wrap=title in ("at", "what"))
    for at, record in done.records:
        table.add_row(f"{at:.2f} s", record.data["container"] or "node", *_told(record))
    if done.records:
        console.print(table)
    counts = {kind: sum(record.kind == kind for _, record in done.records) for kind in _KINDS}
    print(", ".join(f"{count} {kind}s" for kind, count in counts.items()))
    for line in worth(view.node(done.engine), view.containers(done.engine)):
        print(line)
    if done.lost_ticks:
        print(f"{done.lost_ticks} ticks were not recorded: the disk was too slow")
    if done.exact:
        same = "the recorded agent decided the same in every tick"
        print(same if not done.differs else f"in {done.differs} ticks the recorded agent decided otherwise")


_KINDS = ("transition", "revision", "alert")


def _told(record: Record) -> tuple[str, str]:
    data = record.data
    if record.kind == "transition":
        return f"{data['from']} -> {data['to']}", f"{data['trigger']}: {data['reason']}"
    if record.kind == "revision":
        victim = f" for {data['victim']}" if data["victim"] else ""
        change = f"{_cores(data['old_cores'])} -> {_cores(data['new_cores'])} cores"
        return f"limit {change} ({data['result']})", f"{data['reason']}{victim}"
    return f"alert {data['kind']} {'on' if data['active'] else 'off'}", data["message"]


def _cores(cores: float | None) -> str:
    return "none" if cores is None else f"{cores:.2f}"
