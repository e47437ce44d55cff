"""What the learner knows, over restarts: taken from the archive at the start, kept there on change."""

from __future__ import annotations

import logging
import math

from controller.archive import Archive
from models.learner import Learner, LearnerSettings

_NAME = "learner"

log = logging.getLogger(__name__)


def recall(archive: Archive, settings: LearnerSettings, cpu_model: str) -> Learner:
    """The learner as it was kept; a new one, and a line in the log, where that does not fit."""
    state = archive.kept(_NAME)
    if state is None:
        return Learner(settings, cpu_model)
    try:
        return Learner.from_dict(state, settings, cpu_model)
    except ValueError as error:
        log.warning("what was learnt before is not used: %s; the learner starts anew", error)
        return Learner(settings, cpu_model)


class Keeper:
    """Keeps a learner in the archive: what has changed, at most once in an interval, and at the end."""

    def __init__(self, archive: Archive, learner: Learner) -> None:
        self._archive, self._learner = archive, learner
        self._changes = learner.changes
        self._kept_at_seconds = -math.inf

    def keep(self, now_seconds: float, interval_seconds: float = 0.0) -> None:
        """Queue its state if it has changed and the last time is long enough ago. Never waits."""
        changes = self._learner.changes
        if changes != self._changes and now_seconds - self._kept_at_seconds >= interval_seconds:
            self._archive.keep(_NAME, self._learner.to_dict())
            self._changes, self._kept_at_seconds = changes, now_seconds
