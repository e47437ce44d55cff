"""An online service: requests that come whether or not the last ones are done."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np
from numpy.typing import ArrayLike

from backends.simulator.workload import ALONE, TINY_SECONDS, Crowd


@dataclass(slots=True)
class _Request:
    index: int
    remaining_seconds: float
    ready_at_seconds: float


@dataclass(slots=True)
class _State:
    """The workers at one moment; requests from `head` on have no worker yet."""

    head: int = 0
    running: list[_Request] = field(default_factory=list)
    sleeping: list[tuple[float, int]] = field(default_factory=list)

    def copy(self) -> _State:
        running = [_Request(r.index, r.remaining_seconds, r.ready_at_seconds) for r in self.running]
        return _State(self.head, running, list(self.sleeping))


@dataclass(slots=True)
class _Slice:
    start_seconds: float
    end_seconds: float
    cpus: int
    crowd: Crowd


@dataclass(slots=True)
class _Outcome:
    """The end of a slice: the workers, and what happened to them."""

    state: _State
    used_seconds: float = 0.0
    waited_seconds: float = 0.0
    finished: list[tuple[float, float]] = field(default_factory=list)


class OnlineService:
    """`threads` workers behind one FIFO queue, with open-loop arrivals.

    Each request takes `cpu_seconds` of CPU on one worker, then holds the worker `downstream_seconds` longer
    without needing CPU (a slow downstream); with `holds_worker` False it waits without one, as where an event
    loop waits for the answer. Both are one number or one per request. Latency counts from the intended
    arrival, so that a queue is never left out (no coordinated omission). Workers that run share their CPU
    evenly.

    `arrivals` are times of the node's clock, ascending. Raises ValueError when they are not.
    """

    sleeps = True

    def __init__(
        self,
        arrivals: ArrayLike,
        cpu_seconds: ArrayLike,
        threads: int = 2,
        downstream_seconds: ArrayLike = 0.0,
        *,
        holds_worker: bool = True,
    ) -> None:
        times = np.asarray(arrivals, dtype=np.float64)
        if np.any(np.diff(times) < 0):
            raise ValueError("arrivals are not ascending")
        # Lists: reading one number of an array is several times slower, and the inner loop does only that.
        self._arrivals: list[float] = times.tolist()
        self._cpu: list[float] = np.broadcast_to(cpu_seconds, times.shape).tolist()
        self._downstream: list[float] = np.broadcast_to(downstream_seconds, times.shape).tolist()
        self.threads = threads
        self._holds_worker = holds_worker
        self._state = _State()
        self._finished: list[tuple[float, float]] = []
        self._slice = _Slice(0.0, 0.0, 1, ALONE)
        self._planned: _Outcome | None = None

    def may_wake(self, end_seconds: float) -> bool:
        """See `Workload.may_wake`."""
        head = self._state.head
        return head < len(self._arrivals) and self._arrivals[head] < end_seconds

    def plan(self, start_seconds: float, end_seconds: float, cpus: int, crowd: Crowd) -> float:
        """See `Workload.plan`."""
        if not self._state.running and not self._state.sleeping and not self.may_wake(end_seconds):
            self._planned = None
            return 0.0
        self._slice = _Slice(start_seconds, end_seconds, cpus, crowd)
        self._planned = self._serve(self._state.copy(), 1.0, math.inf)
        return self._planned.used_seconds

    def run(self, granted_seconds: float) -> tuple[float, float]:
        """See `Workload.run`."""
        planned = self._planned
        if planned is None:
            return 0.0, 0.0
        demand = planned.used_seconds
        # Slowed down evenly, it could use more than granted, since late requests are there for longer to
        # share in: hence the budget as well as the speed.
        outcome = (
            planned
            if granted_seconds >= demand
            else self._serve(self._state, granted_seconds / demand, granted_seconds)
        )
        self._state = outcome.state
        self._finished += outcome.finished
        return outcome.used_seconds, outcome.waited_seconds

    def runnable_threads(self) -> int:
        """See `Workload.runnable_threads`."""
        return len(self._state.running)

    def take_finished(self) -> list[tuple[float, float]]:
        """See `Workload.take_finished`."""
        finished, self._finished = self._finished, []
        return finished

    def _serve(self, state: _State, speed: float, budget: float) -> _Outcome:
        """Go through the slice from event to event: each CPU at `speed`, `budget` CPU seconds in all.

        Changes `state`. A thread on a CPU of less than full speed stands for one that takes turns.
        """
        end, cpus, crowd = self._slice.end_seconds, self._slice.cpus, self._slice.crowd
        now = self._slice.start_seconds
        outcome = _Outcome(state)
        while True:
            self._end_sleeps(outcome, now)
            if now >= end:
                return outcome
            self._dispatch(state, now)

            until = min(end, self._next_change(state))
            shortest, ready = math.inf, 0
            for request in state.running:
                if request.ready_at_seconds <= now:
                    ready += 1
                    shortest = min(shortest, request.remaining_seconds)
                else:
                    until = min(until, request.ready_at_seconds)
            rate, in_use = 0.0, crowd.cpus_in_use(ready, cpus)
            if ready and budget > TINY_SECONDS:
                rate = speed * in_use / ready
                until = min(until, now + shortest / rate, now + budget / (rate * ready))

            span = until - now
            if len(state.running) > ready or ready > cpus or (ready and not rate):
                outcome.waited_seconds += span
            elif ready:
                outcome.waited_seconds += span * (1.0 - speed**ready * max(0.0, 1.0 - (ready - in_use)))
            if rate:
                outcome.used_seconds += rate * ready * span
                budget -= rate * ready * span
                self._work(outcome, now, until, rate * span)
            now = until

    def _end_sleeps(self, outcome: _Outcome, now: float) -> None:
        sleeping = outcome.state.sleeping
        while sleeping and sleeping[0][0] <= now:
            finish, index = heappop(sleeping)
            outcome.finished.append((finish, finish - self._arrivals[index]))

    def _dispatch(self, state: _State, now: float) -> None:
        """Give waiting requests to free workers. One that finds its worker asleep waits for the wake-up."""
        head, arrivals = state.head, self._arrivals
        free = self.threads - self._busy(state)
        while free > 0 and head < len(arrivals) and arrivals[head] <= now:
            wait = self._slice.crowd.wakeup_wait_seconds if arrivals[head] >= now else 0.0
            state.running.append(_Request(head, self._cpu[head], now + wait))
            head += 1
            free -= 1
        state.head = head

    def _busy(self, state: _State) -> int:
        return len(state.running) + (len(state.sleeping) if self._holds_worker else 0)

    def _next_change(self, state: _State) -> float:
        """When the next sleep ends or the next request can start, whichever is first."""
        change = state.sleeping[0][0] if state.sleeping else math.inf
        if self._busy(state) < self.threads and state.head < len(self._arrivals):
            change = min(change, self._arrivals[state.head])
        return change

    def _work(self, outcome: _Outcome, now: float, until: float, work_seconds: float) -> None:
        """Each request that was ready at `now` gets `work_seconds`; those done by then leave their CPU."""
        done = False
        for request in outcome.state.running:
            if request.ready_at_seconds <= now:
                request.remaining_seconds -= work_seconds
                done |= request.remaining_seconds <= TINY_SECONDS
        if not done:
            return
        still = []
        for request in outcome.state.running:
            if request.ready_at_seconds > now or request.remaining_seconds > TINY_SECONDS:
                still.append(request)
            elif self._downstream[request.index] > 0.0:
                heappush(outcome.state.sleeping, (until + self._downstream[request.index], request.index))
            else:
                outcome.finished.append((until, until - self._arrivals[request.index]))
        outcome.state.running = still
