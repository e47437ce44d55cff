"""Carrying writes out: look, record, write, read back, mark; whatever one group does, the others get theirs.

Nothing is written on top of what somebody else wrote, and nothing away from its base without an entry in the
journal. A write to the base waits for no journal.
"""

from __future__ import annotations

import errno
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from backends.base import Gone, Node, Refused
from controller.bounds import at_most
from controller.grip import Grip
from controller.journal import Intent, JournalError
from controller.recorder import Recorder
from controller.revision import Result, Revision, revision
from models.container import CpuLimit

REFUSALS_BEFORE_HANDS_OFF = 3
HANDS_OFF_SECONDS = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Write:
    """One group from `old` to `new`. `taken_cores` is what that takes from it. `back`: to its base, wherever
    that is by then, and its burst too."""

    grip: Grip
    old: CpuLimit
    new: CpuLimit
    victim: str
    reason: str
    taken_cores: float = 0.0
    back: bool = False

    @property
    def towards_base(self) -> bool:
        """Whether it gives something back and takes nothing."""
        base = self.grip.base.cores
        up, down = self.old.cores <= self.new.cores <= base, self.old.cores >= self.new.cores >= base
        return self.grip.held and (up or down)

    @property
    def order(self) -> tuple[bool, int]:
        """Lower before raise; children are lowered before and raised after their parents (v1: EINVAL)."""
        raises = self.new.cores > self.old.cores
        depth = self.grip.container.cgroup.count("/")
        return (raises, depth if raises else -depth)


class Writer:
    """Writes limits to one node."""

    def __init__(self, node: Node, recorder: Recorder) -> None:
        self._node, self._recorder = node, recorder

    def look(self, grip: Grip, now_seconds: float) -> list[Revision]:
        """Read a group back: what somebody else did to it, or that it has gone. Never raises."""
        revisions: list[Revision] = []
        try:
            self._look(grip, now_seconds, revisions)
            if grip.at_base and not grip.base_burst_us:
                self._let_go(grip)
        except Exception as error:
            if not self._is_there(grip):
                self._bury(grip, error, revisions)
        return revisions

    def carry_out(self, writes: Sequence[Write], now_seconds: float, wall_seconds: float) -> list[Revision]:
        """Make these writes, in an order that the kernel takes. Never raises."""
        revisions: list[Revision] = []
        ready = [write for write in writes if self._prepare(write, now_seconds, revisions)]
        recorded = self._record(ready, now_seconds, wall_seconds, revisions)
        for write, number in sorted(recorded, key=lambda item: item[0].order):
            write.grip.tried_at_seconds = now_seconds
            try:
                if write.back:
                    self._give_back(write, now_seconds, wall_seconds, revisions)
                else:
                    self._set(write, number, now_seconds, revisions)
                write.grip.refusals, write.grip.told = 0, ""
            except Exception as error:
                self._fail(write, number, error, now_seconds, revisions)
        self._recorder.flush()
        return revisions

    def _prepare(self, write: Write, now_seconds: float, revisions: list[Revision]) -> bool:
        """Whether the group is still as it was when the write was planned."""
        grip = write.grip
        try:
            foreign = self._look(grip, now_seconds, revisions)
            if write.back:
                return True
            if not grip.held:  # from here on its burst may be lowered: what it was has to be known
                grip.base_burst_us = self._node.burst_us(grip.container.cgroup)
            return not foreign and grip.now == write.old
        except Exception as error:
            grip.tried_at_seconds = now_seconds
            self._fail(write, 0, error, now_seconds, revisions)
            return False

    def _record(
        self, writes: list[Write], now_seconds: float, wall_seconds: float, revisions: list[Revision]
    ) -> list[tuple[Write, int]]:
        """The writes that may be made, with their numbers in the journal."""
        back = [(write, 0) for write in writes if write.back]
        others = [write for write in writes if not write.back]
        try:
            numbers = self._recorder.intend([_intent(write, wall_seconds) for write in others])
        except JournalError as error:
            for write in others:
                if write.towards_base:  # a step that nobody would know of after a crash: all the way then
                    back.append((replace(write, new=write.grip.base, back=True), 0))
                else:
                    write.grip.tried_at_seconds = now_seconds
                    self._tell(write, "not-recorded", str(error), revisions)
            return back
        for write in others:
            write.grip.hold(write.new.quota_us)
        return [*back, *zip(others, numbers, strict=True)]

    def _set(self, write: Write, number: int, now_seconds: float, revisions: list[Revision]) -> None:
        grip = write.grip
        grip.taken_cores = max(grip.taken_cores, write.taken_cores)  # should it take in spite of an error
        self._node.set_limit(grip.container.cgroup, write.new)
        grip.now, grip.taken_cores = write.new, write.taken_cores
        try:
            foreign = self._look(grip, now_seconds, revisions)
        except Refused as error:  # it was taken, so it counts as ours; the next round looks again
            revisions.append(_revision(write, "applied", f"not read back: {error}"))
            return
        revisions.append(_revision(write, "applied"))
        if not foreign:
            self._recorder.mark(number, "applied")
            grip.applied(write.new)

    def _give_back(
        self, write: Write, now_seconds: float, wall_seconds: float, revisions: list[Revision]
    ) -> None:
        grip, group = write.grip, write.grip.container.cgroup
        if not grip.at_base:
            try:
                self._node.set_limit(group, grip.base)
            except Refused as error:
                if error.errno == errno.EINVAL:
                    self._go_as_far_as_allowed(write, now_seconds, wall_seconds, revisions)
                raise
            grip.now = grip.base
            foreign = self._look(grip, now_seconds, revisions)
            if not grip.at_base:
                raise Refused(group, "its limit", errno.EAGAIN, str(grip.base.quota_us))
            if not foreign:
                grip.dispute.settle_down()
            revisions.append(_revision(replace(write, new=grip.base), "restored"))
        self._restore_burst(grip)
        self._let_go(grip)

    def _restore_burst(self, grip: Grip) -> None:
        group, base_us = grip.container.cgroup, grip.base_burst_us
        if not base_us:
            return
        found_us = self._node.burst_us(group)
        if found_us is None or found_us == base_us or found_us not in grip.ours:
            return
        top_us = base_us if grip.base.quota_us is None else min(base_us, grip.base.quota_us)
        if found_us != top_us:
            self._node.set_burst_us(group, top_us)

    def _go_as_far_as_allowed(
        self, write: Write, now_seconds: float, wall_seconds: float, revisions: list[Revision]
    ) -> None:
        """Someone has set an ancestor below the base: v1 refuses the base as long as that stands."""
        grip, group = write.grip, write.grip.container.cgroup
        above = min((self._node.limit(path).cores for path in self._node.ancestors(group)), default=0.0)
        new = at_most(grip.base, min(above, grip.base.cores)) if above < math.inf else grip.base
        if not grip.now.cores < new.cores < grip.base.cores:
            return
        step = replace(write, old=grip.now, new=new, back=False)
        try:
            (number,) = self._recorder.intend([_intent(step, wall_seconds)])
        except JournalError:
            return
        grip.hold(new.quota_us)
        self._set(step, number, now_seconds, revisions)

    def _fail(
        self, write: Write, number: int, error: Exception, now_seconds: float, revisions: list[Revision]
    ) -> None:
        """The group did not take it, or could not be read."""
        grip = write.grip
        if not self._is_there(grip):
            self._bury(grip, error, revisions)
            return
        if not isinstance(error, Gone | Refused):
            log.error("%s: %s", grip.container.id, error, exc_info=error)
        grip.refusals += 1
        if grip.refusals >= REFUSALS_BEFORE_HANDS_OFF and not write.back and not grip.dispute.contended:
            grip.dispute.leave_alone(f"its limit can't be set: {error}", now_seconds + HANDS_OFF_SECONDS)
        back = not write.back and grip.held and self._roll_back(grip, now_seconds, revisions)
        result: Result = "rolled-back" if back else "refused"
        if number:
            self._recorder.mark(number, result)
        self._tell(write, result, str(error), revisions)

    def _roll_back(self, grip: Grip, now_seconds: float, revisions: list[Revision]) -> bool:
        """After a refused write: if the group has its base, let it have its burst too, and let go of it."""
        try:
            self._look(grip, now_seconds, revisions)
            if not grip.at_base:
                return False
            self._restore_burst(grip)
        except Exception:
            return False  # it stays held, and is given back as soon as it can be
        self._let_go(grip)
        return True

    def _look(self, grip: Grip, now_seconds: float, revisions: list[Revision]) -> bool:
        """Read the group's limit; whether somebody else has changed it. Raises Gone, Refused."""
        group = grip.container.cgroup
        if self._node.inode(group) != grip.container.inode:
            raise Gone(f"{group} is another cgroup now")
        before = grip.now
        what = grip.see(self._node.limit(group), now_seconds)
        if what:
            revisions.append(revision(grip, before, grip.now, what, "foreign"))
        return bool(what)

    def _is_there(self, grip: Grip) -> bool:
        """False only when it is certain: what is taken for gone is never given back."""
        try:
            return self._node.inode(grip.container.cgroup) == grip.container.inode
        except Gone:
            return False
        except Exception:
            return True

    def _bury(self, grip: Grip, error: Exception, revisions: list[Revision]) -> None:
        if grip.held:
            gone = revision(grip, grip.now, grip.now, "its group has gone", "gone", detail=str(error))
            revisions.append(gone)
        grip.gone = True
        self._let_go(grip)

    def _let_go(self, grip: Grip) -> None:
        if grip.held:
            grip.release()
            self._recorder.forget(grip)

    def _tell(self, write: Write, result: Result, detail: str, revisions: list[Revision]) -> None:
        """A failure that goes on is told once."""
        if write.grip.told != detail:
            write.grip.told = detail
            revisions.append(_revision(write, result, detail))


def _revision(write: Write, result: Result, detail: str = "") -> Revision:
    return revision(
        write.grip, write.old, write.new, write.reason, result, victim=write.victim, detail=detail
    )


def _intent(write: Write, wall_seconds: float) -> Intent:
    grip = write.grip
    return Intent(
        group=grip.container.cgroup,
        inode=grip.container.inode,
        container=grip.container.id,
        victim=write.victim,
        old=write.old,
        new=write.new,
        base=grip.base,
        base_burst_us=grip.base_burst_us,
        reason=write.reason,
        at_seconds=wall_seconds,
    )
