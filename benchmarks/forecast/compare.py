"""Our forecast beside the simple ones, trace by trace and over the traces that were held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import partial

import numpy as np

from benchmarks.forecast.backtest import (
    TARGETS,
    Forecaster,
    Scores,
    Windows,
    came,
    find_margin,
    last_value,
    made,
    ours,
    score,
    window_maximum,
)
from benchmarks.forecast.traces import Trace
from models.container import FloatArray

SIMPLE: dict[str, Forecaster] = {"last": last_value, "maximum": window_maximum}


@dataclass(frozen=True, slots=True)
class Row:
    """The scores of one method on one trace (or over several), and the margin it was given."""

    trace: str
    target: str
    method: str
    margin: float
    scores: Scores


def compare(traces: Sequence[Trace], windows: Windows) -> list[Row]:
    """Every method on every trace, then over all held-out traces.

    The simple methods come as they are; with a margin at which they over-provision as much as ours on that
    very trace (in hindsight, which ours does not have); and, over the held-out traces, with one margin for
    all of them, at which they over-provision as much as ours on the mean (as ours has one set of constants).
    """
    forecasts = {
        trace.name: {name: made(trace, by, windows) for name, by in ({"ours": ours()} | SIMPLE).items()}
        for trace in traces
    }
    rows: list[Row] = []
    for target, percent in TARGETS.items():
        targets = {trace.name: came(trace, windows, percent) for trace in traces}
        for trace in traces:
            rows += _on_one(trace.name, target, forecasts[trace.name], targets[trace.name])
        held_out = [trace.name for trace in traces if not trace.tuning]
        if held_out:
            rows += _over(held_out, target, rows)
            rows += _one_margin(held_out, target, forecasts, targets)
    return rows


def _on_one(trace: str, target: str, forecasts: Mapping[str, FloatArray], came: FloatArray) -> list[Row]:
    mine = score(forecasts["ours"], came)
    rows = [Row(trace, target, "ours", 1.0, mine)]
    for name in SIMPLE:
        rows.append(Row(trace, target, name, 1.0, score(forecasts[name], came)))
        margin = find_margin(partial(_over_of, forecasts[name], came), mine.over)
        rows.append(Row(trace, target, f"{name}-margin", margin, score(forecasts[name] * margin, came)))
    return rows


def _over(traces: list[str], target: str, rows: list[Row]) -> list[Row]:
    methods = list(dict.fromkeys(row.method for row in rows))
    return [
        Row("held-out", target, method, np.nan, mean([row.scores for row in chosen]))
        for method in methods
        if (chosen := [r for r in rows if (r.method, r.target) == (method, target) and r.trace in traces])
    ]


def _one_margin(
    traces: list[str],
    target: str,
    forecasts: Mapping[str, Mapping[str, FloatArray]],
    targets: Mapping[str, FloatArray],
) -> list[Row]:
    def scores(method: str, margin: float) -> Scores:
        return mean([score(forecasts[name][method] * margin, targets[name]) for name in traces])

    def over_of(method: str, margin: float) -> float:
        return scores(method, margin).over

    over = over_of("ours", 1.0)
    margins = {method: find_margin(partial(over_of, method), over) for method in SIMPLE}
    return [
        Row("held-out", target, f"{method}-one-margin", margin, scores(method, margin))
        for method, margin in margins.items()
    ]


def _over_of(forecasts: FloatArray, came: FloatArray, margin: float) -> float:
    return score(forecasts * margin, came).over


def mean(scores: Sequence[Scores]) -> Scores:
    """Every trace counts the same, whatever its unit and length."""
    return Scores(*np.mean([astuple(each) for each in scores], axis=0).tolist())
