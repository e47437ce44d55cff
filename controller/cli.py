"""The commands. Each exits non-zero with one clear line on error; 2 means that the configuration is wrong.

Heavy modules are imported where a command needs them, so that `--help` and `status` come at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller import __version__

if TYPE_CHECKING:
    from backends.base import Node
    from controller.config import Config
    from controller.recording import AgentRecording

DEFAULT_URL = "http://127.0.0.1:8765"
DEFAULT_CONFIG = Path("/etc/quotapilot/config.yaml")

EXIT_FAILURE, EXIT_CONFIG, EXIT_INTERRUPTED = 1, 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
        return code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return EXIT_FAILURE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quotapilot",
        description="Holds online containers' SLOs by shifting CPU from offline peers in small, reversible "
        "steps, and gives everything back.",
    )
    parser.add_argument("--version", action="version", version=f"quotapilot {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run the agent on this node until SIGTERM or Ctrl-C")
    run.add_argument(
        "--config", type=Path, default=DEFAULT_CONFIG, help=f"the configuration, default: {DEFAULT_CONFIG}"
    )
    run.add_argument("--dry-run", action="store_true", help="decide and report, write nothing")
    run.add_argument("--record", type=Path, metavar="FILE", help="also record what it sees, see record")
    _add_run_options(run)
    run.set_defaults(command=_run)

    record = commands.add_parser(
        "record",
        help="record what an agent on this node sees, for replay and tune; writes no limit",
        description="Runs the agent without writing any limit and records what it sees: use, waiting, "
        "throttling and limits of every container, latencies, the node's health, and what it would have "
        "done. The file has container names, cgroup paths and the configuration in it. Where an agent runs "
        "already, record with it: run --record.",
    )
    record.add_argument("out", type=Path, metavar="OUT", help="a new file, such as node1.rec.gz")
    record.add_argument(
        "--config", type=Path, default=DEFAULT_CONFIG, help=f"the configuration, default: {DEFAULT_CONFIG}"
    )
    _add_run_options(record)
    record.set_defaults(command=_record)

    from controller.replay_cli import add_replay

    add_replay(commands)

    from controller.tuning.cli import add_tune

    add_tune(commands)

    from controller.demo.cli import add_demo  # its options belong with the demo

    add_demo(commands)

    status = commands.add_parser("status", help="show what the agent on this node sees and does")
    _add_agent_options(status)
    status.add_argument("--json", action="store_true", help="print JSON instead of tables")
    status.add_argument("--watch", action="store_true", help="refresh every second until Ctrl-C")
    status.set_defaults(command=_status)

    restore = commands.add_parser(
        "restore",
        help="give every limit back to its base, through the agent or, when none runs, from its journal",
    )
    _add_agent_options(restore)
    restore.add_argument("--config", type=Path, help="where run_dir and the token file are named")
    restore.set_defaults(command=_restore)

    check = commands.add_parser("check-config", help="check a configuration file; exit code 2 if it is wrong")
    check.add_argument("file", type=Path)
    check.add_argument("--print", action="store_true", help="print the effective configuration as YAML")
    check.set_defaults(command=_check_config)
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds", type=float, help="end after so many seconds; default: on SIGTERM or Ctrl-C"
    )
    parser.add_argument(
        "--max-mb", type=float, default=256, help="a recording ends at this size, default: 256 megabytes"
    )
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")


def _add_agent_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", default=DEFAULT_URL, help=f"the agent's API, default: {DEFAULT_URL}")
    parser.add_argument("--token-file", type=Path, help="file with the API token")


def _fail(message: object, code: int = EXIT_FAILURE) -> int:
    prefix = "" if code == EXIT_CONFIG else "quotapilot: "  # file:line first, as editors and people expect
    print(f"{prefix}{message}", file=sys.stderr)
    return code


def _run(options: argparse.Namespace) -> int:
    from backends.cgroup import LayoutError
    from controller.config import ConfigError, load
    from controller.journal import JournalError
    from controller.start import StartError, node_of, take_over

    logging.basicConfig(
        level=options.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("transitions").setLevel(logging.WARNING)  # it tells every callback it did not call
    try:
        config = load(options.config)
    except ConfigError as error:
        return _fail(error, EXIT_CONFIG)
    if options.dry_run:
        config = config.model_copy(update={"dry_run": True})
    try:
        node = node_of(config)
        journal = take_over(config, node)
    except (StartError, LayoutError, JournalError) as error:
        return _fail(error)

    from controller.agent import Agent
    from controller.api.errors import ApiError
    from controller.status import worth

    try:
        recording = _recording(options, config, node)
    except OSError as error:
        return _fail(f"{options.record}: can't be recorded to: {error.strerror or error}")

    async def serve() -> Agent:
        agent = Agent(
            config,
            node,
            journal,
            options.config,
            dry_run=options.dry_run,
            seconds=options.seconds,
            recording=recording,
        )
        await agent.run()
        return agent

    try:
        agent = asyncio.run(serve())
        for line in worth(agent.node(), agent.containers()):
            print(line)
    except ConfigError as error:
        return _fail(error, EXIT_CONFIG)
    except ApiError as error:
        return _fail(error)
    finally:
        if recording is not None:
            print(recording.close())
    return 0


def _record(options: argparse.Namespace) -> int:
    if options.out.exists():
        return _fail(f"{options.out}: exists; name another file")
    options.dry_run, options.record = True, options.out
    return _run(options)


def _recording(options: argparse.Namespace, config: Config, node: Node) -> AgentRecording | None:
    """Where `--record` says; beside a file that is there already, as after a restart. Raises OSError."""
    if options.record is None:
        return None
    from controller.build import node_name
    from controller.recording import AgentRecording, free_name

    return AgentRecording(
        free_name(options.record), config, node, node_name(config), int(options.max_mb * 1e6)
    )


def _check_config(options: argparse.Namespace) -> int:
    from controller.config import ConfigError, dump, load
    from controller.rules import RuleBook

    try:
        config = load(options.file)
        RuleBook.of(config)
    except ConfigError as error:
        return _fail(error, EXIT_CONFIG)
    if options.print:
        import yaml

        print(yaml.safe_dump(dump(config), sort_keys=False), end="")
    else:
        print(f"{options.file}: ok")
    return 0


def _status(options: argparse.Namespace) -> int:
    from controller.api.client import get
    from controller.api.errors import ApiError
    from controller.status import render

    async def ask() -> dict[str, Any]:
        token = _token(options.token_file)
        return {
            "node": await get(options.url, "/api/v1/node", token=token),
            "containers": (await get(options.url, "/api/v1/containers", token=token))["items"],
            "alerts": (await get(options.url, "/api/v1/alerts?active=true", token=token))["items"],
        }

    from rich.console import Console

    # Into a file or pipe nothing is cut off: there is no width to keep to.
    console = Console() if sys.stdout.isatty() else Console(width=200)

    def show(state: dict[str, Any]) -> None:
        if options.json:
            print(json.dumps(state, indent=None if options.watch else 2), flush=True)
        else:
            console.print(render(state, console.width))

    try:
        if not options.watch:
            show(asyncio.run(ask()))
            return 0
        if options.json or not sys.stdout.isatty():
            while True:
                show(asyncio.run(ask()))
                time.sleep(1)
        from rich.live import Live

        with Live(console=console, auto_refresh=False, screen=True) as live:
            while True:
                live.update(render(asyncio.run(ask()), console.width), refresh=True)
                time.sleep(1)
    except (ApiError, OSError) as error:
        return _fail(error)


def _restore(options: argparse.Namespace) -> int:
    from backends.cgroup import LayoutError
    from controller.config import Config, ConfigError, load
    from controller.journal import Journal, JournalError, JournalInUse
    from controller.restore import restore_journal
    from controller.start import node_of

    path = options.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    try:
        config = load(path) if path else Config()
    except ConfigError as error:
        return _fail(error, EXIT_CONFIG)
    try:
        journal = Journal(Path(config.journal.run_dir))
    except JournalInUse:
        return _restore_through_agent(options, config.api.token_file)
    except JournalError as error:
        return _fail(error)
    try:
        restored, failed = restore_journal(node_of(config), journal)
    except (JournalError, LayoutError) as error:
        return _fail(error)
    finally:
        journal.close()
    return _tell_restored(restored, failed)


def _restore_through_agent(options: argparse.Namespace, token_file: str | None) -> int:
    from controller.api.client import post
    from controller.api.errors import ApiError

    try:
        token = _token(options.token_file or (Path(token_file) if token_file else None))
        result = asyncio.run(post(options.url, "/api/v1/restore", token=token))
    except (ApiError, OSError) as error:
        return _fail(f"{error}; give --token-file or --config, or stop the agent: that gives everything back")
    code = _tell_restored(result["restored"], result["failed"])
    print("the agent goes on, and may cut others; freeze or stop it to keep everything as it is now")
    return code


def _tell_restored(restored: list[str], failed: list[str]) -> int:
    for name in restored:
        print(f"given back: {name}")
    for problem in failed:
        _fail(f"not given back: {problem}")
    if not restored and not failed:
        print("nothing was held")
    return EXIT_FAILURE if failed else 0


def _token(path: Path | None) -> str | None:
    return None if path is None else path.read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    sys.exit(main())
