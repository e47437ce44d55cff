"""How a campaign shows on the terminal: a bar with the time left, or lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.lab.campaign import MOST_REPEATS, Outcome


class Screen(Protocol):
    """Told when a cell begins, what is measured to prepare it, and of every attempt."""

    def started(self, title: str, number: int, total: int) -> None: ...

    def measuring(self, line: str) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...


@contextmanager
def screen() -> Iterator[Screen]:
    """A bar on a terminal, else lines."""
    console = Console()
    if not console.is_terminal:
        yield Lines(lambda line: print(line, flush=True))
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
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


class _Bar:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, left="")

    def started(self, title: str, number: int, total: int) -> None:
        self._progress.update(self._task, description=title, total=total, completed=number - 1)

    def measuring(self, line: str) -> None:
        self._progress.console.print(f"  {line}", highlight=False)

    def ended(self, outcome: Outcome) -> None:
        self._progress.update(self._task, completed=outcome.number, left=left(outcome.seconds_left))
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
