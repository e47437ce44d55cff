"""Giving back what an earlier agent held, from its journal."""

from __future__ import annotations

from backends.base import Node
from controller.journal import Journal
from controller.recorder import Recorder
from controller.weights import Weights
from controller.writer import Write, Writer


def restore_journal(node: Node, journal: Journal) -> tuple[list[str], list[str]]:
    """Give back everything an earlier agent held: groups restored, and what could not be (with the reason).

    A group that is gone or another one by now, and one that holds a value that was never ours, is let go.
    What could not be given back stays in the journal. Raises JournalError when it can't be read.
    """
    recorder = Recorder(journal)
    grips = recorder.held_before()
    writer = Writer(node, recorder)
    # Looked at first: the order of writes depends on what the groups hold.
    for grip in grips:
        writer.look(grip, 0.0)
    held = [grip for grip in grips if grip.held]
    writes = [Write(grip, grip.now, grip.base, "", "an earlier agent left it", back=True) for grip in held]
    weights = Weights(node, recorder)
    done = writer.carry_out(writes, 0.0, 0.0)
    done += weights.restore_all("an earlier agent left it", 0.0)
    recorder.flush()
    restored = [revision.group for revision in done if revision.result == "restored"]
    failed = [f"{grip.container.cgroup}: {grip.told}" for grip in held if grip.held]
    return list(dict.fromkeys(restored)), failed + weights.failures()
