"""What a recording's lines hold, and how values become JSON and the same values again.

A recording is gzip-compressed JSON lines. The first is the header (`HEADER_KEY`: its format), then one line
for each tick. What has not changed since the line before is left out. Floats keep every digit; NaN is null,
infinity "inf".

Keys of a tick's line, those left out meaning "as before" for the first group and "nothing" for the second:

    at, wall     monotonic and wall-clock seconds of the tick
    containers   what discovery found
    answers      what reading the node gave: {question: {group: answer}}
    latency      {container: seconds at its SLO's percentile}
    sources      {container: [state, why]} of latency sources

    samples      readings of all containers in this tick (two when one was found gone)
    failed       why nothing could be read at all
    refused      writes that the node refused: [question, group, error]
    abnormal     why the node itself was not well
    freeze       an operator's freeze
    alerts       alerts of the agent's own: [kind, container, message]
    config       the configuration was changed to this before the tick
    learnt       what the learner knows was put to this before the tick: loaded at the start, or reset
    restored     [at, wall, reason] of restores by hand before the tick
    told         transitions, revisions and alerts that the tick led to: [kind, data]
    lost         so many ticks before this one are missing: the disk was too slow
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from backends.base import Gone, Refused
from models.container import Container, CpuLimit, CpuWeight, FloatArray, NodeSample, Sample, Slo

HEADER_KEY = "quotapilot_recording"
FORMAT = 1


def plain(value: float) -> float | str | None:
    """A number as JSON has it."""
    if math.isfinite(value):
        return value
    return None if math.isnan(value) else "inf" if value > 0 else "-inf"


def number(value: Any) -> float:
    """The number of `plain`. Raises TypeError or ValueError for what is none."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or (isinstance(value, str) and value not in ("inf", "-inf")):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def plain_column(column: FloatArray) -> list[float | str | None]:
    """A column of a sample as JSON has it."""
    values = column.tolist()
    return values if np.isfinite(column).all() else [plain(value) for value in values]


def plain_container(container: Container) -> dict[str, Any]:
    """A container without its latency source: what was read there is in the lines."""
    fields = asdict(container)
    del fields["scrape"]
    if container.spec_cores is not None:
        fields["spec_cores"] = plain(container.spec_cores)
    return fields


def container_of(fields: dict[str, Any]) -> Container:
    """The container of `plain_container`. Raises TypeError, ValueError or KeyError."""
    fields = dict(fields)
    if fields.get("slo") is not None:
        fields["slo"] = Slo(**fields["slo"])
    if fields.get("spec_cores") is not None:
        fields["spec_cores"] = number(fields["spec_cores"])
    return Container(**fields)


def plain_node(node: NodeSample) -> list[Any]:
    """The node's own figures as JSON has them."""
    figures = (node.busy_seconds, node.load_1m, node.memory_bytes, node.memory_total_bytes)
    return [node.cpus, *map(plain, figures)]


def node_of(fields: list[Any]) -> NodeSample:
    """The figures of `plain_node`. Raises TypeError or ValueError."""
    cpus, *figures = fields
    return NodeSample(int(cpus), *map(number, figures))


def plain_answer(answer: object) -> Any:
    """What a node gave for an answer, its exceptions included, as JSON has it."""
    if isinstance(answer, CpuLimit):
        return {"quota_us": answer.quota_us, "period_us": answer.period_us}
    if isinstance(answer, CpuWeight):
        return {"weight": answer.weight, "idle": answer.idle}
    if isinstance(answer, Refused):
        return {"refused": answer.errno, "file": answer.file, "value": answer.value}
    if isinstance(answer, Gone):
        return {"gone": str(answer)}
    if isinstance(answer, frozenset | tuple):
        return sorted(answer) if isinstance(answer, frozenset) else list(answer)
    return answer


def answer_of(question: str, group: str, fields: Any) -> object:
    """The answer of `plain_answer`; an exception is returned, not raised. Raises TypeError or KeyError."""
    if isinstance(fields, dict):
        if "gone" in fields:
            return Gone(fields["gone"])
        if "refused" in fields:
            return Refused(group, fields["file"], fields["refused"], fields["value"])
        if question == "weight":
            return CpuWeight(fields["weight"], fields["idle"])
        return CpuLimit(fields["quota_us"], fields["period_us"])
    if isinstance(fields, list):
        return frozenset(fields) if question == "allowed_cpus" else tuple(fields)
    return fields


class SampleWriter:
    """Samples as JSON, without the columns that are as they were in the one before."""

    def __init__(self) -> None:
        self._ids: tuple[str, ...] | None = None
        self._columns: dict[str, list[Any]] = {}

    def plain(self, sample: Sample) -> dict[str, Any]:
        """One sample."""
        fields: dict[str, Any] = {"at": sample.taken_at_seconds, "node": plain_node(sample.node)}
        if sample.ids != self._ids:
            self._ids, self._columns = sample.ids, {}
            fields["ids"] = list(sample.ids)
        if sample.gone:
            fields["gone"] = sorted(sample.gone)
        for name in Sample.COLUMNS:
            column = plain_column(getattr(sample, name))
            if column != self._columns.get(name):
                fields[name] = self._columns[name] = column
        return fields


class SampleReader:
    """The samples of `SampleWriter`, read in order."""

    def __init__(self) -> None:
        self._ids: tuple[str, ...] = ()
        self._columns: dict[str, FloatArray] = {}

    def sample(self, fields: dict[str, Any]) -> Sample:
        """One sample. Raises KeyError, TypeError or ValueError, its text naming the field."""
        if "ids" in fields:
            self._ids, self._columns = tuple(fields["ids"]), {}
        sample = Sample.empty(number(fields["at"]), self._ids, node_of(fields["node"]))
        sample.gone = frozenset(fields.get("gone", ()))
        for name in Sample.COLUMNS:
            if name in fields:
                self._columns[name] = _column(name, fields[name], len(self._ids))
            setattr(sample, name, self._columns[name].copy())
        return sample


def _column(name: str, values: Iterable[Any], length: int) -> FloatArray:
    try:
        column = np.array([number(value) for value in values])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from None
    if len(column) != length:
        raise ValueError(f"{name}: {len(column)} values for {length} containers")
    return column
