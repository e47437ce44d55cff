"""Whatever is asked for, whoever else writes, whatever fails and whenever the agent dies: the laws hold."""

from __future__ import annotations

import errno
import math
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from controller.cases import Target
from models.container import CpuLimit
from tests.controller.rig import CPUS, Crash, Kind, Rig, cut, own

# Ours are made of these and of round steps; what others set later has other digits, so that a value tells
# whose it is: whoever sets exactly our value can't be told from us.
GROUPS: dict[str, tuple[int | None, int]] = {
    "/pod": (300_017, 0),
    "/pod/a": (200_017, 60_000),
    "/pod/b": (None, 0),
    "/c": (None, 0),
    "/d": (150_017, 0),
}
FLAT = {group.replace("/pod/", "/pod-"): values for group, values in GROUPS.items()}
FLOOR, CEILING_RATIO = 0.2, 1.5

groups = st.sampled_from(sorted(GROUPS))
seconds = st.sampled_from([0.25, 0.25, 0.5, 1.0, 3.0, 15.0])
cores = st.sampled_from(
    [math.nan, -1.0, 0.0, 0.05, 0.2, 0.3, 0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 2.5, 3.5, math.inf]
)
errors = st.sampled_from([errno.EIO, errno.EBUSY, errno.EINVAL, errno.EACCES, errno.ENOSPC])
places = st.tuples(st.sampled_from(["quota", "burst"]), st.sampled_from(["open", "read", "write"]))
foreign_quotas = st.sampled_from([None, 90_101, 120_203, 180_307, 250_409, 380_503])


class Laws(RuleBasedStateMachine):
    """One agent after another over the same groups; what should be is known from outside only."""

    kind: ClassVar[Kind] = "v1"

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.rig = Rig(Path(self.directory.name), self.kind, max_taken_ratio=0.5)
        self.groups = FLAT if self.kind == "simulated" else GROUPS
        self.base: dict[str, int | None] = {}
        self.batches: dict[str, float] = {}
        for group in self.groups:
            self.create(group)
        self.hidden: set[str] = set()

    def create(self, group: str) -> None:
        quota_us, burst_us = self.groups[group]
        fake = self.kind != "simulated"
        self.rig.add(
            group,
            CpuLimit(quota_us),
            burst_us if fake else 0,
            floor_cores=FLOOR,
            ceiling_cores=None if quota_us is None else CEILING_RATIO * quota_us / 100_000,
        )
        self.base[group] = self.rig.limit(group).quota_us
        self.batches.pop(group, None)

    def teardown(self) -> None:
        if hasattr(self, "rig"):
            self.calm_down()
            self.rig.die()
            self.directory.cleanup()

    # ---- what happens

    @rule(wishes=st.dictionaries(groups, st.tuples(cores, st.booleans())), after=seconds)
    def tick(self, wishes: dict[str, tuple[float, bool]], after: float) -> None:
        self.rig.now += after
        self.round(
            [
                own(self.known(name), to) if to_raise else cut(self.known(name), to)
                for name, (to, to_raise) in wishes.items()
            ]
        )

    @rule(group=groups, quota_us=foreign_quotas)
    def write_from_outside(self, group: str, quota_us: int | None) -> None:
        self.foreign(group, quota_us)

    @rule(group=groups)
    def put_back_from_outside(self, group: str) -> None:
        group = self.known(group)
        if group in self.base:
            self.foreign(group, self.base[group])

    @rule(group=groups, place=places, number=errors)
    def break_a_file(self, group: str, place: tuple[str, str], number: int) -> None:
        if self.kind != "simulated" and group in self.base:
            file = self.rig.limit_file() if place[0] == "quota" else self.rig.burst_file()
            self.rig.tree.fail(group, file, number, place[1])  # type: ignore[arg-type]

    @rule(number=errors)
    def a_write_that_lies(self, number: int) -> None:
        self.rig.files.lie = number

    @rule()
    def mend_files(self) -> None:
        self.rig.tree.heal()
        self.rig.files.lie = 0

    @rule(broken=st.booleans())
    def break_or_mend_the_journal(self, broken: bool) -> None:
        self.rig.journal.broken = broken

    @rule(group=st.sampled_from(["/c", "/d", "/pod/a"]), again=st.booleans())
    def vanish(self, group: str, again: bool) -> None:
        group = self.known(group)
        if self.kind == "simulated":
            if group in self.base:
                self.rig.node.vanish(group)  # type: ignore[attr-defined]
        else:
            self.rig.tree.remove(group)
        self.base.pop(group, None)
        if again:
            self.create(group)

    @rule(group=st.sampled_from(["/c", "/d"]))
    def come(self, group: str) -> None:
        if group not in self.base:
            self.create(group)

    @rule(group=groups)
    def hide_or_show(self, group: str) -> None:
        self.hidden ^= {self.known(group)}

    @rule(on=st.booleans())
    def dry_run(self, on: bool) -> None:
        self.rig.executor.settings = self.rig.settings.model_copy(update={"dry_run": on})

    @rule()
    def operator_restores(self) -> None:
        self.count(lambda: self.rig.restore_all(), exempt=True)

    @rule(after=st.integers(0, 60), of_journal=st.booleans(), restore=st.booleans())
    def die_soon(self, after: int, of_journal: bool, restore: bool) -> None:
        """The agent dies within its next round, or right after it, and another one is started."""
        (self.rig.journal if of_journal else self.rig.files).crash_in = after % 6 if of_journal else after
        self.rig.now += 1.0
        with suppress(Crash):
            self.round([cut(group, 0.5) for group in self.base])
        self.rig.die()
        self.batches.clear()  # the next one does not know when the last write was
        self.rig.start()
        self.check_values()
        if restore:
            self.rig.die()
            self.rig.start(restore=True)

    # ---- what always holds

    @invariant()
    def laws(self) -> None:
        if hasattr(self, "rig"):
            self.check_values()

    def check_values(self) -> None:
        holds = None
        for group, base in self.base.items():
            found = self.rig.limit(group)
            if found.quota_us == base:
                continue
            own_base = CpuLimit(base).cores
            assert found.cores >= min(FLOOR, own_base)
            quota_us = self.groups[group][0]
            ceiling = 3 * own_base if quota_us is None else CEILING_RATIO * quota_us / 100_000
            assert found.cores <= max(own_base, min(ceiling, CPUS))
            if holds is None:
                holds = self.read_holds()
            hold = holds[group, self.rig.containers[group].inode]
            assert found.quota_us in hold, f"{group} holds {found}, not known as ours"
            assert hold[found.quota_us] == base, "its base is lost"

    def read_holds(self) -> dict[tuple[str, int], dict[int | None, int | None]]:
        return {
            (hold.group, hold.inode): dict.fromkeys(hold.ours, hold.base.quota_us)
            for hold in self.rig.holds().values()
        }

    # ---- how it is done

    def known(self, group: str) -> str:
        return group.replace("/pod/", "/pod-") if self.kind == "simulated" else group

    def foreign(self, group: str, quota_us: int | None) -> None:
        group = self.known(group)
        if group not in self.base or self.rig.limit(group).quota_us == quota_us:
            return
        if self.rig.write_from_outside(group, CpuLimit(quota_us)):
            self.base[group] = quota_us

    def round(self, asked: list[Target]) -> None:
        rig = self.rig
        listed = [c for c in rig.containers.values() if c.cgroup not in self.hidden]
        targets = {target.container: target for target in asked}
        rig.executor.keep_up(listed, rig.now)
        self.count(lambda: rig.executor.apply(targets, listed, rig.now, rig.now))

    def count(self, act, exempt: bool = False) -> None:
        before = len(self.rig.written())
        try:
            act()
        finally:
            for group in set(self.rig.written()[before:]):
                last = self.batches.get(group, -math.inf)
                assert exempt or self.dry or self.rig.now - last >= 1.0, f"{group} was written too often"
                self.batches[group] = self.rig.now

    @property
    def dry(self) -> bool:
        return self.rig.executor.settings.dry_run

    def calm_down(self) -> None:
        """Nothing fails any more: within a few rounds everything is back, whatever was before."""
        rig = self.rig
        rig.tree.heal()
        rig.files.lie, rig.journal.broken = 0, False
        for _ in range(4):
            rig.now += 1.0
            self.round([])
        for group, base in self.base.items():
            if not self.ancestor_forbids(group, base):
                assert rig.limit(group).quota_us == base
                assert self.kind == "simulated" or rig.burst_us(group) == self.groups[group][1]
        left = {group for group in rig.holds() if not self.ancestor_forbids(group, self.base[group])}
        assert left == set()

    def ancestor_forbids(self, group: str, base: int | None) -> bool:
        """Someone has set the pod below what its container is to have; v1 refuses that."""
        pod = self.base.get("/pod") if group.startswith("/pod/") else None
        return self.kind == "v1" and pod is not None and base is not None and base > pod


class V2Laws(Laws):
    kind = "v2"


class SimulatedLaws(Laws):
    kind = "simulated"


OPTIONS = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
for machine in (Laws, V2Laws, SimulatedLaws):
    machine.TestCase.settings = OPTIONS
TestV1 = pytest.mark.filterwarnings("ignore")(Laws.TestCase)
TestV2 = pytest.mark.filterwarnings("ignore")(V2Laws.TestCase)
TestSimulated = pytest.mark.filterwarnings("ignore")(SimulatedLaws.TestCase)
