"""From desired limits and weights to writes: within hard bounds, only what differs, and not too often.

Every write refills the group's runtime, so a group gets at most one batch in `min_interval`, and nothing for
a change within the dead band. Only giving everything back is exempt. What is not asked for any more goes back
to its base. A dry run only notes what it would have written. Weights (rung 0) are `controller.weights`' part.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from backends.base import Gone, Node, Refused
from controller.bounds import Budget, lowered, raised
from controller.cases import Alert, Target, WeightTarget
from controller.config import Config
from controller.grip import Grip, Key, base_of, key_of
from controller.journal import Journal
from controller.recorder import Recorder
from controller.revision import Result, Revision, revision
from controller.rungs import carrier
from controller.weights import Weights
from controller.writer import REFUSALS_BEFORE_HANDS_OFF, Write, Writer
from models.container import Container, CpuLimit

__all__ = ["Executor", "Result", "Revision"]

log = logging.getLogger(__name__)


class Executor:
    """Holds every limit and weight that is not at its base, and gives it back."""

    def __init__(self, node: Node, journal: Journal | None, settings: Config) -> None:
        """Takes over what the journal says is still held. Without a journal (simulation, dry run) nothing
        outlives the process, and nothing is recorded. Raises JournalError."""
        self._node, self.settings = node, settings
        self._recorder = Recorder(journal)
        self._writer = Writer(node, self._recorder)
        self._grips: dict[Key, Grip] = {grip.key: grip for grip in self._recorder.held_before()}
        self._weights = Weights(node, self._recorder)
        self._keys: dict[str, Key] = {}
        self._complaints: dict[str, str] = {}

    @property
    def journal_problem(self) -> str:
        """Why nothing can be recorded now; empty when it can."""
        return self._recorder.problem

    @property
    def hands_off(self) -> frozenset[str]:
        """Containers whose limit is left alone because someone else, or the kernel, insists."""
        return frozenset(grip.container.id for grip in self._grips.values() if grip.dispute.contended)

    @property
    def weightless(self) -> frozenset[str]:
        """Groups whose weight can't or shan't be set: others insist, the kernel refuses, or it is no use."""
        return self._weights.left_alone

    @property
    def alerts(self) -> list[Alert]:
        """What a person should know of writing limits."""
        alerts = []
        for grip in self._grips.values():
            stuck = grip.held and grip.refusals >= REFUSALS_BEFORE_HANDS_OFF
            if message := grip.dispute.contended or (f"it can't be given back: {grip.told}" if stuck else ""):
                alerts.append(Alert("contended", grip.container.id, message))
        alerts += self._weights.alerts
        if self.journal_problem:
            alerts.append(Alert("journal", "", self.journal_problem))
        return alerts

    def held(self) -> dict[str, float]:
        """Containers whose limit is not at its base, with the cores written."""
        written = {grip.container.id: grip.written for grip in self._grips.values()}
        return {name: limit.cores for name, limit in written.items() if limit is not None}

    def held_weights(self) -> dict[str, int]:
        """Groups that have a weight of ours, in the kernel's scale; 0 stands for cpu.idle."""
        return self._weights.held()

    def held_base_cores(self, container: str) -> float | None:
        """The base of a container whose limit is not at it; None for any other."""
        grip = self._grips.get(self._keys.get(container, ("", 0)))
        return None if grip is None or grip.written is None else grip.base.cores

    def keep_up(self, containers: Sequence[Container], now_seconds: float) -> list[Revision]:
        """Let go of groups that are gone; notice values that others wrote to held ones. Writes no limit.

        A group that is not listed is let go of only when it is not there any more: discovery may be wrong.
        """
        here = {key_of(container): container for container in containers}
        self._keys = {container.id: key for key, container in here.items()}
        self._complaints = {name: text for name, text in self._complaints.items() if name in self._keys}
        revisions: list[Revision] = []
        for key, grip in list(self._grips.items()):
            container = here.get(key)
            if container is not None:
                grip.meet(container)
            if grip.held or container is None:
                revisions += self._writer.look(grip, now_seconds)
            if now_seconds >= grip.dispute.until_seconds:
                grip.dispute.make_peace()
            if grip.gone:
                del self._grips[key]
        revisions += self._weights.keep_up(now_seconds)
        self._recorder.flush()
        return revisions

    def apply(
        self,
        targets: Mapping[str, Target],
        containers: Sequence[Container],
        now_seconds: float,
        wall: float,
        weights: Mapping[str, WeightTarget] = MappingProxyType({}),
    ) -> list[Revision]:
        """Bring limits and weights to their targets, and what has none back to its base. Never raises."""
        allowed = self._allowed(weights, containers)
        revisions = self._weights.apply(allowed, self.settings, now_seconds)
        return revisions + self._apply_limits(targets, containers, now_seconds, wall)

    def _allowed(
        self, weights: Mapping[str, WeightTarget], containers: Sequence[Container]
    ) -> dict[str, WeightTarget]:
        """The weights that may be set, whoever asks: of a group that carries the container's by the
        configuration, and has nobody in it that may not be touched."""
        if not weights:
            return {}
        level = self.settings.rung0.level
        carried = {c.id: carrier(c.cgroup, level) for c in containers}
        spared = {carried[c.id] for c in containers if not (c.adjustable and c.reweight)}
        here = {c.id: c for c in containers}
        return {
            group: target
            for group, target in weights.items()
            if group and carried.get(target.container) == group and group not in spared
            if self._is_there(here[target.container])
        }

    def _is_there(self, container: Container) -> bool:
        """False when its path has vanished, or belongs to another group by now."""
        try:
            return self._node.inode(container.cgroup) == container.inode
        except Gone:
            return False
        except Refused:
            return True

    def _apply_limits(
        self, targets: Mapping[str, Target], containers: Sequence[Container], now_seconds: float, wall: float
    ) -> list[Revision]:
        if self.settings.dry_run:
            return self._rehearse(targets, containers, now_seconds, wall)
        for grip in self._grips.values():
            if grip.rehearsed is not None:
                grip.rehearsed, grip.taken_cores = None, 0.0
        writes: list[Write] = []
        wanted: set[Key] = set()
        for grip, target, limit, taken in self._aims(targets, containers):
            wanted.add(grip.key)
            if limit is None or not self._due(grip, grip.now, limit, now_seconds):
                continue
            if limit != grip.base:
                writes.append(Write(grip, grip.now, limit, target.victim, target.reason, taken))
            elif grip.held:
                writes.append(_back(grip, target.reason))
        for key, grip in self._grips.items():
            if key not in wanted and grip.held and self._rested(grip, now_seconds):
                writes.append(_back(grip, "given back"))
        return self._writer.carry_out(writes, now_seconds, wall)

    def restore_all(self, reason: str, now_seconds: float, wall: float) -> list[Revision]:
        """Give every limit back to its base at once; exempt from the write interval. Never raises.

        What others fought for is taken up again: whoever asks for this starts afresh.
        """
        held = [grip for grip in self._grips.values() if grip.held]
        for grip in held:
            grip.told = ""  # whoever asks for it hears of every failure
        revisions = self._writer.carry_out([_back(grip, reason) for grip in held], now_seconds, wall)
        for grip in self._grips.values():
            grip.dispute.make_peace()
        revisions += self._weights.restore_all(reason, now_seconds)
        self._recorder.flush()
        return revisions

    def _rehearse(
        self, targets: Mapping[str, Target], containers: Sequence[Container], now_seconds: float, wall: float
    ) -> list[Revision]:
        """Give back at once what is still held from before it became a dry run; then only note."""
        held = [grip for grip in self._grips.values() if grip.held]
        due = [grip for grip in held if not grip.refusals or self._rested(grip, now_seconds)]
        writes = [_back(grip, "dry run: nothing is held any more") for grip in due]
        revisions = self._writer.carry_out(writes, now_seconds, wall)
        wanted: set[Key] = set()
        for grip, target, limit, taken in self._aims(targets, containers):
            wanted.add(grip.key)
            old = grip.rehearsed or grip.now
            if limit is None or grip.held or not self._due(grip, old, limit, now_seconds):
                continue
            if limit != grip.base or grip.rehearsed is not None:
                _note(grip, limit, taken, now_seconds)
                revisions.append(revision(grip, old, limit, target.reason, "dry-run", victim=target.victim))
        for key, grip in self._grips.items():
            if key not in wanted and grip.rehearsed is not None and self._rested(grip, now_seconds):
                revisions.append(revision(grip, grip.rehearsed, grip.base, "given back", "dry-run"))
                _note(grip, grip.base, 0.0, now_seconds)
        return revisions

    def _aims(
        self, targets: Mapping[str, Target], containers: Sequence[Container]
    ) -> Iterable[tuple[Grip, Target, CpuLimit | None, float]]:
        """Each target within its bounds, and what that takes; None where that can't be told now."""
        here = {container.id: container for container in containers}
        most = self.settings.executor.max_taken_ratio * self._node.cpus
        budget = Budget(most, sum(self._taken_cores(grip) for grip in self._grips.values()))
        aimed: set[Key] = set()
        for name, target in targets.items():
            container = here.get(name)
            if container is None or not container.adjustable:
                continue
            try:
                grip = self._grip(container)
            except Exception as error:
                self._complain(name, error)
                continue
            if grip.dispute.contended or grip.key in aimed:
                continue
            aimed.add(grip.key)
            try:
                limit, taken = self._bounded(grip, target, budget)
            except Exception as error:
                self._complain(name, error)
                yield grip, target, None, 0.0
            else:
                self._complaints.pop(name, None)
                yield grip, target, limit, taken

    def _grip(self, container: Container) -> Grip:
        """The container's group. While nothing of ours is in force its base is read anew."""
        grip = self._grips.get(key_of(container))
        if grip is not None and grip.held:
            return grip
        found = self._node.limit(container.cgroup)
        base = base_of(container, found)
        if grip is None:
            grip = self._grips[key_of(container)] = Grip(container, base, found)
        grip.container, grip.base, grip.now = container, base, found
        return grip

    def _bounded(self, grip: Grip, target: Target, budget: Budget) -> tuple[CpuLimit, float]:
        """The target within floor, base or ceiling, and the largest part of the node that may be taken; the
        base where nothing is left of it. Raises Gone, Refused."""
        container, base, cpus = grip.container, grip.base, self._node.cpus
        if target.victim == target.container:
            ceiling = container.ceiling_cores
            if ceiling is None:
                ceiling = base.cores * self.settings.own_limit.ceiling_ratio
            above = [self._node.limit(group).cores for group in self._node.ancestors(container.cgroup)]
            return raised(base, (ceiling, cpus, *above), target.cores), 0.0
        all_it_can_use = min(base.cores, cpus)
        reference = target.reference_cores
        reference = all_it_can_use if math.isnan(reference) else min(reference, all_it_can_use)
        cores = budget.lowest(reference, self._taken_cores(grip), max(target.cores, container.floor_cores))
        limit = lowered(base, container.floor_cores, cpus, cores)
        return limit, 0.0 if limit == base else max(0.0, reference - limit.cores)

    def _taken_cores(self, grip: Grip) -> float:
        if not math.isnan(grip.taken_cores):
            return grip.taken_cores
        limit = grip.written
        return 0.0 if limit is None else max(0.0, min(grip.base.cores, self._node.cpus) - limit.cores)

    def _due(self, grip: Grip, old: CpuLimit, new: CpuLimit, now_seconds: float) -> bool:
        """Whether a group may be brought from `old` to `new` now, and it is worth a write."""
        executor = self.settings.executor
        if not self._rested(grip, now_seconds):
            return False
        if new == grip.base:
            return True
        if now_seconds - grip.dispute.returned_at_seconds < executor.reassert_after:
            return False
        if not grip.held and old.cores <= new.cores <= grip.base.cores:
            return False  # someone has cut it deeper already
        below_floor = new.cores < grip.base.cores and old.cores < grip.container.floor_cores
        return new != old and (below_floor or abs(new.cores - old.cores) >= executor.dead_band_cores)

    def _rested(self, grip: Grip, now_seconds: float) -> bool:
        return now_seconds - grip.tried_at_seconds >= self.settings.executor.min_interval

    def _complain(self, name: str, error: Exception) -> None:
        if self._complaints.get(name) != str(error):
            self._complaints[name] = str(error)
            log.warning("%s can't be adjusted: %s", name, error)


def _back(grip: Grip, reason: str) -> Write:
    return Write(grip, grip.now, grip.base, "", reason, back=True)


def _note(grip: Grip, limit: CpuLimit, taken_cores: float, now_seconds: float) -> None:
    """What a dry run remembers of a write."""
    grip.rehearsed = None if limit == grip.base else limit
    grip.taken_cores, grip.tried_at_seconds = taken_cores, now_seconds
