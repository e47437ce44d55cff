"""How a campaign shows on the terminal: a bar with the time left, or lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from benchmarks.lab.campaign import MOST_REPEATS, Outcome


class Screen(Protocol):
    """Told when a cell begins, what is measured to prepare it, and of every attempt."""

    def started(self, title: str, number: int, total: int) -> None: ...

    def measuring(self, line: str) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...


@contextmanager
def screen(console: Console | None = None) -> Iterator[Screen]:
    """A bar on a terminal, else lines. `console`: in place of standard output."""
    console = console or Console()
    if not console.is_terminal:
        yield Lines(lambda line: print(line, flush=True))
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Left(),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress)


class Lines:
    """A line for each attempt; what was on disk already is only counted."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def started(self, title: str, number: int, total: int) -> None:
        """See `Screen`."""

    def measuring(self, line: str) -> None:
        """See `Screen`."""
        self._write(f"  {line}")

    def ended(self, outcome: Outcome) -> None:
        """See `Screen`."""
        if not outcome.reused:
            self._write(f"{outcome.number}/{outcome.total} {told(outcome)}; {left(outcome.seconds_left)}")


class _Left(ProgressColumn):
    """The estimate, less what has passed since it was made."""

    def render(self, task: Task) -> Text:
        due_at = task.fields["due_at"]
        return Text("" if due_at is None else left(max(0.0, due_at - time.monotonic())))


class _Bar:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, due_at=None)

    def started(self, title: str, number: int, total: int) -> None:
        self._progress.update(self._task, description=title, total=total, completed=number - 1)

    def _due_at(self, seconds_left: float) -> None:
        self._progress.update(self._task, due_at=time.monotonic() + seconds_left)

    def measuring(self, line: str) -> None:
        self._progress.console.print(f"  {line}", highlight=False)

    def ended(self, outcome: Outcome) -> None:
        self._progress.update(self._task, completed=outcome.number)
        self._due_at(outcome.seconds_left)
        if not outcome.reused and (outcome.record is None or not outcome.record.valid):
            self._progress.console.print(told(outcome), highlight=False)


def told(outcome: Outcome) -> str:
    """How an attempt went, in one line."""
    record = outcome.record
    if outcome.failure is not None:
        return f"{outcome.title}: failed: {' '.join(outcome.failure.split())}"
    if record is None:
        return f"{outcome.title}: on disk already"
    if record.reasons:
        again = "repeated" if outcome.attempt <= MOST_REPEATS else "given up"
        return f"{outcome.title}: invalid, {again}: {'; '.join(record.reasons)}"
    return f"{outcome.title}: {record.wall_seconds:.0f} s"


def left(seconds: float) -> str:
    """The time left, roughly."""
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h left"
    return f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"
