"""The figures of an act, from what the generator and the observer wrote. Pure.

A moment's p95 is that of the requests that should have been sent in the second before it, however late their
answers came. Definitions follow the lab's: see `recovered_at` and `onset_at`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from controller.demo.result import Observations
from models.container import BoolArray, FloatArray

WINDOW_SECONDS = 1.0
STEP_SECONDS = 0.1
GOOD_SECONDS = 5.0


# What the figures read of a run; the demo's and the lab's runs both have it.
class Requests(Protocol):
    """Columns over requests, ascending by intended send time, from which the latency counts."""

    @property
    def intended_seconds(self) -> FloatArray: ...
    @property
    def latency_seconds(self) -> FloatArray: ...
    @property
    def send_lag_seconds(self) -> FloatArray: ...


class Group(Protocol):
    """Columns of one group over the observer's polls."""

    @property
    def usage_seconds(self) -> FloatArray: ...
    @property
    def limit_cores(self) -> FloatArray: ...
    @property
    def weight(self) -> FloatArray: ...
    @property
    def idle(self) -> FloatArray: ...


class Seen(Protocol):
    """The observer's polls of the machine and of every group."""

    @property
    def at_seconds(self) -> FloatArray: ...
    @property
    def busy_seconds(self) -> FloatArray: ...
    @property
    def stolen_seconds(self) -> FloatArray: ...
    @property
    def groups(self) -> Mapping[str, Group]: ...


def p95(latency_seconds: FloatArray) -> float:
    """The smallest latency that 95 % of the requests kept; NaN without requests."""
    if latency_seconds.size == 0:
        return math.nan
    # np.percentile(..., method="inverted_cdf") says the same, twenty times as slowly.
    rank = -(-95 * latency_seconds.size // 100) - 1
    return float(np.partition(latency_seconds, rank)[rank])


def p95_series(requests: Requests, until_seconds: float) -> tuple[FloatArray, FloatArray]:
    """Moments every 0.1 s from the end of the first second on, and the p95 at each; NaN without requests."""
    steps = math.floor((until_seconds - WINDOW_SECONDS) / STEP_SECONDS + 1e-9) + 1
    moments: FloatArray = WINDOW_SECONDS + STEP_SECONDS * np.arange(max(0, steps), dtype=np.float64)
    first = np.searchsorted(requests.intended_seconds, moments - WINDOW_SECONDS, side="left")
    last = np.searchsorted(requests.intended_seconds, moments, side="left")
    values = [p95(requests.latency_seconds[start:end]) for start, end in zip(first, last, strict=True)]
    return moments, np.array(values, dtype=np.float64)


def p95_between(requests: Requests, from_seconds: float, until_seconds: float) -> float:
    """The p95 of all requests that should have been sent in a stretch of time."""
    first, last = np.searchsorted(requests.intended_seconds, [from_seconds, until_seconds])
    return p95(requests.latency_seconds[first:last])


def over_slo_ratio(requests: Requests, slo_seconds: float) -> float:
    """The share of all requests that took longer than the SLO; NaN without requests."""
    if requests.latency_seconds.size == 0:
        return math.nan
    return float(np.mean(requests.latency_seconds > slo_seconds))


def violation_seconds(moments: FloatArray, values: FloatArray, slo_seconds: float) -> float:
    """For how long the p95 was above the SLO, in all."""
    return float(np.count_nonzero(values > slo_seconds) * STEP_SECONDS)


def onset_at(
    moments: FloatArray, values: FloatArray, slo_seconds: float, from_seconds: float
) -> float | None:
    """The first moment from `from_seconds` on at which the p95 exceeds the SLO; None when it never does."""
    return _first(moments, (moments >= from_seconds) & (values > slo_seconds))


def recovered_at(
    moments: FloatArray, values: FloatArray, slo_seconds: float, from_seconds: float
) -> float | None:
    """The first moment, not before the first violation, that begins 5 s with the p95 within the SLO.

    None when there was no violation from `from_seconds` on, or no such 5 s until the end.
    """
    violated_at = onset_at(moments, values, slo_seconds, from_seconds)
    if violated_at is None:
        return None
    length = round(GOOD_SECONDS / STEP_SECONDS) + 1
    good = values <= slo_seconds
    if good.size < length:
        return None
    runs = np.lib.stride_tricks.sliding_window_view(good, length).all(axis=1)
    starts = moments[: runs.size]
    return _first(starts, runs & (starts >= violated_at))


def longest_relapse_seconds(
    moments: FloatArray,
    values: FloatArray,
    slo_seconds: float,
    recovered_seconds: float,
    until_seconds: float,
) -> float:
    """The longest time in a row above the SLO between recovery and `until_seconds`, the end of the surge."""
    after = (moments >= recovered_seconds) & (moments <= until_seconds)
    longest = run = 0
    for bad in (values[after] > slo_seconds).tolist():
        run = run + 1 if bad else 0
        longest = max(longest, run)
    return longest * STEP_SECONDS


def first_cut_at(at_seconds: FloatArray, group: Group) -> float | None:
    """The first moment from the load's start on at which the group has less than before it.

    Less is a lower limit, a lower weight, or `cpu.idle`: all three are read, so no kind of cut goes unseen.
    """
    held = cut_mask(at_seconds, group)
    return _first(at_seconds, held)


def cut_mask(at_seconds: FloatArray, group: Group) -> BoolArray:
    """When, from the load's start on, the group has less than at the first observation."""
    if at_seconds.size == 0:
        return np.zeros(0, dtype=np.bool_)
    less: BoolArray = (
        (group.limit_cores < group.limit_cores[0])
        | (group.weight < group.weight[0])
        | (group.idle > group.idle[0])
    )
    started: BoolArray = at_seconds >= 0
    return less & started


def cores_between(at_seconds: FloatArray, group: Group, from_seconds: float, until_seconds: float) -> float:
    """The mean use of CPU in a stretch of time, in cores; NaN when it was not observed."""
    return rate_between(at_seconds, group.usage_seconds, from_seconds, until_seconds)


def work_units_per_second(observations: Observations, from_seconds: float, until_seconds: float) -> float:
    """The mean rate of offline work done in a stretch of time; NaN when it was not observed."""
    return rate_between(observations.at_seconds, observations.work_units, from_seconds, until_seconds)


def cores_series(at_seconds: FloatArray, group: Group) -> tuple[FloatArray, FloatArray]:
    """Moments every 0.5 s, and the cores used in the half second before each."""
    if at_seconds.size < 2:
        return np.empty(0), np.empty(0)
    moments = np.arange(max(0.0, at_seconds[0]), at_seconds[-1], 0.5)
    usage = np.interp(moments, at_seconds, group.usage_seconds)
    return moments[1:], np.diff(usage) / 0.5


def send_lag_p99_seconds(requests: Requests) -> float:
    """How late the generator itself was; NaN without requests."""
    if requests.send_lag_seconds.size == 0:
        return math.nan
    return float(np.percentile(requests.send_lag_seconds, 99, method="inverted_cdf"))


def foreign_ratio(observations: Seen, cpus: int, from_seconds: float, until_seconds: float) -> float:
    """CPU used by others than the observed groups, as a share of the machine."""
    at = observations.at_seconds
    busy = rate_between(at, observations.busy_seconds, from_seconds, until_seconds)
    own = sum(cores_between(at, group, from_seconds, until_seconds) for group in observations.groups.values())
    return max(0.0, busy - own) / cpus


def stolen_ratio(observations: Seen, cpus: int, from_seconds: float, until_seconds: float) -> float:
    """CPU that the hypervisor gave to others, as a share of the machine."""
    return (
        rate_between(observations.at_seconds, observations.stolen_seconds, from_seconds, until_seconds) / cpus
    )


def rate_between(
    at_seconds: FloatArray, counter: FloatArray, from_seconds: float, until_seconds: float
) -> float:
    """The mean growth per second of a counter in a stretch of time; NaN when it was not observed."""
    if at_seconds.size < 2 or at_seconds[0] > from_seconds or at_seconds[-1] < until_seconds:
        return math.nan
    start, end = np.interp([from_seconds, until_seconds], at_seconds, counter)
    return float(end - start) / (until_seconds - from_seconds)


def _first(moments: FloatArray, mask: BoolArray) -> float | None:
    found = np.flatnonzero(mask)
    return float(moments[found[0]]) if found.size else None
