"""Requests on the simulated node: how long they take, and why."""

from __future__ import annotations

import numpy as np
import pytest

from backends.simulator import (
    Hogs,
    OnlineService,
    SimulatedDiscovery,
    SimulatedNode,
    Workload,
    lognormal_cpu_seconds,
    poisson_arrivals,
)
from models.container import CpuLimit, FloatArray, Sample

NO_LIMIT = CpuLimit()


def serve(
    service: OnlineService,
    peer: Workload | None = None,
    peer_limit: CpuLimit = NO_LIMIT,
    seconds: float = 60.0,
) -> tuple[FloatArray, Sample]:
    """Run `service` beside `peer` on 2 CPUs: rows of (finish, latency), and the counters at the end."""
    node = SimulatedNode(2)
    node.add_container("web", "/web", service)
    node.add_container("peer", "/peer", peer, limit=peer_limit)
    node.watch(SimulatedDiscovery(node).containers())
    node.advance(seconds)
    return np.array(node.finished("web")).reshape(-1, 2), node.collect(seconds)


def p95(finished: FloatArray) -> float:
    return float(np.percentile(finished[:, 1], 95))


def test_one_request_takes_its_cpu_time() -> None:
    finished, sample = serve(OnlineService([0.0123], 0.02), seconds=1)
    assert finished == pytest.approx(np.array([[0.0323, 0.02]]))
    assert sample.usage_seconds[0] == pytest.approx(0.02)


def test_one_worker_serves_in_order() -> None:
    finished, sample = serve(OnlineService([0.1, 0.101, 0.102], [0.02, 0.01, 0.03], threads=1), seconds=1)
    assert finished[:, 0] == pytest.approx([0.12, 0.13, 0.16])
    assert sample.wait_seconds[0] == 0.0  # they wait for the worker, not for a CPU


def test_more_workers_than_cpus_share_them_and_wait_for_each_other() -> None:
    finished, sample = serve(OnlineService([0.1, 0.1, 0.1], 0.02, threads=3), seconds=1)
    assert finished[:, 1] == pytest.approx([0.03, 0.03, 0.03])
    assert sample.wait_seconds[0] == pytest.approx(0.03)


def test_mean_wait_in_the_queue_is_that_of_m_d_1() -> None:
    """Pollaczek-Khinchine: with load rho and fixed service s, the mean wait is s * rho / (2 * (1 - rho))."""
    service, load = 0.01, 0.6
    arrivals = poisson_arrivals([(0, load / service)], 300, seed=3)
    finished, _ = serve(OnlineService(arrivals, service, threads=1), seconds=310)
    assert len(finished) == len(arrivals)
    assert finished[:, 1].mean() - service == pytest.approx(service * load / (2 * (1 - load)), rel=0.1)


def test_alone_at_moderate_load_latency_is_small() -> None:
    arrivals = poisson_arrivals([(0, 120)], 60, seed=1)
    finished, sample = serve(OnlineService(arrivals, 0.01))
    assert p95(finished) < 0.04
    assert sample.usage_seconds[0] == pytest.approx(len(arrivals) * 0.01, rel=0.01)


def test_overload_grows_steadily_and_counts_from_the_intended_arrival() -> None:
    arrivals = np.arange(0, 40, 0.01)
    finished, _ = serve(OnlineService(arrivals, 0.03), seconds=40)  # 3 cores wanted of 2
    done_at, latency = finished.T
    growth = np.polyfit(done_at, latency, 1)[0]
    assert growth == pytest.approx(1 / 3, rel=0.02)


def test_hogs_of_equal_weight_starve_it_and_a_quota_on_them_saves_it() -> None:
    """The order of size on a real kernel (design.md §5): 40 ms alone, 3 s and rising, 65 to 100 ms."""
    arrivals = poisson_arrivals([(0, 100)], 60, seed=2)

    def with_peer(peer: Workload | None, limit: CpuLimit) -> float:
        return p95(serve(OnlineService(arrivals, 0.013, threads=4), peer, limit)[0])

    alone = with_peer(None, CpuLimit())
    assert alone < 0.06
    assert with_peer(Hogs(4), CpuLimit()) > 3.0
    assert alone < with_peer(Hogs(4), CpuLimit(40_000)) < 0.15


def test_a_slow_downstream_costs_latency_but_no_waiting() -> None:
    arrivals = np.arange(0.5, 20, 0.05)
    slow = np.where(arrivals >= 10, 0.2, 0.0)
    finished, sample = serve(OnlineService(arrivals, 0.005, threads=8, downstream_seconds=slow), seconds=25)
    before = finished[:, 0] < 10
    assert finished[before, 1] == pytest.approx(0.005)
    assert finished[~before, 1] == pytest.approx(0.205)
    assert sample.wait_seconds[0] == pytest.approx(0.0, abs=1e-6)
    assert sample.usage_seconds[0] == pytest.approx(len(arrivals) * 0.005)


def test_a_slow_downstream_holds_the_worker() -> None:
    finished, _ = serve(OnlineService([0.1, 0.1], 0.01, threads=1, downstream_seconds=0.05), seconds=1)
    assert finished[:, 1] == pytest.approx([0.06, 0.12])


def test_an_event_loop_waits_for_the_downstream_without_a_worker() -> None:
    service = OnlineService([0.1, 0.1], 0.01, threads=1, downstream_seconds=0.05, holds_worker=False)
    finished, _ = serve(service, seconds=1)
    assert finished[:, 1] == pytest.approx([0.06, 0.07])


def test_an_own_quota_that_is_too_small_throttles_while_the_node_is_idle() -> None:
    node = SimulatedNode(2)
    arrivals = poisson_arrivals([(0, 100)], 20, seed=1)
    node.add_container("web", "/web", OnlineService(arrivals, 0.01), limit=CpuLimit(50_000))
    node.watch(SimulatedDiscovery(node).containers())
    node.advance(20)
    sample = node.collect(20)
    assert sample.throttled_periods[0] / sample.periods[0] > 0.9
    assert sample.usage_seconds[0] == pytest.approx(10.0, rel=0.02)
    assert sample.wait_seconds[0] > 5.0
    assert node.finished("web")[-1][1] > 5.0

    node.set_limit("/web", CpuLimit(200_000))
    node.advance(60)
    assert len(node.finished("web")) > 900
    assert node.collect(60).throttled_periods[0] <= sample.throttled_periods[0] + 1


def test_finished_requests_are_handed_over_once() -> None:
    node = SimulatedNode(2)
    node.add_container("web", "/web", OnlineService([0.1, 1.1], 0.01))
    node.add_container("hogs", "/hogs", Hogs(1))
    node.advance(1)
    assert len(node.finished("web")) == 1
    assert node.finished("web") == node.finished("hogs") == []
    node.advance(2)
    assert len(node.finished("web")) == 1


def test_arrivals_must_be_ascending() -> None:
    with pytest.raises(ValueError, match="ascending"):
        OnlineService([2.0, 1.0], 0.01)


def test_poisson_arrivals_follow_the_rates_and_the_seed() -> None:
    rates = [(0.0, 10.0), (100.0, 50.0), (200.0, 0.0)]
    arrivals = poisson_arrivals(rates, 300, seed=7)
    assert np.all(np.diff(arrivals) >= 0)
    assert np.sum(arrivals < 100) == pytest.approx(1000, rel=0.1)
    assert np.sum(arrivals >= 100) == pytest.approx(5000, rel=0.1)
    assert arrivals.max() < 200
    assert np.array_equal(arrivals, poisson_arrivals(rates, 300, seed=7))
    assert not np.array_equal(arrivals[:50], poisson_arrivals(rates, 300, seed=8)[:50])


def test_lognormal_demands_have_their_mean_and_spread() -> None:
    drawn = lognormal_cpu_seconds(100_000, 0.01, 0.8, seed=1)
    assert drawn.mean() == pytest.approx(0.01, rel=0.02)
    assert drawn.std() / drawn.mean() == pytest.approx(0.8, rel=0.05)
