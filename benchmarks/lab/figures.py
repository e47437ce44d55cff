"""The figures of one run, from its columns alone: pure, so that every figure can be computed anew.

Definitions are those of the lab's protocol. What happens in the warm-up is dropped from latencies and work,
but a controller's changes count from the observer's first poll on: a limit set before the load is one too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.lab.run import Group, Run
from benchmarks.lab.scenario import Scenario
from controller.demo import figures as common

MOST_SEND_LAG_OF_SLO = 0.10
MOST_FOREIGN_RATIO = 0.05
MOST_STOLEN_RATIO = 0.05
LEAST_OBSERVED_RATIO = 0.98

GIVEN_BACK_RATIO = 0.9
GIVE_BACK_WINDOW_SECONDS = 2.0
GIVE_BACK_STEP_SECONDS = 0.25
DRAIN_FACTOR = 1.5
RECOVER_SECONDS = 5.0

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """What one run is judged by. None: nothing to tell, or the run that it is told against is missing.

    Times count from the onset, the first moment of the surge at which the p95 exceeds the SLO without control
    and with the same arrivals; `time_to_give_back_seconds` from the release. `recovered` and `gave_back`
    tell "never" from "nothing to tell". `time_to_recover_seconds` is 0 for a run that never violated the SLO.
    `recover_bound_seconds`: 5 s, or first cut + 1.5 x the time that the queue built until then needs to drain
    with the guilty peers at their floors, where that is more. `agent_cpu_ratio`: of one CPU.
    """

    over_slo_ratio: float | None
    violation_seconds: float
    judged_seconds: float
    p50_surge_seconds: float | None
    p95_surge_seconds: float | None
    p99_surge_seconds: float | None
    onset_at_seconds: float | None
    time_to_first_cut_seconds: float | None
    time_to_recover_seconds: float | None
    recovered: bool
    recover_bound_seconds: float | None
    longest_relapse_seconds: float | None
    time_to_give_back_seconds: float | None
    gave_back: bool | None
    offline_work_units: dict[str, float]
    offline_work_vs_oracle_ratio: float | None
    limit_changes_per_minute: float
    reversals_per_minute: float
    wrong_actions: int
    culprit_first: bool | None
    agent_cpu_ratio: float | None
    agent_memory_bytes: float | None
    restored: bool

    def tidy(self) -> dict[str, Any]:
        """As JSON takes it: four decimals, no NaN and no infinity."""
        return {name: _tidy(value) for name, value in asdict(self).items()}


def figures(run: Run, scenario: Scenario, *, none: Run | None = None, oracle: Run | None = None) -> Figures:
    """The figures of a run. `none` and `oracle` are those controllers' runs with the same scenario and seed.

    Where the right answer is not to cut, the clairvoyant does nothing: `none` then stands for `oracle`.
    """
    if oracle is None and scenario.answer != "cut":
        oracle = none
    start, end = scenario.surge_seconds
    moments, values = common.p95_series(run.requests, scenario.seconds)
    judged = moments >= scenario.warm_up_seconds + common.WINDOW_SECONDS
    surge = (moments >= start) & (moments <= end)
    onset = None if none is None else onset_at(none, scenario)
    violated = common.onset_at(moments[surge], values[surge], run.slo_seconds, start)
    recovered = common.recovered_at(moments[surge], values[surge], run.slo_seconds, start)
    cut = None if onset is None else first_cut_at(run, scenario, onset)
    given = None if oracle is None else given_back_after(run, oracle, scenario)
    names = [service.name for service in scenario.online] + [peer.name for peer in scenario.peers]
    changed, reversed_ = _moves(run, names, scenario)
    latencies = _between(run, start, end)
    agent = run.groups.get("agent")
    return Figures(
        over_slo_ratio=_mean(_between(run, scenario.warm_up_seconds, scenario.seconds) > run.slo_seconds),
        violation_seconds=common.violation_seconds(moments[judged], values[judged], run.slo_seconds),
        judged_seconds=float(np.count_nonzero(judged) * common.STEP_SECONDS),
        p50_surge_seconds=_percentile(latencies, 50),
        p95_surge_seconds=_percentile(latencies, 95),
        p99_surge_seconds=_percentile(latencies, 99),
        onset_at_seconds=onset,
        time_to_first_cut_seconds=None if cut is None or onset is None else cut - onset,
        time_to_recover_seconds=_time_to_recover(onset, violated, recovered),
        recovered=violated is None or recovered is not None,
        recover_bound_seconds=None if cut is None or onset is None else _bound(run, scenario, onset, cut),
        longest_relapse_seconds=None
        if recovered is None
        else common.longest_relapse_seconds(moments, values, run.slo_seconds, recovered, end),
        time_to_give_back_seconds=given if given is not None and math.isfinite(given) else None,
        gave_back=None if given is None else math.isfinite(given),
        offline_work_units={peer.name: _work(run, peer.name, scenario) for peer in scenario.peers},
        offline_work_vs_oracle_ratio=None if oracle is None else work_ratio(run, oracle, scenario),
        limit_changes_per_minute=float(changed.sum()) / (scenario.seconds / 60),
        reversals_per_minute=float(reversed_.sum()) / (scenario.seconds / 60),
        wrong_actions=wrong_actions(run, scenario),
        culprit_first=culprit_first(run, scenario),
        agent_cpu_ratio=None
        if agent is None
        else common.cores_between(run.at_seconds, agent, 0.0, _observed_until(run, scenario)),
        agent_memory_bytes=run.agent_memory_bytes,
        restored=run.restored,
    )


def reasons_invalid(run: Run, scenario: Scenario) -> list[str]:
    """Why a run tells of something else than its controller: empty for a valid one."""
    until = _observed_until(run, scenario)
    if run.at_seconds.size < 2 or run.at_seconds[0] > 0 or until < LEAST_OBSERVED_RATIO * scenario.seconds:
        return ["the observer did not see all of the run"]
    if run.requests.intended_seconds.size == 0:
        return ["no requests were sent"]
    lag = common.send_lag_p99_seconds(run.requests)
    foreign = common.foreign_ratio(run, run.cpus, 0.0, until)
    stolen = common.stolen_ratio(run, run.cpus, 0.0, until)
    reasons = []
    if lag > MOST_SEND_LAG_OF_SLO * run.slo_seconds:
        reasons.append(
            f"the generator was {lag * 1000:.0f} ms late at p99; at most {MOST_SEND_LAG_OF_SLO:.0%} "
            f"of the SLO of {run.slo_seconds * 1000:.0f} ms"
        )
    if foreign > MOST_FOREIGN_RATIO:
        reasons.append(f"others used {foreign:.1%} of the machine; at most {MOST_FOREIGN_RATIO:.0%}")
    if stolen > MOST_STOLEN_RATIO:
        reasons.append(f"{stolen:.1%} of the machine was stolen; at most {MOST_STOLEN_RATIO:.0%}")
    return reasons


def onset_at(none: Run, scenario: Scenario) -> float | None:
    """The first moment of the surge at which the p95 exceeds the SLO in the run without control."""
    start, end = scenario.surge_seconds
    moments, values = common.p95_series(none.requests, scenario.seconds)
    within = moments <= end
    return common.onset_at(moments[within], values[within], none.slo_seconds, start)


def first_cut_at(run: Run, scenario: Scenario, onset_seconds: float) -> float | None:
    """When the cut began that first holds at the onset or after it; before the onset if it was there already.

    A cut of a peer that is to blame, or of any peer where none is. An earlier cut that had been given back by
    then is not the answer to this onset.
    """
    answering = [peer.name for peer in scenario.peers if peer.guilty or scenario.answer != "cut"]
    masks = [common.cut_mask(run.at_seconds, run.groups[name]) for name in answering if name in run.groups]
    if not masks:
        return None
    held: Bools = np.logical_or.reduce(masks)
    after = np.flatnonzero(held & (run.at_seconds >= onset_seconds))
    if after.size == 0:
        return None
    free = np.flatnonzero(~held[: after[0]])
    return float(run.at_seconds[free[-1] + 1 if free.size else 0])


def drain_seconds(run: Run, scenario: Scenario, from_seconds: float) -> float:
    """How long the queue there is at a moment needs to drain with the guilty peers at their floors.

    The work that waits then and all that arrives until it has drained, at the victim's CPU time per request,
    over the CPUs that the guilty peers' floors and the means used by all others leave to it. Infinite when
    it does not drain before the end.
    """
    requests = run.requests
    until = _observed_until(run, scenario)
    arrivals = requests.intended_seconds
    if arrivals.size == 0 or scenario.victim.name not in run.groups:
        return math.inf
    per_request = run.groups[scenario.victim.name].usage_seconds
    cost = float(per_request[-1] - per_request[0]) / arrivals.size
    guilty = {peer.name: peer.floor_cores for peer in scenario.peers if peer.guilty}
    others = [
        common.cores_between(run.at_seconds, group, *_overlap(scenario.surge_seconds, until))
        for name, group in run.groups.items()
        if name not in guilty and name != scenario.victim.name
    ]
    cores = run.cpus - sum(guilty.values()) - float(np.nansum(others))
    if scenario.victim.limit_cores is not None:
        cores = min(cores, scenario.victim.limit_cores)
    if cores <= 0:
        return math.inf
    begun = arrivals <= from_seconds
    queued = int(np.count_nonzero(begun & (arrivals + requests.latency_seconds > from_seconds)))
    later = arrivals[~begun]
    # Before the n-th later arrival the queue has drained if all that came until then needed less time.
    done_at = from_seconds + (queued + np.arange(later.size + 1)) * cost / cores
    drained = np.flatnonzero(done_at <= np.append(later, scenario.seconds))
    return float(done_at[drained[0]] - from_seconds) if drained.size else math.inf


def given_back_after(run: Run, oracle: Run, scenario: Scenario) -> float | None:
    """Seconds from the release until the offline work of 2 s is at 0.9 of the oracle's in the same 2 s.

    Infinite: never. None: there is no release, or the oracle did no offline work after it.
    """
    release = scenario.release_seconds
    if release is None:
        return None
    end = min(_observed_until(run, scenario), _observed_until(oracle, scenario))
    worth = _worth(oracle, scenario)
    starts = np.arange(release, end - GIVE_BACK_WINDOW_SECONDS + 1e-9, GIVE_BACK_STEP_SECONDS)
    done, possible = (_weighted(of, worth, starts + GIVE_BACK_WINDOW_SECONDS) for of in (run, oracle))
    done, possible = done - _weighted(run, worth, starts), possible - _weighted(oracle, worth, starts)
    if starts.size == 0 or not np.any(possible > 0):
        return None
    # A stretch in which the oracle had nothing to do either proves nothing.
    enough = np.flatnonzero((possible > 0) & (done >= GIVEN_BACK_RATIO * possible))
    return float(starts[enough[0]] - release) if enough.size else math.inf


def work_ratio(run: Run, oracle: Run, scenario: Scenario) -> float | None:
    """Offline work after the warm-up relative to the oracle's; None when that did none.

    Units of different kinds of work can't be added: each peer's unit counts what it cost in CPU time under
    the oracle. With one peer, or one kind of work, it is the plain ratio of units.
    """
    worth = _worth(oracle, scenario)
    possible = sum(value * _work(oracle, name, scenario) for name, value in worth.items())
    done = sum(value * _work(run, name, scenario) for name, value in worth.items())
    return done / possible if possible > 0 else None


def wrong_actions(run: Run, scenario: Scenario) -> int:
    """Changes of what is innocent: of every peer where the answer is not to cut, else of innocent peers;
    and of the online services too where the answer is nothing."""
    innocent = [peer.name for peer in scenario.peers if not peer.guilty or scenario.answer != "cut"]
    if scenario.answer == "nothing":
        innocent += [service.name for service in scenario.online]
    changed, _ = _moves(run, innocent, scenario)
    return int(changed.sum())


def culprit_first(run: Run, scenario: Scenario) -> bool | None:
    """Whether the first peer touched is a guilty one; None where none is innocent or none was touched."""
    if scenario.answer != "cut" or all(peer.guilty for peer in scenario.peers):
        return None
    first = {
        peer.name: int(np.argmax(changed))
        for peer in scenario.peers
        if (changed := _moves(run, [peer.name], scenario)[0]).any()
    }
    if not first:
        return None
    soonest = min(first.values())
    return all(peer.guilty for peer in scenario.peers if first.get(peer.name) == soonest)


def _bound(run: Run, scenario: Scenario, onset: float, cut: float) -> float:
    # A cut from before the surge met no queue of it.
    drain = drain_seconds(run, scenario, max(cut, scenario.surge_seconds[0]))
    return max(RECOVER_SECONDS, cut - onset + DRAIN_FACTOR * min(drain, scenario.seconds))


def _time_to_recover(onset: float | None, violated: float | None, recovered: float | None) -> float | None:
    if onset is None:
        return None
    if violated is None:
        return 0.0
    # A controller may violate the SLO, and be well again, before the onset without one.
    return None if recovered is None else max(0.0, recovered - onset)


def _moves(run: Run, names: Iterable[str], scenario: Scenario) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many of the containers were changed, and how many turned back, as each poll saw it.

    One write may show in two files (on v1 `cpu.idle` moves `cpu.shares`): a container counts once a poll.
    """
    within = run.at_seconds <= scenario.seconds
    changes = np.zeros(np.count_nonzero(within), dtype=np.int64)
    turns = changes.copy()
    for name in names:
        if name not in run.groups:
            continue
        directions = np.array([_directions(lever[within]) for lever in _levers(run.groups[name])])
        changes += (directions != 0).any(axis=0)
        turns += np.array([_turns(row) for row in directions]).any(axis=0)
    return changes, turns


def _levers(group: Group) -> tuple[Floats, Floats, Floats]:
    return group.limit_cores, group.weight, -group.idle


def _directions(lever: Floats) -> NDArray[np.int64]:
    """+1 where it rose, -1 where it fell, since the poll before. Infinities have no difference: compared."""
    found = np.zeros(lever.size, dtype=np.int64)
    found[1:] = np.greater(lever[1:], lever[:-1]).astype(np.int64) - np.less(lever[1:], lever[:-1])
    return found


def _turns(directions: NDArray[np.int64]) -> Bools:
    found = np.zeros(directions.size, dtype=np.bool_)
    moved = np.flatnonzero(directions)
    found[moved[1:]] = directions[moved[1:]] != directions[moved[:-1]]
    return found


def _worth(oracle: Run, scenario: Scenario) -> dict[str, float]:
    """CPU seconds that a unit of each peer's work cost under the oracle; without the peers that did none."""
    until = _observed_until(oracle, scenario)
    found = {}
    for peer in scenario.peers:
        if peer.name in oracle.groups and (work := _work(oracle, peer.name, scenario)) > 0:
            usage = oracle.groups[peer.name].usage_seconds
            spent = np.interp([scenario.warm_up_seconds, until], oracle.at_seconds, usage)
            found[peer.name] = float(spent[1] - spent[0]) / work
    return found


def _weighted(run: Run, worth: dict[str, float], moments: Floats) -> Floats:
    done = np.zeros(moments.size)
    for name, value in worth.items():
        if name in run.groups:
            done += value * np.interp(moments, run.at_seconds, run.groups[name].work_units)
    return done


def _work(run: Run, peer: str, scenario: Scenario) -> float:
    """Units done after the warm-up."""
    if peer not in run.groups:
        return 0.0
    stretch = [scenario.warm_up_seconds, _observed_until(run, scenario)]
    start, end = np.interp(stretch, run.at_seconds, run.groups[peer].work_units)
    return float(end - start)


def _observed_until(run: Run, scenario: Scenario) -> float:
    return min(scenario.seconds, float(run.at_seconds[-1])) if run.at_seconds.size else 0.0


def _overlap(stretch: tuple[float, float], until_seconds: float) -> tuple[float, float]:
    return stretch[0], min(stretch[1], until_seconds)


def _between(run: Run, from_seconds: float, until_seconds: float) -> Floats:
    """The latencies of the requests that should have been sent in a stretch of time."""
    first, last = np.searchsorted(run.requests.intended_seconds, [from_seconds, until_seconds])
    return run.requests.latency_seconds[first:last]


def _percentile(values: Floats, percentile: float) -> float | None:
    return float(np.percentile(values, percentile, method="inverted_cdf")) if values.size else None


def _mean(flags: Bools) -> float | None:
    return float(np.mean(flags)) if flags.size else None


def _tidy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tidy(inner) for key, inner in value.items()}
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
