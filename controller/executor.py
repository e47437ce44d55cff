"""From desired limits to the kernel: bound, compare, order, record, write, read back, roll back.

Desired values are checked against hard bounds, compared with what the kernel holds, and only the difference
is written: never more often than one batch in `min_interval` per group, since every write refills the
group's runtime. The bounds hold whatever a rule, a plug-in or the control model asks for.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from backends.base import Gone, Node, Refused
from controller.cases import Alert, Target
from controller.config import Config
from controller.journal import Intent, Journal, JournalError
from models.container import Container, CpuLimit

Result = Literal["applied", "restored", "dry-run", "refused", "rolled-back", "gone", "not-recorded"]

REFUSALS_BEFORE_HANDS_OFF = 3
FIGHTS_BEFORE_HANDS_OFF = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Revision:
    """One change of a limit, or the attempt at one. None for a limit means that there is none."""

    container: str
    group: str
    victim: str
    old_cores: float | None
    new_cores: float | None
    base_cores: float | None
    reason: str
    result: Result
    detail: str = ""


@dataclass(slots=True)
class Grip:
    """What is known of one group's limit: `base` to go back to, `written` by us (None: it has its base)."""

    container: Container
    base: CpuLimit
    base_burst_us: int | None = None
    written: CpuLimit | None = None
    written_at_seconds: float = -math.inf
    reset_at_seconds: float | None = None
    fights: int = 0
    refusals: int = 0
    dry_cores: float | None = None
    contended: str = ""


@dataclass(frozen=True, slots=True)
class _Write:
    grip: Grip
    old: CpuLimit
    new: CpuLimit
    victim: str
    reason: str

    @property
    def to_base(self) -> bool:
        return self.new == self.grip.base

    @property
    def towards_base(self) -> bool:
        base = self.grip.base.cores
        return self.old.cores <= self.new.cores <= base or self.old.cores >= self.new.cores >= base

    @property
    def order(self) -> tuple[bool, int]:
        """Lower before raise; children are lowered before and raised after their parents (v1: EINVAL)."""
        raises = self.new.cores > self.old.cores
        depth = self.grip.container.cgroup.count("/")
        return (raises, depth if raises else -depth)


class Executor:
    """Holds every limit that is not at its base, and gives it back."""

    def __init__(self, node: Node, journal: Journal | None, settings: Config) -> None:
        """Without a journal (simulation, dry run) nothing outlives the process, and nothing is recorded."""
        self._node, self._journal, self.settings = node, journal, settings
        self._grips: dict[str, Grip] = {}
        self.journal_problem = ""

    @property
    def hands_off(self) -> frozenset[str]:
        """Containers whose limit is left alone because someone else, or the kernel, insists."""
        return frozenset(name for name, grip in self._grips.items() if grip.contended)

    @property
    def alerts(self) -> list[Alert]:
        """What a person should know of writing limits."""
        alerts = [
            Alert("contended", name, grip.contended) for name, grip in self._grips.items() if grip.contended
        ]
        if self.journal_problem:
            alerts.append(Alert("journal", "", self.journal_problem))
        return alerts

    def held(self) -> dict[str, float]:
        """Containers whose limit is not at its base, with the cores written."""
        return {name: grip.written.cores for name, grip in self._grips.items() if grip.written is not None}

    def held_base_cores(self, container: str) -> float | None:
        """The base of a container whose limit is not at it; None for any other."""
        grip = self._grips.get(container)
        return None if grip is None or grip.written is None else grip.base.cores

    def keep_up(self, containers: Sequence[Container], now_seconds: float) -> list[Revision]:
        """Let go of groups that are gone or are others now; notice values that others wrote to held ones."""
        here = {container.id: container for container in containers}
        revisions: list[Revision] = []
        for name, grip in list(self._grips.items()):
            container = here.get(name)
            if container is None or container.identity != grip.container.identity:
                self._let_go(name)
                continue
            grip.container = container
            if grip.written is not None:
                revisions += self._watch(name, grip, now_seconds)
        return revisions

    def apply(
        self, targets: Mapping[str, Target], containers: Sequence[Container], now_seconds: float, wall: float
    ) -> list[Revision]:
        """Bring limits to their targets, and those without a target back to their base."""
        here = {container.id: container for container in containers}
        taken = _Budget(self.settings.executor.max_taken_ratio * self._node.cpus)
        writes: list[_Write] = []
        revisions: list[Revision] = []
        for name, target in targets.items():
            if name not in here or name in self.hands_off:
                continue
            try:
                grip = self._grip(here[name])
                cores = self._bounded(grip, target, taken)
                if (
                    write := self._needed(grip, cores, target.victim, target.reason, now_seconds)
                ) is not None:
                    writes.append(write)
            except (Gone, Refused) as error:
                log.warning("%s can't be adjusted: %s", name, error)
        for name, grip in self._grips.items():
            if name not in targets and not grip.contended:
                back = self._needed(grip, math.inf, "", "given back", now_seconds)
                if back is not None:
                    writes.append(back)
        for write in sorted(writes, key=lambda write: write.order):
            revisions.append(self._carry_out(write, now_seconds, wall))
        return revisions

    def restore_all(self, reason: str, now_seconds: float, wall: float) -> list[Revision]:
        """Give every limit back to its base at once; exempt from the write interval."""
        writes = [
            _Write(grip, grip.written, grip.base, "", reason)
            for grip in self._grips.values()
            if grip.written is not None
        ]
        ordered = sorted(writes, key=lambda write: write.order)
        return [self._carry_out(write, now_seconds, wall) for write in ordered]

    def _grip(self, container: Container) -> Grip:
        grip = self._grips.get(container.id)
        if grip is None:
            grip = Grip(container, self._node.limit(container.cgroup))
            self._grips[container.id] = grip
        elif grip.written is None and grip.dry_cores is None:
            grip.base = self._node.limit(container.cgroup)
        return grip

    def _bounded(self, grip: Grip, target: Target, taken: _Budget) -> float:
        """The target within floor, base or ceiling, and the largest part of the node that may be taken.

        Infinite where that comes to the base, or to no limit that could bind.
        """
        container, base = grip.container, grip.base.cores
        if target.victim == target.container:
            ceiling = container.ceiling_cores
            if ceiling is None:
                ceiling = base * self.settings.own_limit.ceiling_ratio
            outer = [self._node.limit(group).cores for group in self._node.ancestors(container.cgroup)]
            raised = min(target.cores, ceiling, float(self._node.cpus), *outer)
            return raised if raised > base else math.inf
        cores = taken.allow(target.reference_cores, max(target.cores, container.floor_cores))
        return cores if cores < min(base, self._node.cpus) else math.inf

    def _needed(
        self, grip: Grip, cores: float, victim: str, reason: str, now_seconds: float
    ) -> _Write | None:
        """The write that brings a group to `cores`, or None when it is not due."""
        executor = self.settings.executor
        if self.settings.dry_run:
            old = grip.base if grip.dry_cores is None else grip.base.with_cores(grip.dry_cores)
        else:
            old = grip.base if grip.written is None else grip.written
        new = grip.base if math.isinf(cores) else grip.base.with_cores(cores)
        if new == old or now_seconds - grip.written_at_seconds < executor.min_interval:
            return None
        if grip.reset_at_seconds is not None and new != grip.base:
            return None  # someone put it back to its base: not before the back-off is over
        if new != grip.base and abs(new.cores - old.cores) < executor.dead_band_cores:
            return None
        return _Write(grip, old, new, victim, reason)

    def _carry_out(self, write: _Write, now_seconds: float, wall: float) -> Revision:
        """Record, write, read back, mark. A write that did not take is rolled back."""
        grip = write.grip
        if self.settings.dry_run:
            grip.dry_cores = None if write.to_base else write.new.cores
            grip.written_at_seconds = now_seconds
            return _revision(write, "dry-run")
        group = grip.container.cgroup
        try:
            numbers = self._record(write, wall)
        except JournalError as error:
            self.journal_problem = f"{error}; no new limit is set until it works"
            if not write.towards_base:
                return _revision(write, "not-recorded", str(error))
            numbers = []
        try:
            if self._node.inode(group) != grip.container.inode:
                raise Gone(f"{group} is another cgroup now")
            result = self._write_and_check(write)
        except Gone as error:
            self._let_go(grip.container.id)
            return _revision(write, "gone", str(error))
        except Refused as error:
            grip.written_at_seconds = now_seconds
            return self._refused(write, numbers, error)
        grip.written_at_seconds, grip.refusals = now_seconds, 0
        grip.written = None if write.to_base else write.new
        if write.to_base:
            self._restore_burst(grip)
        self._close_record(write, numbers, result)
        return _revision(write, result)

    def _record(self, write: _Write, wall: float) -> list[int]:
        if self._journal is None:
            return []
        grip = write.grip
        if grip.written is None:
            try:
                grip.base_burst_us = self._node.burst_us(grip.container.cgroup)
            except (Gone, Refused):
                grip.base_burst_us = None
        intent = Intent(
            group=grip.container.cgroup,
            inode=grip.container.inode,
            container=grip.container.id,
            victim=write.victim,
            old=write.old,
            new=write.new,
            base=grip.base,
            base_burst_us=grip.base_burst_us,
            reason=write.reason,
            at_seconds=wall,
        )
        numbers = self._journal.intend([intent])
        self.journal_problem = ""
        return numbers

    def _write_and_check(self, write: _Write) -> Result:
        group = write.grip.container.cgroup
        self._node.set_limit(group, write.new)
        found = self._node.limit(group)
        if not _same(found, write.new):
            self._node.set_limit(group, write.old)
            raise Refused(group, "cpu limit", 0, f"{write.new.quota_us}, read back {found.quota_us}")
        return "restored" if write.to_base else "applied"

    def _refused(self, write: _Write, numbers: list[int], error: Refused) -> Revision:
        grip = write.grip
        grip.refusals += 1
        if grip.refusals >= REFUSALS_BEFORE_HANDS_OFF and not write.to_base:
            grip.contended = f"the kernel refuses its limit: {error}"
        if grip.written is None:
            self._forget(grip)
        else:
            self._mark(numbers, "refused")
        return _revision(write, "rolled-back" if error.errno == 0 else "refused", str(error))

    def _restore_burst(self, grip: Grip) -> None:
        if not grip.base_burst_us:
            return
        try:
            if self._node.burst_us(grip.container.cgroup) != grip.base_burst_us:
                self._node.set_burst_us(grip.container.cgroup, grip.base_burst_us)
        except (Gone, Refused) as error:
            log.warning("the burst of %s is not restored: %s", grip.container.id, error)

    def _watch(self, name: str, grip: Grip, now_seconds: float) -> list[Revision]:
        """Compare a held group with what we wrote; a foreign value moves the base."""
        written = grip.written
        try:
            found = self._node.limit(grip.container.cgroup)
        except Gone:
            self._let_go(name)
            return []
        except Refused as error:
            log.warning("%s can't be read back: %s", name, error)
            return []
        if written is None or _same(found, written):
            grip.reset_at_seconds = None
            return []
        if not _same(found, grip.base):
            log.info("%s: someone else set %s; that is its base now", name, found)
            revision = _seen(grip, found, "a foreign value is adopted as the base")
            grip.base, grip.written = found, None
            self._forget(grip)
            return [revision]
        if grip.reset_at_seconds is None:
            grip.fights += 1
            grip.reset_at_seconds = now_seconds
            if grip.fights >= FIGHTS_BEFORE_HANDS_OFF:
                grip.contended = "someone else puts its limit back again and again; it is left alone"
                grip.written = None
                self._forget(grip)
            return [_seen(grip, found, "someone else put it back to its base")]
        if now_seconds - grip.reset_at_seconds >= self.settings.executor.reassert_after:
            grip.reset_at_seconds, grip.written = None, None  # the next round writes it once more
        return []

    def _let_go(self, name: str) -> None:
        grip = self._grips.pop(name)
        if grip.written is not None:
            self._forget(grip)

    def _close_record(self, write: _Write, numbers: list[int], result: Result) -> None:
        if write.to_base:
            self._forget(write.grip)
        else:
            self._mark(numbers, result)

    def _mark(self, numbers: list[int], result: str) -> None:
        if self._journal is not None and numbers:
            try:
                self._journal.mark(numbers, result)
            except JournalError as error:
                self.journal_problem = str(error)

    def _forget(self, grip: Grip) -> None:
        if self._journal is not None:
            try:
                self._journal.forget(grip.container.cgroup, grip.container.inode)
            except JournalError as error:
                self.journal_problem = str(error)


class _Budget:
    """The most that may be taken from all held containers together."""

    def __init__(self, cores: float) -> None:
        self._left = cores

    def allow(self, reference_cores: float, target_cores: float) -> float:
        """The target, or what the budget still lets it fall to."""
        taken = max(0.0, reference_cores - target_cores)
        granted = min(taken, self._left)
        self._left -= granted
        return target_cores if granted == taken else reference_cores - granted


def _same(one: CpuLimit, other: CpuLimit) -> bool:
    return one.quota_us == other.quota_us


def _revision(write: _Write, result: Result, detail: str = "") -> Revision:
    return Revision(
        container=write.grip.container.id,
        group=write.grip.container.cgroup,
        victim=write.victim,
        old_cores=_finite(write.old.cores),
        new_cores=_finite(write.new.cores),
        base_cores=_finite(write.grip.base.cores),
        reason=write.reason,
        result=result,
        detail=detail,
    )


def _seen(grip: Grip, found: CpuLimit, reason: str) -> Revision:
    old = grip.base if grip.written is None else grip.written
    return Revision(
        grip.container.id,
        grip.container.cgroup,
        "",
        _finite(old.cores),
        _finite(found.cores),
        _finite(grip.base.cores),
        reason,
        "applied",
        "foreign",
    )


def _finite(cores: float) -> float | None:
    return None if math.isinf(cores) else round(cores, 4)
