"""Keeps the journal in step with what is done: intents first, and the rest as soon as it takes it.

Nothing here holds up a limit that is given back: what the journal can't be told now, that a write ended or
that a group is back at its base, is kept and told later. Until then a crash finds an entry too many, which
does no harm: a group at its base is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from controller.grip import Grip, Key
from controller.journal import Intent, Journal, JournalError, WeightHold
from controller.revision import Result


class Recorder:
    """The executor's side of the journal. Without one (simulation) everything counts as recorded."""

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal
        self._results: list[tuple[int, str]] = []
        self._forgotten: set[Key] = set()
        self._forgotten_weights: set[Key] = set()
        self.problem = ""

    def held_before(self) -> list[Grip]:
        """What an earlier process may still hold. Raises JournalError."""
        return [] if self._journal is None else [Grip.of(hold) for hold in self._journal.holds()]

    def weights_held_before(self) -> list[WeightHold]:
        """Whose weight an earlier process may still hold. Raises JournalError."""
        return [] if self._journal is None else self._journal.weight_holds()

    def hold_weight(self, hold: WeightHold) -> None:
        """Record the write of a weight. Raises JournalError: then it may not be made."""
        if self._journal is None:
            return
        try:
            self._tell(self._journal)
            self._journal.hold_weight(hold)
        except JournalError as error:
            self.problem = f"{error}; nothing new is held until it works"
            raise

    def forget_weight(self, group: str, inode: int) -> None:
        """The group's weight is its own again."""
        self._forgotten_weights.add((group, inode))

    def intend(self, intents: Sequence[Intent]) -> list[int]:
        """Record writes, all or none; a number for each. Raises JournalError: then none may be made."""
        if self._journal is None or not intents:
            return [0] * len(intents)
        try:
            # First, or what was to be forgotten of a group would take the new entry with it.
            self._tell(self._journal)
            return self._journal.intend(intents)
        except JournalError as error:
            self.problem = f"{error}; nothing new is held until it works"
            raise

    def mark(self, number: int, result: Result) -> None:
        """A recorded write has ended."""
        self._results.append((number, result))

    def forget(self, grip: Grip) -> None:
        """The group holds nothing of ours any more."""
        self._forgotten.add(grip.key)

    def flush(self) -> None:
        """Tell the journal what it does not know yet, and find out whether it works again."""
        if self._journal is None:
            self._results.clear()
            self._forgotten.clear()
            self._forgotten_weights.clear()
            return
        try:
            self._tell(self._journal)
            if self.problem:
                self._journal.check()
                self.problem = ""
        except JournalError as error:
            self.problem = f"{error}; nothing new is held until it works"

    def _tell(self, journal: Journal) -> None:
        if self._results:
            journal.mark(self._results)
            self._results.clear()
        if self._forgotten:
            journal.forget(self._forgotten)
            self._forgotten.clear()
        if self._forgotten_weights:
            journal.forget_weights(self._forgotten_weights)
            self._forgotten_weights.clear()
