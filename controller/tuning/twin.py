"""The twin of a recording: a simulated situation with the load that was recorded.

Open loop a recording can't say what other gains would have led to, since its world does not react. So the
load is taken from it, and played against a simulated node that does: work that arrived at the online
container (`models.arrivals`), second by second, and when its peers were at work. What is not in a recording
is assumed: the CPU time of a request is the idle latency, and a peer that waits has work for every CPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from backends.recording.reader import Recording
from controller.engine import Engine
from controller.replay import replay
from controller.tuning.situation import Online, Peer, Situation, SituationError
from controller.units import format_seconds
from models.arrivals import Arrivals, IdleLatency
from models.container import Container

BUSY_CORES = 0.05  # a peer below this is at rest
WAITS_RATIO = 0.2  # diagnosis.wait_ratio: a peer that waits for CPU would use more
LEAST_SECONDS = 60.0
TRAIN_RATIO = 0.7


class _Seen:
    """What a replay shows, second by second of the recording."""

    def __init__(self, online: str) -> None:
        self.online = online
        self.cpus = 1
        self.work: dict[int, float] = {}
        self.violated_seconds = 0.0
        self.peers: dict[str, dict[int, list[tuple[float, float]]]] = {}
        self.containers: dict[str, Container] = {}
        self.idle = IdleLatency()
        self._arrivals: Arrivals[int] = Arrivals()
        self._start: float | None = None
        self._last = 0.0

    def look(self, engine: Engine) -> None:
        """One tick."""
        seen = engine.seen
        if seen is None:
            return
        if self._start is None:
            self._start = self._last = seen.now_seconds
        seconds, self._last = seen.now_seconds - self._last, seen.now_seconds
        at = seen.now_seconds - self._start
        self.cpus = seen.cpus
        for n, container in enumerate(seen.containers):
            self.containers[container.id] = container
            use = float(seen.recent("cpu_usage_cores")[n])
            if math.isnan(use) or seconds <= 0:
                continue
            if container.id == self.online:
                self._serve(at, seconds, use, float(seen.recent("latency_seconds")[n]), container)
            else:
                waits = float(np.nan_to_num(seen.recent("cpu_wait_ratio")[n]))
                self.peers.setdefault(container.id, {}).setdefault(int(at), []).append((use, waits))

    def _serve(self, at: float, seconds: float, use: float, latency: float, container: Container) -> None:
        slo = container.slo.latency_seconds if container.slo else math.inf
        idle = 0.0
        if not math.isnan(latency):
            idle = self.idle.see(latency, latency <= slo / 2, seconds)
            self.violated_seconds += (latency > slo) * seconds
        late = 0.0 if math.isnan(latency) else latency - idle
        for second, _, work in self._arrivals.push(int(at), seconds, use * seconds, late):
            self.work[second] = self.work.get(second, 0.0) + work


def twins(recording: Recording, online: str | None) -> tuple[Situation, Situation, float, float]:
    """The first part of a recording, to tune on, and the rest, to judge by; also the violation seconds that
    were recorded, and how many seconds there are. `online`: which container; None: the one with an SLO.

    Raises SituationError where that can't be told, and RecordingError.
    """
    first = next((tick.containers for tick in recording.ticks() if tick.containers), ())
    found = [c.id for c in first if c.slo is not None and online in (None, c.id)]
    if len(found) != 1:
        names = ", ".join(c.id for c in first if c.slo is not None) or "none"
        raise SituationError(f"{recording.path}: name one container with an SLO by --container: {names}")
    seen = _Seen(found[0])
    replay(recording, each_tick=seen.look)
    seconds = max(seen.work, default=0) + 1
    if seconds < LEAST_SECONDS or math.isnan(seen.idle.seconds):
        raise SituationError(
            f"{recording.path}: {seconds} s of {found[0]} with a latency; {LEAST_SECONDS:g} s are wanted"
        )
    split = int(seconds * TRAIN_RATIO)
    parts = [_situation(seen, span) for span in (range(split), range(split, seconds))]
    return parts[0], parts[1], seen.violated_seconds, float(seconds)


def whole(train: Situation, test: Situation) -> Situation:
    """Both parts as one, to compare the twin with what was recorded."""
    load = [*train.online.load, *((at + train.seconds, cores) for at, cores in test.online.load)]
    later = {peer.name: peer for peer in test.peers}
    peers = [
        peer.model_copy(
            update={
                "active": (
                    *(peer.active or ()),
                    *((a + train.seconds, b + train.seconds) for a, b in later[peer.name].active or ()),
                )
            }
        )
        for peer in train.peers
    ]
    online = train.online.model_copy(update={"load": tuple(load)})
    update = {"online": online, "seconds": train.seconds + test.seconds, "peers": tuple(peers)}
    return train.model_copy(update=update)


def _situation(seen: _Seen, span: range) -> Situation:
    online = seen.containers[seen.online]
    assert online.slo is not None
    load = tuple((float(n), round(seen.work.get(second, 0.0), 3)) for n, second in enumerate(span))
    peers = []
    for name, by_second in seen.peers.items():
        readings = [pair for pairs in by_second.values() for pair in pairs]
        hungry = any(waits >= WAITS_RATIO for _, waits in readings)
        most = max(use for use, _ in readings)
        workers = 2 * seen.cpus if hungry else max(1, math.ceil(most - 0.1))
        busy = [second for second in span if _mean_use(by_second.get(second, ())) > BUSY_CORES]
        floor = seen.containers[name].floor_cores
        stretches = _stretches(busy, span.start)
        peers.append(Peer(name=name, workers=workers, active=stretches, floor_cores=floor))
    return Situation(
        name=f"seconds {span.start} to {span.stop} of the recording",
        seconds=float(len(span)),
        cpus=seen.cpus,
        online=Online.model_validate(
            {
                "load": load,
                "cpu_ms": min(max(seen.idle.seconds * 1000, 1.0), 100.0),
                "threads": 4 * seen.cpus,
                "slo": format_seconds(online.slo.latency_seconds),
            }
        ),
        peers=tuple(peers),
    )


def _mean_use(readings: Sequence[tuple[float, float]]) -> float:
    return float(np.mean([use for use, _ in readings])) if readings else 0.0


def _stretches(busy: list[int], start: int) -> tuple[tuple[float, float], ...]:
    """Runs of successive seconds as (from, to) after `start`."""
    found: list[list[float]] = []
    for second in busy:
        at = float(second - start)
        if found and found[-1][1] == at:
            found[-1][1] = at + 1
        else:
            found.append([at, at + 1])
    return tuple((begin, end) for begin, end in found)
