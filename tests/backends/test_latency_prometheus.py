"""The text format, against the library's own writer and parser."""

from __future__ import annotations

import contextlib
import math
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, Summary, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from backends.latency.prometheus import MAX_LINES, Malformed, Page

REQUESTS = """\
# HELP http_request_duration_seconds Time.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{path="/a",le="0.1"} 3
http_request_duration_seconds_bucket{path="/a",le="0.5"} 4
http_request_duration_seconds_bucket{path="/a",le="+Inf"} 5
http_request_duration_seconds_sum{path="/a"} 1.5
http_request_duration_seconds_count{path="/a"} 5
http_request_duration_seconds_bucket{path="/b",le="0.1"} 7
http_request_duration_seconds_bucket{path="/b",le="+Inf"} 8
http_request_duration_seconds_count{path="/b"} 8
http_request_duration_seconds_created{path="/b"} 1.7e+09
http_request_duration_seconds_other_bucket{path="/b",le="0.1"} 99
"""
SUMMARY = """\
rpc_seconds{quantile="0.5"} 0.01
rpc_seconds{quantile="0.99",zone="b"} 0.04
rpc_seconds{quantile="0.99",zone="a"} 0.02
rpc_seconds{quantile="0.999"} NaN
rpc_seconds_sum 17
rpc_seconds_count 1200
"""


@pytest.mark.parametrize(
    "metric",
    ["http_request_duration_seconds", "http_request_duration", "http_request_duration_seconds_bucket"],
)
def test_a_histogram_by_any_of_its_names(metric: str) -> None:
    reading = Page(metric).read(REQUESTS)
    assert reading.counts == {
        (("path", "/a"),): {0.1: 3, 0.5: 4, math.inf: 5},
        (("path", "/b"),): {0.1: 7, math.inf: 8},
    }
    assert reading.quantiles == {}


def test_the_exact_name_comes_before_the_one_with_seconds() -> None:
    page = 'x_bucket{le="1"} 1\nx_count 1\nx_seconds_bucket{le="1"} 2\nx_seconds_count 2\n'
    assert Page("x").read(page).counts == {(): {1.0: 1, math.inf: 1}}


def test_a_summary_of_several_series_gives_the_largest_quantile() -> None:
    reading = Page("rpc").read(SUMMARY)
    assert reading.quantiles == {0.5: 0.01, 0.99: 0.04}
    assert reading.counts == {(): {math.inf: 1200}}


def test_the_label_filter() -> None:
    page = Page("http_request_duration", (("path", "/b"),))
    for _ in range(2):
        assert list(page.read(REQUESTS).counts) == [(("path", "/b"),)]
    assert Page("http_request_duration", (("path", "/c"),)).read(REQUESTS).counts == {}


def test_a_page_without_the_metric_is_sound() -> None:
    for text in ("", "\n\n", "# EOF\n", "up 1\n", "http_request_duration_seconds 4\n", REQUESTS):
        reading = Page("another").read(text)
        assert (reading.counts, reading.quantiles) == ({}, {})


def test_escapes_timestamps_exemplars_spaces_and_carriage_returns() -> None:
    text = (
        'x_bucket{ a = "}\\"\\\\\\n{" , le="0.5", } 1 1700000000000\r\n'
        'x_bucket{a="}\\"\\\\\\n{",le="+Inf"} 2.0 # {trace="{}"} 0.4 1.7e9\r\n'
    )
    assert Page("x").read(text).counts == {(("a", '}"\\\n{'),): {0.5: 1, math.inf: 2}}


@pytest.mark.parametrize(
    "text",
    [
        "<html><body>404</body></html>",
        '{"status": "ok"}',
        'x_bucket{le="0.5" 1',
        'x_bucket{le="0.5"}',
        'x_bucket{le="0.5"} many',
        'x_bucket{le="half"} 1',
        'x_bucket{le="NaN"} 1',
        'x_bucket{a="1"} 1',
        "x_bucket{le=0.5} 1",
        'x_bucket{le="0.5"} -1',
        'x_bucket{le="0.5"} NaN',
        'x_bucket{le="0.5"} +Inf',
        'x{quantile="?"} 1',
        "x_count\t",
    ],
)
def test_what_makes_no_sense_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        Page("x").read(text)


def test_too_many_series_are_refused() -> None:
    with pytest.raises(Malformed, match="more than"):
        Page("x").read("\n".join(f'x_count{{n="{n}"}} 1' for n in range(MAX_LINES + 1)))


def test_only_the_series_of_the_last_page_are_remembered() -> None:
    page = Page("x")
    for n in range(100):
        page.read(f'x_bucket{{n="{n}",le="1"}} 1')
    assert len(page._samples) == 1


_TEXT = st.text(
    st.sampled_from('x_bucketsond{}le="\\n,0.5+Inf #\t\r\n1NaNquntil-') | st.characters(), max_size=80
)


@given(st.lists(_TEXT, max_size=6), st.sampled_from(["", "x", "x_bucket", "x_count", "x_seconds_bucket{le="]))
@example(['x_bucket{le="0.5"' * 5], "")
def test_random_text_raises_malformed_or_nothing(lines: list[str], start: str) -> None:
    page = Page("x")
    for text in ("\n".join(lines), "\n".join(start + line for line in lines)):
        with contextlib.suppress(Malformed):
            page.read(text)


@pytest.mark.parametrize(
    "text", ['x{a="' + "\\" * 10**6, "x{" + '""' * 500_000, "x" + " " * 10**6, "a" * 10**6]
)
def test_a_long_bad_line_takes_no_longer_than_its_length(text: str) -> None:
    started = time.process_time()
    with contextlib.suppress(Malformed):
        Page("x").read(text)
    assert time.process_time() - started < 1.0


_LABEL_VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)


@given(st.lists(st.tuples(_LABEL_VALUES, st.floats(0, 20)), max_size=40))
def test_it_reads_what_the_library_writes_as_the_library_does(seen: list[tuple[str, float]]) -> None:
    registry = CollectorRegistry()
    histogram = Histogram("x_seconds", "x", ["path"], registry=registry)
    summary = Summary("y_seconds", "y", ["path"], registry=registry)
    Counter("x_seconds_requests", "z", registry=registry).inc()
    for path, seconds in seen:
        histogram.labels(path).observe(seconds)
        summary.labels(path).observe(seconds)
    text = generate_latest(registry).decode()

    expected: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "x_seconds_bucket":
                series = (("path", sample.labels["path"]),)
                expected.setdefault(series, {})[float(sample.labels["le"])] = sample.value
    assert Page("x").read(text).counts == expected
    counts = Page("y").read(text).counts
    assert sum(series[math.inf] for series in counts.values()) == len(seen)
