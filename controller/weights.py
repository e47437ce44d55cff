"""Carrying out rung 0: the weights and cpu.idle of groups, set and given back as limits are.

One group at a time: look, record, write, read back. Nothing is written on top of what somebody else wrote,
nothing without an entry in the journal, and a group's base waits for no journal. Unlike a quota a weight
takes nothing from anybody while there is CPU left, and writing it refills no runtime; the write interval
holds all the same.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping

from backends.base import Gone, Node, Refused
from controller.cases import Alert, WeightTarget
from controller.config import Config
from controller.journal import JournalError, WeightHold
from controller.recorder import Recorder
from controller.revision import Result, Revision
from controller.weight_grip import WeightGrip
from models.container import CpuWeight

DEFAULT_SHARES = 1024
UNFIT_SECONDS = 60.0  # a group that can't carry it is asked again after so long

log = logging.getLogger(__name__)


class Weights:
    """Holds every weight that is not at its base, and gives it back."""

    def __init__(self, node: Node, recorder: Recorder) -> None:
        """Takes over what the journal says is still held. Raises JournalError."""
        self._node, self._recorder = node, recorder
        self._default = CpuWeight(node.weight_of(DEFAULT_SHARES))
        grips = (WeightGrip.of(hold, self._default) for hold in recorder.weights_held_before())
        self._grips = {grip.group: grip for grip in grips}

    @property
    def left_alone(self) -> frozenset[str]:
        """Groups that rung 0 is not to be tried on: others insist, or it is of no use there."""
        return frozenset(group for group, grip in self._grips.items() if grip.dispute.contended or grip.unfit)

    @property
    def alerts(self) -> list[Alert]:
        """What a person should know of writing weights."""
        alerts = []
        for grip in self._grips.values():
            stuck = grip.held and grip.refusals
            if message := grip.dispute.contended or (
                f"its weight can't be given back: {grip.told}" if stuck else ""
            ):
                alerts.append(Alert("contended", grip.container, message))
        return alerts

    def held(self) -> dict[str, int]:
        """Groups that have a weight of ours, and which: 0 stands for cpu.idle."""
        return {group: _shown(grip.now) for group, grip in self._grips.items() if grip.in_force}

    def failures(self) -> list[str]:
        """Groups that are still held, each with why it could not be given back."""
        return [f"{grip.group}: {grip.told}" for grip in self._grips.values() if grip.held]

    def keep_up(self, now_seconds: float) -> list[Revision]:
        """Let go of groups that are gone; notice what others wrote to held ones. Writes nothing."""
        revisions: list[Revision] = []
        for grip in list(self._grips.values()):
            try:
                self._look(grip, now_seconds, revisions)
                if grip.at_base:
                    self._let_go(grip)
            except Exception as error:
                self._bury_if_gone(grip, error, revisions)
            if now_seconds >= grip.dispute.until_seconds:
                grip.dispute.make_peace()
            if now_seconds >= grip.unfit_until_seconds:
                grip.unfit = ""
        return revisions

    def apply(
        self, targets: Mapping[str, WeightTarget], settings: Config, now_seconds: float
    ) -> list[Revision]:
        """Set the weights of the target groups, and give the others theirs back. Never raises."""
        wanted = wanted_of(settings, self._node)
        revisions: list[Revision] = []
        for group in [*self._grips.keys() - targets.keys(), *targets]:
            grip, target = self._grips.get(group), targets.get(group)
            try:
                if grip is None and target is not None:
                    grip = self._grips[group] = self._meet(target)
                if grip is None or now_seconds - grip.tried_at_seconds < settings.executor.min_interval:
                    continue
                if settings.dry_run:
                    self._rehearse(grip, target, wanted, now_seconds, revisions)
                elif grip.held and (target is None or wanted is None or grip.ours != wanted):
                    self._give_back(grip, "given back", now_seconds, revisions)
                elif target is not None and wanted is not None and self._due(grip, settings, now_seconds):
                    self._set(grip, target, wanted, now_seconds, revisions)
            except Exception as error:
                log.warning("%s: its weight can't be told: %s", group, error)
        return revisions

    def restore_all(self, reason: str, now_seconds: float) -> list[Revision]:
        """Give every weight back at once, and make peace with whoever fought for one. Never raises."""
        revisions: list[Revision] = []
        for grip in list(self._grips.values()):
            grip.told = ""  # whoever asks for it hears of every failure
            if grip.held:
                self._give_back(grip, reason, now_seconds, revisions)
            grip.dispute.make_peace()
        return revisions

    def _meet(self, target: WeightTarget) -> WeightGrip:
        """The grip of a group that was not known. Raises Gone, Refused."""
        inode = self._node.inode(target.group)
        found = self._node.weight(target.group)
        return WeightGrip(target.group, inode, target.container, found, found, self._default)

    def _due(self, grip: WeightGrip, settings: Config, now_seconds: float) -> bool:
        """Whether the group may be given our weight now and has not got it."""
        if grip.in_force or grip.dispute.contended or grip.unfit:
            return False
        return now_seconds - grip.dispute.returned_at_seconds >= settings.executor.reassert_after

    def _fits(self, grip: WeightGrip, wanted: CpuWeight, now_seconds: float) -> bool:
        """Whether our weight is less than what the group has by itself."""
        if grip.base.idle or (not wanted.idle and grip.base.weight <= wanted.weight):
            self._dismiss(grip, "its weight is as low already", now_seconds)
        return not grip.unfit

    def _set(
        self,
        grip: WeightGrip,
        target: WeightTarget,
        wanted: CpuWeight,
        now_seconds: float,
        revisions: list[Revision],
    ) -> None:
        grip.tried_at_seconds, grip.container = now_seconds, target.container
        old = grip.now
        try:
            self._look(grip, now_seconds, revisions)
            if not self._fits(grip, wanted, now_seconds):
                return
            old = grip.now
            self._recorder.hold_weight(WeightHold(grip.group, grip.inode, grip.container, grip.base, wanted))
            grip.ours = wanted
            self._node.reweigh(grip.group, wanted)
            grip.now = wanted
            self._look(grip, now_seconds, revisions)
            grip.refusals, grip.told = 0, ""
            revisions.append(_revision(grip, old, wanted, target.reason, "applied", victim=target.victim))
        except JournalError as error:
            self._tell(grip, old, wanted, target.reason, "not-recorded", str(error), revisions)
        except Exception as error:
            if self._bury_if_gone(grip, error, revisions):
                return
            if isinstance(error, Refused) and error.errno == errno.ENOENT:
                self._dismiss(grip, "this kernel has no cpu.idle", now_seconds)
            else:
                why = f"its weight can't be set: {error}"
                grip.dispute.leave_alone(why, now_seconds + UNFIT_SECONDS)
            self._tell(grip, old, wanted, target.reason, "refused", str(error), revisions)

    def _give_back(
        self, grip: WeightGrip, reason: str, now_seconds: float, revisions: list[Revision]
    ) -> None:
        grip.tried_at_seconds, old = now_seconds, grip.now
        try:
            self._look(grip, now_seconds, revisions)
            disturbed = not grip.in_force
            old = grip.now
            if not grip.at_base:
                self._write_base(grip)
                revisions.append(_revision(grip, old, grip.base, reason, "restored"))
            if not disturbed:
                grip.dispute.settle_down()
            grip.refusals, grip.told = 0, ""
            self._let_go(grip)
        except Exception as error:
            if not self._bury_if_gone(grip, error, revisions):
                grip.refusals += 1
                self._tell(grip, old, grip.base, reason, "refused", str(error), revisions)

    def _write_base(self, grip: WeightGrip) -> None:
        """Raises Gone, Refused. What the group has then, half way back perhaps, counts as our doing."""
        try:
            self._node.reweigh(grip.group, grip.base)
        finally:
            grip.now = self._node.weight(grip.group)
        if not grip.at_base:
            raise Refused(grip.group, "its weight", errno.EAGAIN, str(grip.base.weight))

    def _rehearse(
        self,
        grip: WeightGrip,
        target: WeightTarget | None,
        wanted: CpuWeight | None,
        now_seconds: float,
        revisions: list[Revision],
    ) -> None:
        """Give back what is still held from before it became a dry run; then only note."""
        if grip.held:
            self._give_back(grip, "dry run: nothing is held any more", now_seconds, revisions)
            return
        rehearsed = target is not None and wanted is not None and self._fits(grip, wanted, now_seconds)
        if rehearsed == grip.rehearsed or wanted is None:
            return
        grip.rehearsed, grip.tried_at_seconds = rehearsed, now_seconds
        old, new = (grip.base, wanted) if rehearsed else (wanted, grip.base)
        victim, reason = (target.victim, target.reason) if target else ("", "given back")
        revisions.append(_revision(grip, old, new, reason, "dry-run", victim=victim))

    def _look(self, grip: WeightGrip, now_seconds: float, revisions: list[Revision]) -> None:
        """Read the group back. Raises Gone, Refused."""
        if self._node.inode(grip.group) != grip.inode:
            raise Gone(f"{grip.group} is another cgroup now")
        before = grip.now
        if what := grip.see(self._node.weight(grip.group), now_seconds):
            revisions.append(_revision(grip, before, grip.now, what, "foreign"))

    def _bury_if_gone(self, grip: WeightGrip, error: Exception, revisions: list[Revision]) -> bool:
        """Let go of a group that is certainly not there any more."""
        try:
            if self._node.inode(grip.group) == grip.inode:
                return False
        except Gone:
            pass
        except Exception:
            return False
        if grip.held:
            revisions.append(
                _revision(grip, grip.now, grip.now, "its group has gone", "gone", detail=str(error))
            )
        self._let_go(grip)
        self._grips.pop(grip.group, None)
        return True

    def _dismiss(self, grip: WeightGrip, why: str, now_seconds: float) -> None:
        if grip.unfit != why:
            log.info("%s: no weight is set there: %s", grip.group, why)
        grip.unfit, grip.unfit_until_seconds = why, now_seconds + UNFIT_SECONDS

    def _let_go(self, grip: WeightGrip) -> None:
        if grip.held:
            grip.ours = None
            self._recorder.forget_weight(grip.group, grip.inode)

    def _tell(
        self,
        grip: WeightGrip,
        old: CpuWeight,
        new: CpuWeight,
        reason: str,
        result: Result,
        detail: str,
        revisions: list[Revision],
    ) -> None:
        """A failure that goes on is told once."""
        if grip.told != detail:
            grip.told = detail
            revisions.append(_revision(grip, old, new, reason, result, detail=detail))


def wanted_of(settings: Config, node: Node) -> CpuWeight | None:
    """What rung 0 writes by this configuration; None: nothing."""
    rung0 = settings.rung0
    if rung0.actuator == "off":
        return None
    return CpuWeight(0, idle=True) if rung0.actuator == "idle" else CpuWeight(node.weight_of(rung0.weight))


def _shown(weight: CpuWeight) -> int:
    return 0 if weight.idle else weight.weight


def _revision(
    grip: WeightGrip,
    old: CpuWeight,
    new: CpuWeight,
    reason: str,
    result: Result,
    *,
    victim: str = "",
    detail: str = "",
) -> Revision:
    return Revision(
        container=grip.container,
        group=grip.group,
        victim=victim,
        old_cores=None,
        new_cores=None,
        base_cores=None,
        reason=reason,
        result=result,
        detail=detail,
        rung="idle" if old.idle or new.idle else "weight",
        old_weight=_shown(old),
        new_weight=_shown(new),
        base_weight=_shown(grip.base),
    )
