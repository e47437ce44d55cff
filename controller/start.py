"""The first thing an agent does: take the journal, and give back what an earlier one left behind.

It comes before everything else is even imported: a limit that nobody answers for must not wait for scipy.
"""

from __future__ import annotations

import logging
from pathlib import Path

from backends.cgroup import CgroupNode, open_node
from controller.config import Config
from controller.journal import Journal
from controller.restore import restore_journal

log = logging.getLogger(__name__)


class StartError(Exception):
    """The agent can't start here; the text says why and what to do."""


def node_of(config: Config) -> CgroupNode:
    """The machine's cgroups. Raises LayoutError."""
    return open_node(Path(config.cgroup_root) if config.cgroup_root else None)


def take_over(config: Config, node: CgroupNode) -> Journal | None:
    """The journal, after everything in it has been given back; None for a dry run, which touches nothing.

    Raises StartError where limits can't be written, and JournalError.
    """
    if config.dry_run:
        if (Path(config.journal.run_dir) / "intents.db").exists():
            log.warning("a dry run leaves what an earlier agent may hold; see `quotapilot restore`")
        return None
    if (problem := node.write_problem()) is not None:
        raise StartError(f"{problem}; with --dry-run it decides and reports only")
    journal = Journal(Path(config.journal.run_dir))
    restored, failed = restore_journal(node, journal)
    for group in restored:
        log.warning("an earlier agent left a limit or weight on %s: given back", group)
    for failure in failed:
        log.error("what an earlier agent left can't be given back: %s", failure)
    return journal
