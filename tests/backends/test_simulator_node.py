"""The simulated node as the engine sees it: the Node and Discovery protocols."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from backends.base import Discovery, Gone, Node, Refused
from backends.simulator import (
    Hogs,
    LimitWrite,
    OnlineService,
    SimulatedDiscovery,
    SimulatedNode,
    poisson_arrivals,
)
from models.container import Container, CpuLimit, Sample


def test_it_fits_the_protocols() -> None:
    node: Node = SimulatedNode(2)
    discovery: Discovery = SimulatedDiscovery(SimulatedNode(2))
    assert (node.name, node.cpus, discovery.containers()) == ("simulated", 2, ())
    node.close()


def test_time_goes_forward_in_whole_slices_and_only_when_told() -> None:
    node = SimulatedNode(2, start_seconds=1_700_000_000.0)
    node.advance(1_700_000_000.25)
    assert node.collect(1_700_000_000.25).taken_at_seconds == node.clock_seconds
    with pytest.raises(ValueError, match="it is"):
        node.collect(1_700_000_001.0)
    for wrong in (1_700_000_000.0, 1_700_000_000.2512):
        with pytest.raises(ValueError, match="can't advance"):
            node.advance(wrong)


def test_a_clock_of_seconds_since_1970_serves_as_well() -> None:
    def latencies(start: float) -> list[float]:
        node = SimulatedNode(2, start_seconds=start)
        arrivals = start + poisson_arrivals([(0, 100)], 10, seed=4)
        node.add_container("web", "/web", OnlineService(arrivals, 0.012))
        node.add_container("hogs", "/hogs", Hogs(4), weight=512)
        node.advance(start + 20)
        return [latency for _, latency in node.finished("web")]

    assert latencies(1_700_000_000.0) == pytest.approx(latencies(0.0), abs=1e-3)


def test_limits_are_read_back_and_only_the_engines_writes_are_listed() -> None:
    node = SimulatedNode(2)
    node.add_container("a", "/a", Hogs(1))
    assert node.limit("/a") == CpuLimit()
    node.set_limit("/a", CpuLimit(30_000, 50_000))
    assert node.limit("/a") == CpuLimit(30_000, 50_000)
    node.advance(1)
    node.write_from_outside("/a", CpuLimit(None, 50_000))
    assert node.limit("/a").quota_us is None
    assert node.writes == [LimitWrite(0.0, "/a", CpuLimit(30_000, 50_000))]


@pytest.mark.parametrize(
    ("group", "limit"),
    [
        ("/pod/c", CpuLimit(999)),
        ("/pod/c", CpuLimit(10_000, 999)),
        ("/pod/c", CpuLimit(10_000, 1_000_001)),
        ("/pod/c", CpuLimit(100_001)),
        ("/pod", CpuLimit(49_999)),
    ],
)
def test_it_refuses_what_cgroup_v1_refuses(group: str, limit: CpuLimit) -> None:
    node = SimulatedNode(2)
    node.add_group("/pod", limit=CpuLimit(100_000))
    node.add_container("c", "/pod/c", limit=CpuLimit(50_000))
    before = node.limit(group)
    with pytest.raises(Refused) as refused:
        node.set_limit(group, limit)
    assert refused.value.errno == errno.EINVAL
    assert node.limit(group) == before
    assert node.writes == []


def test_pod_first_up_and_container_first_down_is_accepted() -> None:
    node = SimulatedNode(2)
    node.add_group("/pod", limit=CpuLimit(50_000))
    node.add_container("c", "/pod/c", limit=CpuLimit(50_000))
    node.set_limit("/pod", CpuLimit(150_000))
    node.set_limit("/pod/c", CpuLimit(75_000, 50_000))  # the ratio counts
    node.set_limit("/pod/c", CpuLimit(10_000, 50_000))
    node.set_limit("/pod", CpuLimit(20_000))
    node.set_limit("/pod/c", CpuLimit(None, 50_000))


def test_a_grandparents_limit_refuses_too() -> None:
    node = SimulatedNode(2)
    node.add_group("/slice", limit=CpuLimit(50_000))
    node.add_group("/slice/pod")
    node.add_container("c", "/slice/pod/c")
    assert node.ancestors("/slice/pod/c") == ("/slice/pod", "/slice")
    assert node.ancestors("/slice") == ()
    with pytest.raises(Refused):
        node.set_limit("/slice/pod/c", CpuLimit(60_000))


def test_weight_is_refused_while_idle() -> None:
    node = SimulatedNode(2)
    node.add_container("a", "/a")
    node.set_idle("/a", True)
    with pytest.raises(Refused):
        node.set_weight("/a", 512)
    node.set_idle("/a", False)
    node.set_weight("/a", 512)


def test_a_vanished_group_is_gone_for_every_call() -> None:
    node = SimulatedNode(2)
    node.add_group("/pod")
    node.add_container("a", "/pod/a", OnlineService([0.1], 0.01))
    node.add_container("b", "/b", Hogs(1))
    containers = SimulatedDiscovery(node).containers()
    node.watch(containers)
    node.advance(1)
    node.vanish("/pod")
    node.advance(2)
    sample = node.collect(2)
    assert sample.ids == ("a", "b")
    assert sample.gone == {"a"}
    assert all(np.isnan(getattr(sample, name)[0]) for name in Sample.COLUMNS)
    assert sample.usage_seconds[1] == pytest.approx(2.0)
    for call in (node.limit, node.inode, node.ancestors, node.vanish):
        with pytest.raises(Gone):
            call("/pod/a")
    with pytest.raises(Gone):
        node.set_limit("/pod/a", CpuLimit(10_000))
    with pytest.raises(Gone):
        node.finished("a")
    assert node.allowed_cpus("/pod/a") == {0, 1}


def test_a_path_used_again_is_another_container() -> None:
    node = SimulatedNode(2)
    node.add_container("a", "/a", Hogs(1))
    discovery = SimulatedDiscovery(node)
    (old,) = discovery.containers()
    node.watch([old])
    node.vanish("/a")
    assert discovery.containers() == ()
    node.add_container("a", "/a", Hogs(1))
    (new,) = discovery.containers()
    assert new.identity != old.identity
    assert node.collect(0).gone == {"a"}
    node.watch([new])
    assert node.collect(0).gone == frozenset()


def test_discovery_gives_the_policy_and_calls_for_it_once() -> None:
    node = SimulatedNode(2)
    calls = []

    def policy_of(name: str, cgroup: str, inode: int) -> Container:
        calls.append(name)
        return Container(name, cgroup, inode, tier="online", priority=100)

    discovery = SimulatedDiscovery(node, policy_of)
    node.add_container("a", "/a")
    (first,) = discovery.containers()
    node.add_container("b", "/b")
    assert [c.priority for c in discovery.containers()] == [100, 100]
    assert discovery.containers()[0] is first
    assert first.inode == node.inode("/a")
    assert calls == ["a", "b"]


def test_impossible_containers_are_errors_of_the_scenario() -> None:
    node = SimulatedNode(2)
    node.add_container("a", "/a")
    for name, path in (("a", "/b"), ("b", "/a"), ("b", "/none/b"), ("b", "/a/b"), ("b", "b")):
        with pytest.raises(ValueError):
            node.add_container(name, path)
    with pytest.raises(ValueError, match="no such CPUs"):
        node.add_container("b", "/b", allowed_cpus=frozenset({7}))


def test_the_same_seed_gives_the_same_run() -> None:
    def play() -> tuple[list[tuple[float, float]], list[float]]:
        node = SimulatedNode(2)
        arrivals = poisson_arrivals([(0, 100), (5, 140)], 10, seed=5)
        node.add_group("/slice", weight=512)
        node.add_container("web", "/web", OnlineService(arrivals, 0.012))
        node.add_container("hogs", "/slice/hogs", Hogs(4, active=[(3, 8)]), limit=CpuLimit(80_000))
        node.watch(SimulatedDiscovery(node).containers())
        usage = []
        for second in range(1, 11):
            node.advance(float(second))
            usage += node.collect(float(second)).usage_seconds.tolist()
        return node.finished("web"), usage

    assert play() == play()


def test_the_steps_of_the_caller_do_not_change_the_result() -> None:
    def play(step: float) -> list[tuple[float, float]]:
        node = SimulatedNode(2)
        node.add_container("web", "/web", OnlineService(poisson_arrivals([(0, 100)], 10, seed=5), 0.012))
        node.add_container("hogs", "/hogs", Hogs(4))
        for i in range(1, round(10 / step) + 1):
            node.advance(i * step)
        return node.finished("web")

    assert play(0.1) == play(1.0)


def test_the_load_average_nears_the_number_of_runnable_threads() -> None:
    node = SimulatedNode(2)
    node.add_container("hogs", "/hogs", Hogs(5))
    node.advance(300)
    assert node.collect(300).node.load_1m == pytest.approx(5.0, rel=0.02)
