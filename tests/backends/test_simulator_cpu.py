"""Who gets the simulated CPU: capacity, weights, quotas, and what the counters say about it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.simulator import Hogs, OnlineService, SimulatedDiscovery, SimulatedNode
from backends.simulator.sharing import water_fill
from backends.simulator.workload import Crowd
from models.container import CpuLimit, Sample


def run(node: SimulatedNode, seconds: float) -> Sample:
    """What happened in the next `seconds`: the sample's counters are differences, rows sorted by id."""
    containers = sorted(SimulatedDiscovery(node).containers(), key=lambda container: container.id)
    node.watch(containers)
    before = node.collect(node.clock_seconds)
    node.advance(node.clock_seconds + seconds)
    sample = node.collect(node.clock_seconds)
    sample.usage_seconds -= before.usage_seconds
    sample.wait_seconds -= before.wait_seconds
    sample.periods -= before.periods
    sample.throttled_periods -= before.throttled_periods
    sample.throttled_seconds -= before.throttled_seconds
    return sample


GROUPS = st.lists(
    st.tuples(
        st.integers(0, 4),  # threads, 0: an online service
        st.integers(2, 4096),  # weight
        st.none() | st.integers(1_000, 200_000),  # quota
        st.sampled_from(["", "/a", "/b"]),  # parent
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(groups=GROUPS, cpus=st.integers(1, 4), seed=st.integers(0, 9))
def test_no_more_cpu_is_given_than_there_is_and_none_is_left_that_is_wanted(
    groups: list[tuple[int, int, int | None, str]], cpus: int, seed: int
) -> None:
    node = SimulatedNode(cpus)
    node.add_group("/a")
    node.add_group("/b", weight=100)
    arrivals = np.sort(np.random.default_rng(seed).uniform(0, 1, 150))
    unlimited = 0
    for number, (threads, weight, quota, parent) in enumerate(groups):
        load = Hogs(threads) if threads else OnlineService(arrivals, 0.01, threads=3)
        limit = CpuLimit(quota)
        node.add_container(str(number), f"{parent}/{number}", load, weight=weight, limit=limit)
        unlimited += threads if quota is None else 0
    for _ in range(100):
        node.watch(SimulatedDiscovery(node).containers())
        before = node.collect(node.clock_seconds)
        node.advance(round(node.clock_seconds + 0.005, 6))
        after = node.collect(node.clock_seconds)
        used = after.usage_seconds - before.usage_seconds
        assert np.all(used >= -1e-9)
        assert used.sum() <= cpus * 0.005 + 1e-9
        assert used.sum() >= min(cpus, unlimited) * 0.005 - 1e-5
        assert after.node.busy_seconds - before.node.busy_seconds == pytest.approx(used.sum())
        assert np.all(after.wait_seconds - before.wait_seconds <= 0.005 + 1e-9)


@given(
    wants=st.lists(st.tuples(st.floats(0.001, 10), st.floats(0.1, 1000)), min_size=1, max_size=8),
    capacity=st.floats(0.01, 20),
)
def test_water_filling_is_max_min_fair(wants: list[tuple[float, float]], capacity: float) -> None:
    grants = water_fill(capacity, [w for w, _ in wants], [k for _, k in wants])
    assert sum(grants) == pytest.approx(min(capacity, sum(w for w, _ in wants)))
    levels = [g / k for g, (_, k) in zip(grants, wants, strict=True)]
    for grant, (want, _), level in zip(grants, wants, levels, strict=True):
        assert grant <= want + 1e-9
        if grant < want - 1e-9:
            assert level >= max(levels) * (1 - 1e-9)


def test_saturated_groups_share_by_weight() -> None:
    node = SimulatedNode(2)
    node.add_container("a", "/a", Hogs(4), weight=1024)
    node.add_container("b", "/b", Hogs(4), weight=3072)
    assert run(node, 5).usage_seconds == pytest.approx([2.5, 7.5])


def test_threads_that_sleep_and_wake_count_for_more_than_their_weight_where_that_is_wanted() -> None:
    def web_share(bonus: float, parent: str) -> float:
        node = SimulatedNode(2, sleeper_bonus_ratio=bonus)
        node.add_group("/slice")
        node.add_container("hogs", "/hogs", Hogs(4))
        node.add_container("web", f"{parent}/web", OnlineService(np.zeros(1000), 0.1, threads=4), weight=1024)
        return float(run(node, 10).usage_seconds[1]) / 20

    assert web_share(0.0, "") == pytest.approx(0.5, abs=0.01)
    assert web_share(0.5, "") == pytest.approx(0.6, abs=0.01)
    assert web_share(0.5, "/slice") == pytest.approx(0.6, abs=0.01)


def test_threads_stack_on_one_cpu_only_while_others_are_busy() -> None:
    crowd = Crowd(stacked_ratio=0.5)
    assert [crowd.cpus_in_use(n, 2) for n in (0, 1, 2, 3)] == [0, 1, 1.5, 1.75]
    assert crowd.cpus_in_use(50, 2) == pytest.approx(2.0)
    assert [Crowd().cpus_in_use(n, 4) for n in (1, 3, 9)] == [1, 3, 4]

    def slowest(peer: Hogs | None) -> float:
        node = SimulatedNode(2, wakeup_wait_seconds=0.0, stacked_ratio=0.5)
        node.add_container("web", "/web", OnlineService([1.0, 1.0], 0.03), weight=100_000)
        node.add_container("peer", "/peer", peer)
        node.advance(2.0)
        return max(latency for _, latency in node.finished("web"))

    assert slowest(None) == pytest.approx(0.03)
    assert slowest(Hogs(4)) == pytest.approx(0.04, rel=0.1)


def test_a_single_thread_never_uses_more_than_one_cpu() -> None:
    node = SimulatedNode(4)
    node.add_container("a", "/a", Hogs(1), weight=100_000)
    node.add_container("b", "/b", Hogs(8))
    assert run(node, 1).usage_seconds == pytest.approx([1.0, 3.0])


def test_weights_act_among_siblings_only() -> None:
    node = SimulatedNode(2)
    node.add_group("/slice")
    node.add_container("offline", "/slice/offline", Hogs(4))
    node.add_container("online", "/online", Hogs(4))
    node.set_idle("/slice/offline", True)
    assert run(node, 5).usage_seconds == pytest.approx([5.0, 5.0])


def test_idle_gives_way_to_a_sibling_and_takes_what_is_left() -> None:
    node = SimulatedNode(2)
    node.add_container("idle", "/idle", Hogs(4))
    node.add_container("one", "/one", Hogs(1))
    node.set_idle("/idle", True)
    assert run(node, 5).usage_seconds == pytest.approx([5.0, 5.0])
    node.set_workload("one", Hogs(4))
    assert run(node, 5).usage_seconds == pytest.approx([10 * 3 / 1027, 10 * 1024 / 1027])


def test_containers_on_other_cpus_do_not_compete() -> None:
    node = SimulatedNode(2)
    node.add_container("a", "/a", Hogs(1), allowed_cpus=frozenset({0}))
    node.add_container("b", "/b", Hogs(4), allowed_cpus=frozenset({1}))
    sample = run(node, 1)
    assert sample.usage_seconds == pytest.approx([1.0, 1.0])
    assert sample.wait_seconds == pytest.approx([0.0, 1.0])
    assert node.allowed_cpus("/a") == {0}
    with pytest.raises(ValueError, match="overlap"):
        node.add_container("c", "/c")


@pytest.mark.parametrize("period_us", [25_000, 50_000, 100_000, 1_000_000])
@pytest.mark.parametrize("share", [0.2, 0.4, 1.5])
def test_a_quota_gives_that_much(period_us: int, share: float) -> None:
    node = SimulatedNode(2)
    node.add_container("a", "/a", Hogs(4), limit=CpuLimit(round(share * period_us), period_us))
    run(node, 2)
    assert run(node, 10).usage_seconds[0] / 10 == pytest.approx(share, abs=0.01 * share)


def test_every_write_of_a_quota_refills_it() -> None:
    """Linux 6.18 with a quota of 20 %: 22.2 % at 1 write/s, 38.6 to 41.9 % at 10/s, 99.6 % at 100/s."""
    got = []
    for interval in (1.0, 0.1, 0.01):
        node = SimulatedNode(2)
        quota = CpuLimit(20_000)
        node.add_container("a", "/a", Hogs(1), limit=quota)
        for step in range(round(10 / interval)):
            node.advance(step * interval)
            node.set_limit("/a", quota)
        got.append(run(node, interval).node.busy_seconds / 10)
    assert got[0] == pytest.approx(0.22, abs=0.01)
    assert 0.36 <= got[1] <= 0.42
    assert got[2] == pytest.approx(1.0, abs=0.01)


def test_an_ancestors_quota_binds_and_is_the_one_that_counts() -> None:
    node = SimulatedNode(2)
    node.add_group("/pod", limit=CpuLimit(50_000))
    node.add_container("a", "/pod/a", Hogs(2))
    node.add_container("b", "/pod/b", Hogs(2))
    node.add_container("c", "/c", Hogs(1))
    sample = run(node, 10)
    assert sample.usage_seconds == pytest.approx([2.5, 2.5, 10.0], rel=0.01)
    assert sample.limit_cores.tolist() == [0.5, 0.5, np.inf]
    assert sample.throttled_periods[0] >= 99
    assert sample.periods[2] == sample.throttled_periods[2] == 0


def test_throttled_counters() -> None:
    node = SimulatedNode(2)
    node.add_container("a", "/a", Hogs(1), limit=CpuLimit(20_000))
    node.add_container("b", "/b", None, limit=CpuLimit(20_000))
    run(node, 1)
    sample = run(node, 10)
    assert sample.periods.tolist() == [100, 0]
    assert sample.throttled_periods.tolist() == [100, 0]
    assert sample.throttled_seconds == pytest.approx([8.0, 0.0])
    assert sample.wait_seconds == pytest.approx([8.0, 0.0])


def test_throttled_seconds_are_summed_over_cpus_and_waiting_is_not() -> None:
    node = SimulatedNode(2)
    node.add_container("a", "/a", Hogs(2), limit=CpuLimit(100_000))
    sample = run(node, 10)
    assert sample.throttled_seconds[0] == pytest.approx(10.0, rel=0.02)
    assert sample.wait_seconds[0] <= 10.0


def test_waiting_is_none_alone_and_nearly_all_among_hogs() -> None:
    node = SimulatedNode(2)
    node.add_container("hogs", "/hogs", None)
    node.add_container("web", "/web", OnlineService(np.arange(0.001, 20, 0.05), 0.004))
    assert run(node, 5).wait_seconds[1] == 0.0

    node.set_workload("hogs", Hogs(4))
    low = run(node, 5)
    assert low.usage_seconds[1] == pytest.approx(100 * 0.004, rel=0.02)
    assert 0.01 < low.wait_seconds[1] / 5 < 0.2

    node.set_workload("web", Hogs(3))
    assert run(node, 5).wait_seconds == pytest.approx([5.0, 5.0])


@pytest.mark.parametrize(("parent", "gives_way"), [("", True), ("/slice", False)])
def test_a_waking_thread_does_not_wait_for_an_idle_sibling(parent: str, gives_way: bool) -> None:
    node = SimulatedNode(2)
    node.add_group("/slice")
    node.add_container("hogs", f"{parent}/hogs", Hogs(4))
    node.add_container("web", "/web", OnlineService(np.arange(0.001, 20, 0.05), 0.004))
    node.set_idle(f"{parent}/hogs", True)
    waited = run(node, 10).wait_seconds[1] / 10
    assert (waited < 0.001) == gives_way


def test_a_hog_that_shares_one_cpu_waits_for_the_other_ones_turns() -> None:
    node = SimulatedNode(1)
    node.add_container("a", "/a", Hogs(1))
    node.add_container("b", "/b", Hogs(1), weight=3072)
    assert run(node, 4).wait_seconds == pytest.approx([3.0, 1.0])


def test_hogs_work_in_their_intervals_only() -> None:
    node = SimulatedNode(2)
    hogs = Hogs(1, active=[(1.0, 2.0), (2.5, 2.512)], units_per_cpu_second=10)
    node.add_container("a", "/a", hogs)
    assert run(node, 4).usage_seconds[0] == pytest.approx(1.012)
    assert hogs.work_units == pytest.approx(10.12)
