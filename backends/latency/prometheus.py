"""One histogram or summary out of a page in the Prometheus text format.

A page comes twice a second from each container. The library's parser takes 22 µs a line and can't skip any:
33 ms for a page of 3,400 lines. This one looks only at the lines of its metric, and reads a series' labels
once. Format: prometheus.io/docs/instrumenting/exposition_formats.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

Labels = tuple[tuple[str, str], ...]

MAX_LINES = 20_000
"""Of one metric. More is a mistake in the application, and reading them would hold up the loop."""

# Possessive throughout: a line that does not fit is left at once, however long it is.
_FIRST_LINE = re.compile(r"\s*+(?:#|[a-zA-Z_:][\w:]*+[{ \t])")
_LABELS_AND_VALUE = re.compile(r'(\{(?:[^"}]|"(?:[^"\\]|\\.)*+")*+\})?[ \t]*+([^\s{]\S*+)')
_LABELS = re.compile(r'\{\s*+(?:[a-zA-Z_]\w*+\s*+=\s*+"(?:[^"\\]|\\.)*+"\s*+,?\s*+)*+\}')
_LABEL = re.compile(r'([a-zA-Z_]\w*+)\s*+=\s*+"((?:[^"\\]|\\.)*+)"')
_ESCAPED = re.compile(r"\\(.)")


class Malformed(ValueError):
    """The page is not in the text format, or what it says of the metric makes no sense."""


@dataclass(slots=True)
class Reading:
    """What one page says of the metric.

    `counts`: for each series, the requests so far within each upper bound in seconds. A summary has one
    bound, infinity. `quantiles`: of a summary, in seconds by quantile (0..1); of several series the largest
    value, since quantiles can't be added up.
    """

    counts: dict[Labels, dict[float, float]] = field(default_factory=dict)
    quantiles: dict[float, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Sample:
    """The labels of one line: those that name the series, and the one that places the line in it."""

    series: Labels
    bound: float | None
    quantile: float | None


class Page:
    """Reads one metric from the pages of one endpoint.

    `metric` may be given with or without "_seconds" and "_bucket". A series counts when it has all of
    `labels`.
    """

    def __init__(self, metric: str, labels: Labels = ()) -> None:
        base = metric.removesuffix("_bucket")
        self._names = (base,) if base.endswith("_seconds") else (base, f"{base}_seconds")
        self._heads = [re.compile(re.escape(name) + r"(_bucket|_count|)(?=[{ \t])") for name in self._names]
        self._filter = frozenset(labels)
        self._samples: dict[str, _Sample | None] = {}

    def read(self, text: str) -> Reading:
        """What the page says; nothing when it is sound but does not have the metric.

        Raises Malformed, and nothing else, whatever the text.
        """
        if text and not text.isspace() and not _FIRST_LINE.match(text):
            raise Malformed(f"not the Prometheus text format: {text[:40]!r}")
        lines = [line for line in text.split("\n") if line.startswith(self._names)]
        if len(lines) > MAX_LINES:
            raise Malformed(f"{self._names[0]} has more than {MAX_LINES} lines")
        # Only what this page has: a series that went away must not be kept for ever.
        known, self._samples = self._samples, {}
        for head in self._heads:
            reading = self._read(head, lines, known)
            if reading.counts or reading.quantiles:
                return reading
        return Reading()

    def _read(self, head: re.Pattern[str], lines: list[str], known: dict[str, _Sample | None]) -> Reading:
        reading = Reading()
        for line in lines:
            if (start := head.match(line)) is None:
                continue
            if (match := _LABELS_AND_VALUE.match(line, start.end())) is None:
                raise Malformed(f"not a sample: {line[:80]!r}")
            text, value = match[1] or "", _number(match[2])
            sample = self._samples[text] = known[text] if text in known else self._sample(text)
            if sample is not None:
                _enter(reading, start[1], sample, value)
        return reading

    def _sample(self, text: str) -> _Sample | None:
        """The labels, taken apart; None when the filter leaves them out."""
        if text and not _LABELS.fullmatch(text):
            raise Malformed(f"not labels: {text[:80]!r}")
        labels = {match[1]: _unescape(match[2]) for match in _LABEL.finditer(text)}
        if not self._filter <= labels.items():
            return None
        bound, quantile = labels.pop("le", None), labels.pop("quantile", None)
        return _Sample(
            series=tuple(sorted(labels.items())),
            bound=None if bound is None else _number(bound),
            quantile=None if quantile is None else _number(quantile),
        )


def _enter(reading: Reading, kind: str, sample: _Sample, value: float) -> None:
    if kind == "":
        # NaN is how a summary says that there were no requests of late.
        if sample.quantile is not None and not math.isnan(value):
            reading.quantiles[sample.quantile] = max(value, reading.quantiles.get(sample.quantile, value))
        return
    bound = sample.bound if kind == "_bucket" else math.inf
    if bound is None or math.isnan(bound):
        raise Malformed("a bucket without its bound (le)")
    if not 0 <= value < math.inf:
        raise Malformed(f"a count can't be {value}")
    reading.counts.setdefault(sample.series, {})[bound] = value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Malformed(f"not a number: {text[:40]!r}") from None


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda match: "\n" if match[1] == "n" else match[1], text) if "\\" in text else text
