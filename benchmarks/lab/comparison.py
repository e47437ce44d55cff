"""Real and simulated runs set beside each other, and the page that tells of it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.lab.figures import figures
from benchmarks.lab.run import Run
from benchmarks.lab.traits import Pair, Traits, surge_p95_seconds

GOAL_RATIO = 0.2
GOAL_SCENARIOS = ("s1-", "s2-", "s5-", "s10-", "s13-")
# A p95 is that of a second, in steps of a tenth: times can't be told from each other better than this.
NEAR_SECONDS = 0.5


@dataclass(frozen=True)
class Sides:
    """One figure, real and simulated. Infinite: never, as the recovery of a run that did not recover."""

    real: float
    simulated: float

    @property
    def error_ratio(self) -> float:
        """How far the simulated figure is off, relative to the real one; infinite when only one is finite."""
        if self.real == self.simulated:
            return 0.0
        if not math.isfinite(self.real) or not math.isfinite(self.simulated) or self.real == 0:
            return math.inf
        return self.simulated / self.real - 1

    def is_near(self, near: float = 0.0) -> bool:
        """Whether it is off by at most `GOAL_RATIO`, or by at most `near` in its own unit."""
        within = abs(self.simulated - self.real) <= near if math.isfinite(self.real) else False
        return within or abs(self.error_ratio) <= GOAL_RATIO


@dataclass(frozen=True)
class Comparison:
    """One run on both stages; times and latencies in seconds. Offline work is in CPU seconds: the real units
    by what a unit cost in that scenario's runs. `recover` is None where nothing was to recover from."""

    scenario: str
    controller: str
    seed: int
    p95: Sides
    recover: Sides | None
    work: Sides


def compare(real: Pair, simulated: Run, nones: tuple[Run, Run] | None, unit_seconds: float) -> Comparison:
    """`nones`: the runs of the same seed without control, real and simulated: both are told against the real
    one's onset, so that the onset's own error is not that of every controller. `unit_seconds`: see
    `unit_cost_seconds`."""
    run, scenario = real
    onset = nones[0] if nones else None
    told, mine = (figures(each, scenario, none=onset) for each in (run, simulated))
    recover = None
    if told.onset_at_seconds is not None:
        recover = Sides(*(_never(each.time_to_recover_seconds) for each in (told, mine)))
    return Comparison(
        scenario=scenario.name,
        controller=run.controller,
        seed=run.seed,
        p95=Sides(surge_p95_seconds(real), surge_p95_seconds((simulated, scenario))),
        recover=recover,
        work=Sides(
            sum(told.offline_work_units.values()) * unit_seconds, sum(mine.offline_work_units.values())
        ),
    )


def unit_cost_seconds(runs: Iterable[Pair]) -> float:
    """CPU seconds that a unit of work cost the peers of these runs, all together; 1 without any work."""
    used = done = 0.0
    for run, scenario in runs:
        for peer in scenario.peers:
            group = run.groups[peer.name]
            used += float(group.usage_seconds[-1] - group.usage_seconds[0])
            done += float(group.work_units[-1] - group.work_units[0])
    return used / done if done else 1.0


def victims_share(pair: Pair) -> float:
    """Of the CPU that the victim and the peers had in the surge, the victim's part."""
    run, scenario = pair
    used = {
        name: float(
            np.diff(np.interp(scenario.surge_seconds, run.at_seconds, run.groups[name].usage_seconds))[0]
        )
        for name in (scenario.victim.name, *(peer.name for peer in scenario.peers))
    }
    return used[scenario.victim.name] / sum(used.values())


def page(comparisons: Sequence[Comparison], traits: Traits, shares: Sequence[float], about: str) -> str:
    """The tables as Markdown. `shares`: the victim's, of the real runs without control in which both wanted
    all CPUs."""
    rows, near = [], dict[str, list[bool]]()
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for one in comparisons:
        groups.setdefault((one.scenario, one.controller), []).append(one)
    for (scenario, controller), runs in sorted(groups.items()):
        p95, work = _medians([run.p95 for run in runs]), _medians([run.work for run in runs])
        recover = _medians([run.recover for run in runs if run.recover is not None])
        marks = {
            "p95": p95 is not None and p95.is_near(),
            "recover": recover is None or recover.is_near(NEAR_SECONDS),
            "work": work is not None and work.is_near(NEAR_SECONDS),
        }
        near.setdefault(scenario, []).append(all(marks.values()))
        off = ", ".join(name for name, ok in marks.items() if not ok) or "-"
        cells = (scenario, controller, str(len(runs)), _cell(p95), _cell(recover), _cell(work), off)
        rows.append(f"| {' | '.join(cells)} |")
    goal = [
        f"| {scenario} | {sum(oks)} of {len(oks)} |"
        for scenario, oks in sorted(near.items())
        if scenario.startswith(GOAL_SCENARIOS)
    ]
    spread = f"{min(shares):.0%} to {max(shares):.0%}" if shares else "not measured"
    return "\n".join(
        [
            _HEAD.format(goal=GOAL_RATIO, near=NEAR_SECONDS),
            *rows,
            "\n| scenario of the goal | controllers near in all three figures |\n|---|---|",
            *goal,
            _TRUST.format(spread=spread, count=len(shares)),
            f"{traits}. {about}\n",
        ]
    )


_HEAD = """\
# The simulator held against the kernel

`python -m benchmarks.lab.compare --docs` writes this page. For every valid real run the same scenario,
controller, seed and SLO are simulated. The figures are medians over the seeds, real → simulated, and how far
the simulated one is off. Near is at most {goal:.0%}, or {near:g} s of times and of work.

| scenario | controller | seeds | p95 in surge (s) | time to recover (s) | offline work (CPU s) | not near |
|---|---|---:|---|---|---|---|"""

_TRUST = """
## Where not to trust it

- *How two groups share that both want all CPUs.* By weight a service and busy loops would have half each; on
  the kernel the service had {spread} here ({count} runs without control). It depends on which threads lie on
  which CPU, stays so within a run and differs between runs. The simulator has one mean share
  (`sleeper_bonus_ratio`): the p95 of an uncontrolled run, a small difference of large rates, can be off by
  a factor.
- *Latencies near those of the service alone.* How threads wait behind each other on one CPU is one figure
  (`stacked_ratio`); its spread over time, and the service's event loop, are not simulated.
- *Caches, memory bandwidth, disks, servers of others.* Peers of every kind are busy loops here, and nginx is
  the lab's own service. A peer that hurts by anything but CPU time is innocent here.
- *Delays of the agent and of the generator.* Scrapes and ticks come on time, requests leave on time.
- *Memory, and CPU sets that overlap in part,* are not there at all.
"""


def _medians(sides: Sequence[Sides]) -> Sides | None:
    if not sides:
        return None
    return Sides(median(side.real for side in sides), median(side.simulated for side in sides))


def _cell(sides: Sides | None) -> str:
    if sides is None:
        return "-"
    off = f" ({sides.error_ratio:+.0%})" if math.isfinite(sides.error_ratio) else ""
    return f"{_number(sides.real)} → {_number(sides.simulated)}{off}"


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "never"


def _never(value: float | None) -> float:
    return math.inf if value is None else value
