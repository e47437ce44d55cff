"""The plant on cgroup files (v1 and v2, in a directory that behaves as the kernel does), and latencies."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backends.base import Gone
from backends.cgroup import open_node
from backends.latency.prometheus import Page
from benchmarks.lab.plant import Plant
from benchmarks.lab.real_plant import RealPlant, Scraping, ServiceLatency, weight_of_shares
from tests.fakes.cgroup_tree import CgroupTree, Kind

METRIC = "http_request_duration_seconds"
# Nobody listens there: the plant goes on without latencies.
NO_URL = "http://127.0.0.1:9/metrics"


def page(fast: int, slow: int) -> str:
    """`fast` requests within 50 ms, `slow` more within 200 ms."""
    return "".join(
        f'{METRIC}_bucket{{le="{bound}"}} {count}\n'
        for bound, count in (("0.05", fast), ("0.2", fast + slow), ("+Inf", fast + slow))
    )


class TestLatency:
    def told(self, *pages: tuple[float, int, int]) -> ServiceLatency:
        latency, reader = ServiceLatency(), Page(METRIC)
        for at, fast, slow in pages:
            latency.add(reader.read(page(fast, slow)), at)
        return latency

    def test_each_window_has_its_own_requests(self) -> None:
        pages = [(0.25 * n, 10 * n, 0) for n in range(17)]
        latency = self.told(*pages, (4.25, 160, 10))
        assert latency.quantile_seconds(0.1, 50, 4.3) == pytest.approx(0.125)
        assert latency.quantile_seconds(1.0, 50, 4.3) < 0.05
        assert latency.quantile_seconds(60.0, 90, 4.3) < 0.05
        assert latency.quantile_seconds(0.1, 95, 4.3) > 0.15

    def test_a_minute_is_remembered(self) -> None:
        pages = [(0.25 * n, 0, 10 if n == 1 else 0) for n in range(2)]
        later = [(0.25 * n, 0, 10) for n in range(2, 4 * 55)]
        latency = self.told((0.0, 0, 0), *pages[1:], *later)
        assert latency.quantile_seconds(60.0, 50, 54.8) == pytest.approx(0.125)
        assert math.isnan(latency.quantile_seconds(10.0, 50, 54.8))

    def test_the_rate_is_that_of_the_window(self) -> None:
        latency = self.told(*[(0.25 * n, 5 * n, 0) for n in range(9)], (2.25, 140, 0))
        assert latency.rate_per_second(0.25, 2.3) == pytest.approx(400)
        assert latency.rate_per_second(1.0, 2.3) == pytest.approx(115)

    def test_nothing_is_known_before_two_scrapes_and_three_seconds_after_the_last(self) -> None:
        assert math.isnan(ServiceLatency().quantile_seconds(1.0, 95, 0.0))
        assert math.isnan(self.told((0.0, 5, 0)).quantile_seconds(1.0, 95, 0.1))
        latency = self.told((0.0, 5, 0), (0.25, 10, 0))
        assert latency.quantile_seconds(1.0, 95, 3.2) < 0.05
        assert math.isnan(latency.quantile_seconds(1.0, 95, 3.3))
        assert math.isnan(latency.rate_per_second(1.0, 3.3))

    def test_it_is_scraped_until_left(self) -> None:
        asked = threading.Semaphore(0)
        served = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                nonlocal served
                served += 10
                self.send_response(200)
                self.end_headers()
                self.wfile.write(page(served, 0).encode())
                asked.release()

            def log_message(self, format: str, *args: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            latency = ServiceLatency()
            with Scraping(f"http://127.0.0.1:{server.server_port}/metrics", METRIC, latency):
                for _ in range(3):
                    assert asked.acquire(timeout=10)
            server.shutdown()
        assert latency.quantile_seconds(60.0, 95, time.monotonic()) < 0.05
        assert latency.rate_per_second(1.0, time.monotonic()) > 0
        assert "scrape" not in {thread.name for thread in threading.enumerate()}


@contextmanager
def plant(tree: CgroupTree, **more: bool) -> Iterator[RealPlant]:
    with RealPlant(
        victim="web",
        slo_seconds=0.1,
        online={"web": "/web"},
        peers={"batch": "/slice/batch"},
        metrics_url=NO_URL,
        metric=METRIC,
        full_rate_per_second=100.0,
        may_reweight=more.get("may_reweight", True),
        open_node=lambda: open_node(mountinfo_path=tree.mountinfo, proc=tree.proc, files=tree.files),
    ) as opened:
        yield opened


@pytest.fixture(params=["v1", "hybrid", "v2"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> CgroupTree:
    kind: Kind = request.param
    made = CgroupTree(tmp_path, kind)
    for group in ("/web", "/slice", "/slice/batch"):
        made.add(group)
    return made


class TestPlant:
    def test_names_are_the_scenarios(self, tree: CgroupTree) -> None:
        with plant(tree) as opened:
            seen: Plant = opened
            assert (seen.victim, seen.online, seen.peers) == ("web", ("web",), ("batch",))
            assert seen.cpus >= 1

    def test_counters_are_cumulative(self, tree: CgroupTree) -> None:
        with plant(tree) as opened:
            tree.use_cpu("/web", 1.5)
            assert opened.usage_seconds("web") == pytest.approx(1.5)
            tree.throttle("/web", periods=10, throttled=4)
            assert opened.throttling("web") == (10, 4)
            assert opened.usage_seconds("batch") == 0.0
            assert opened.busy_seconds() > 0

    def test_limits_are_written_and_read_in_cores(self, tree: CgroupTree) -> None:
        with plant(tree) as opened:
            assert opened.limit_cores("batch") == math.inf
            opened.set_limit("batch", 0.75)
            assert opened.limit_cores("batch") == 0.75
            opened.set_limit("batch", 0.0)
            assert opened.limit_cores("batch") == 0.01
            opened.set_limit("batch", math.inf)
            assert opened.limit_cores("batch") == math.inf

    def test_what_would_change_nothing_is_not_written(self, tree: CgroupTree) -> None:
        with plant(tree) as opened:
            opened.set_limit("batch", 0.75)
            opened.set_limit("batch", 0.750001)
        assert len(tree.files.writes) == 1

    def test_weights_are_in_v1s_scale(self, tree: CgroupTree) -> None:
        with plant(tree) as opened:
            opened.set_shares("batch", 512)
            assert weight(tree) == (50 if tree.kind == "v2" else 512)
            opened.set_shares("batch", 2)
            assert weight(tree) == (1 if tree.kind == "v2" else 2)

    def test_idle_is_switched_on_and_off(self, tree: CgroupTree) -> None:
        with plant(tree) as opened:
            opened.set_idle("batch", True)
            assert idle(tree) == 1
            opened.set_idle("batch", False)
            assert idle(tree) == 0

    def test_what_may_not_be_reweighted_is_left_alone(self, tree: CgroupTree) -> None:
        with plant(tree, may_reweight=False) as opened:
            opened.set_shares("batch", 2)
            opened.set_idle("batch", True)
        assert weight(tree) == (100 if tree.kind == "v2" else 1024)
        assert idle(tree) == 0

    def test_without_metrics_there_is_no_latency_and_no_load(self, tree: CgroupTree) -> None:
        with plant(tree) as opened:
            assert math.isnan(opened.latency_seconds(1.0, 95))
            assert opened.load_ratio() == 0.0

    def test_a_group_that_is_not_there_is_told_at_once(self, tmp_path: Path) -> None:
        empty = CgroupTree(tmp_path, "v1")
        with pytest.raises(OSError, match="/web/"), plant(empty):
            pass

    def test_a_group_that_vanishes_ends_it(self, tree: CgroupTree) -> None:
        with plant(tree) as opened:
            tree.remove("/slice/batch")
            with pytest.raises(Gone):
                opened.set_limit("batch", 0.5)


def test_a_weight_is_at_least_one() -> None:
    assert [weight_of_shares(shares) for shares in (2, 1024, 10240)] == [1, 100, 1000]


def weight(tree: CgroupTree) -> int:
    return int(tree.text("/slice/batch", "cpu.weight" if tree.kind == "v2" else "cpu.shares"))


def idle(tree: CgroupTree) -> int:
    return int(tree.text("/slice/batch", "cpu.idle"))
