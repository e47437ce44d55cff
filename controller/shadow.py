"""What a dry run is worth: violation time it expects to save, and CPU time it would take for that.

In a dry run the world does not react: pressure goes on after a cut that would have ended it, and peers use
what they used before, so that the next cut says nothing new. So its cuts are not taken at face value. Beside
the real queue of each victim a shadow queue is kept, as it would have been with the cuts. It has the arrivals
of the real one (`models.arrivals`), and serves what the victim really got and what cuts would have freed:

    B' = max(0, B + arrivals - (use + freed) * dt),    latency' = idle latency + B' / (use + freed)
    freed = min(what n largest steps take of the use of the claimed peers, down to their floors; need - use)
    need  = highest demand of the last seconds + B / drain + reserve

with one step more, n, for each `control.settle` that a claim is old: so deep could the engine have cut.
`need` is what it would hold: it cuts no further while a queue drains within `control.drain`, and gives back
up to the forecast demand and `recovery.reserve_ratio`. A peer that gives way by weight gives all that the
victim asks for, and has the rest. What the victim uses less than really, because its queue is gone sooner,
goes back to peers that wait for CPU: the same work is not done twice. Its own limit, where that is what
throttles it, rises by a step for each settle time.

Of a victim whose latency is not known only this is known, that a rule fires. It counts as saved from
`control.settle` + `control.drain` after its first claim on, and the cuts count in full. Pure: it is told what
was seen.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.cases import Case
from controller.claims import Claim, Ledger
from controller.config import Config
from controller.states import State
from models.arrivals import Arrivals, IdleLatency
from models.observation import Observation

DEMAND_SECONDS = 1.0  # what a queue takes up within a second needs no room
QUOTA = "quota"

_HURT = (State.PRESSURED, State.THROTTLING_PEER)


@dataclass(slots=True)
class Worth:
    """Sums for one container: as a victim, and as a peer. What is taken falls when it is given back."""

    violation_seconds: float = 0.0
    saved_seconds: float = 0.0
    taken_core_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Moment:
    """One tick of one victim: its use, what the shadow's cuts would take of each peer's use for it, how much
    its own raised limit would give it, whether peers give way by weight, and whether they wait for CPU."""

    use_cores: float
    cuts: dict[str, float]
    raised_cores: float
    by_weight: bool
    peers_wait: bool


@dataclass(slots=True)
class _Victim:
    """The shadow of one victim. `claimed` are the last cuts for it; `peaks` its demand over the last seconds,
    as (seconds, cores). `claimed_seconds` and `raised_seconds`: for how long peers are claimed for it, or its
    own limit is raised; `helped`: either was so in this violation."""

    arrivals: Arrivals[_Moment] = field(default_factory=Arrivals)
    idle_latency: IdleLatency = field(default_factory=IdleLatency)
    queue_core_seconds: float = 0.0
    demand_cores: float = 0.0
    peaks: deque[tuple[float, float]] = field(default_factory=deque)
    claimed: dict[str, float] = field(default_factory=dict)
    claimed_seconds: float = 0.0
    raised_seconds: float = 0.0
    helped: bool = False


class Shadow:
    """The worth of a dry run so far, by container."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.worth: dict[str, Worth] = {}
        self._victims: dict[str, _Victim] = {}
        self._now_seconds: float | None = None

    def update(
        self,
        seen: Observation,
        cases: Mapping[str, Case],
        ledger: Ledger,
        config: Config,
    ) -> None:
        """One tick of a dry run, after its decision."""
        last, self._now_seconds = self._now_seconds, seen.now_seconds
        if last is None or seen.abnormal:
            return
        seconds = min(seen.now_seconds - last, 2 * config.tick)
        self.seconds += seconds
        for name in self._victims.keys() - {container.id for container in seen.containers}:
            del self._victims[name]
        for n, container in enumerate(seen.containers):
            case = cases.get(container.id)
            latency = float(seen.recent("latency_seconds")[n])
            claims = ledger.of_victim(container.id)
            measured = container.slo is not None and not math.isnan(latency)
            if case is None or not (measured or claims or case.state in _HURT):
                continue
            victim = self._victims.setdefault(container.id, _Victim())
            victim.raised_seconds = victim.raised_seconds + seconds if case.own_cores is not None else 0.0
            cuts = {claim.peer: _cut(claim, seen, ledger, config) for claim in claims}
            cuts = {peer: cores for peer, cores in cuts.items() if cores > 0}
            if container.slo is None or not measured:
                self._count_hurt(container.id, victim, seconds, cuts, case.state in _HURT, config)
                continue
            victim.claimed = cuts or victim.claimed
            moment = _Moment(
                use_cores=_use(seen, n),
                cuts=cuts,
                raised_cores=_raised(seen, n, victim.raised_seconds, config),
                by_weight=any(claim.rung != QUOTA for claim in claims),
                peers_wait=_wait(seen, victim.claimed, config),
            )
            slo = container.slo.latency_seconds
            well = case.state is State.NORMAL and latency <= slo
            idle = victim.idle_latency.see(latency, well, seconds)
            served = moment.use_cores * seconds
            for known in victim.arrivals.push(moment, seconds, served, latency - idle):
                self._serve(container.id, victim, *known, latency, slo, seen.cpus, config)

    def of(self, container_id: str) -> Worth:
        """The sums of one container."""
        return self.worth.get(container_id, Worth())

    def total(self) -> Worth:
        """The sums of the node."""
        found = self.worth.values()
        return Worth(
            sum(worth.violation_seconds for worth in found),
            sum(worth.saved_seconds for worth in found),
            sum(worth.taken_core_seconds for worth in found),
        )

    def _serve(
        self,
        name: str,
        victim: _Victim,
        moment: _Moment,
        seconds: float,
        arrived: float,
        latency: float,
        slo: float,
        cpus: int,
        config: Config,
    ) -> None:
        """Let a moment go by in the shadow, in which so many CPU seconds of work came."""
        demand = _highest_demand(victim, seconds, arrived, config.forecast.fast_window)
        need = demand + victim.queue_core_seconds / config.control.drain
        need += config.recovery.reserve_ratio * cpus
        could_free = sum(moment.cuts.values())
        freed = could_free if moment.by_weight else min(could_free, max(0.0, need - moment.use_cores))
        capacity = max(moment.use_cores + freed + moment.raised_cores, 1e-3)
        work = victim.queue_core_seconds + arrived
        victim.queue_core_seconds = max(0.0, work - capacity * seconds)
        served = work - victim.queue_core_seconds
        victim.helped = latency > slo and (victim.helped or freed > 0 or moment.raised_cores > 0)
        late = victim.idle_latency.seconds + victim.queue_core_seconds / capacity > slo
        mine = self._worth(name)
        mine.violation_seconds += (latency > slo) * seconds
        mine.saved_seconds += (latency > slo and victim.helped and not late) * seconds
        if freed > 0:
            # Who gives way by weight takes back whatever is left; a quota keeps it.
            taken = max(0.0, served - moment.use_cores * seconds) if moment.by_weight else freed * seconds
            for peer, cores in moment.cuts.items():
                self._worth(peer).taken_core_seconds += taken * cores / could_free
        if moment.peers_wait and (moment.by_weight or freed <= 0):
            spare = max(0.0, moment.use_cores * seconds - served)
            for peer, cores in victim.claimed.items():
                self._worth(peer).taken_core_seconds -= spare * cores / sum(victim.claimed.values())

    def _count_hurt(
        self, name: str, victim: _Victim, seconds: float, cuts: dict[str, float], hurt: bool, config: Config
    ) -> None:
        """A victim of which only is known whether a rule fires."""
        victim.claimed_seconds = victim.claimed_seconds + seconds if cuts else 0.0
        well = victim.claimed_seconds > config.control.settle + config.control.drain
        mine = self._worth(name)
        mine.violation_seconds += hurt * seconds
        mine.saved_seconds += (hurt and well) * seconds
        for peer, cores in cuts.items():
            self._worth(peer).taken_core_seconds += cores * seconds

    def _worth(self, name: str) -> Worth:
        return self.worth.setdefault(name, Worth())


def _cut(claim: Claim, seen: Observation, ledger: Ledger, config: Config) -> float:
    """What could have been taken of a peer's use by now: all of it where it gives way by weight. Several
    victims share it evenly."""
    row = seen.row(claim.peer)
    if row is None:
        return 0.0
    claims = ledger.on_peer(claim.peer)
    use, floor = _use(seen, row), seen.containers[row].floor_cores
    if any(other.rung != QUOTA for other in claims):
        floor, left = 0.0, 0.0
    else:
        since = min(other.since_seconds for other in claims)
        steps = 1 + math.floor((seen.now_seconds - since) / config.control.settle)
        left = (1 - config.control.step_max_ratio) ** steps
    taken = max(0.0, use - max(floor, use * left))
    return min(taken, config.executor.max_taken_ratio * seen.cpus) / len({other.victim for other in claims})


def _raised(seen: Observation, row: int, raised_seconds: float, config: Config) -> float:
    """What its own limit could have been raised by: a step for each settle time, up to its ceiling."""
    if raised_seconds <= 0:
        return 0.0
    own, limit = config.own_limit, float(seen.limit_cores[row])
    ceiling = seen.containers[row].ceiling_cores
    if ceiling is None:
        ceiling = float(seen.base_cores[row]) * own.ceiling_ratio
    steps = 1 + math.floor(raised_seconds / config.control.settle)
    return max(0.0, min(limit * (1 + own.step_ratio) ** steps, ceiling, seen.cpus) - limit)


def _wait(seen: Observation, peers: Mapping[str, float], config: Config) -> bool:
    """Whether any of the peers waits for CPU: it would take what is left."""
    rows = [row for peer in peers if (row := seen.row(peer)) is not None]
    waits = seen.recent("cpu_wait_ratio")[rows] >= config.diagnosis.wait_ratio
    queues = seen.recent("cpu_run_delay_ratio")[rows] >= config.diagnosis.run_delay_ratio
    return bool(waits.any() or queues.any())


def _use(seen: Observation, row: int) -> float:
    use = float(seen.recent("cpu_usage_cores")[row])
    return 0.0 if math.isnan(use) else use


def _highest_demand(victim: _Victim, seconds: float, arrived: float, window_seconds: float) -> float:
    """The highest demand of the last seconds, smoothed over one."""
    part = min(1.0, seconds / DEMAND_SECONDS)
    victim.demand_cores += part * (arrived / seconds - victim.demand_cores)
    victim.peaks.append((seconds, victim.demand_cores))
    while len(victim.peaks) > 1 and sum(length for length, _ in victim.peaks) > window_seconds:
        victim.peaks.popleft()
    return max(cores for _, cores in victim.peaks)
