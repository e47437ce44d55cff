"""Scenarios on the simulated stage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.lab.arrivals import phases
from benchmarks.lab.run import Run
from benchmarks.lab.scenario import Change, Online, Peer, Scenario
from benchmarks.lab.simulated import SimulatedStage
from benchmarks.lab.simulated_plant import SimulatedPlant
from benchmarks.lab.simulated_world import World, stretches
from benchmarks.lab.traits import Traits
from controller.demo.load import draw_arrivals

SLO = 0.25


def scenario(**changes: Any) -> Scenario:
    """A surge of 10 s beside busy loops, changed as wanted."""
    surge = ((0.0, 0.15), (5.0, 0.62), (15.0, 0.15))
    settings: dict[str, Any] = {
        "name": "trial",
        "title": "a surge",
        "why": "a test",
        "seconds": 18.0,
        "surge_seconds": (5.0, 15.0),
        "release_seconds": 15.0,
        "online": (Online(load=surge),),
        "peers": (Peer(),),
    }
    return Scenario(**{**settings, **changes})


def run(controller: str, seed: int = 1, traits: Traits | None = None, **changes: Any) -> Run:
    return SimulatedStage(traits=traits or Traits()).run(
        scenario(**changes), controller, seed, slo_seconds=SLO
    )


def p95(found: Run, start: float, end: float) -> float:
    requests = found.requests
    inside = (requests.intended_seconds >= start) & (requests.intended_seconds < end)
    return float(np.percentile(requests.latency_seconds[inside], 95))


def test_the_order_is_that_of_the_kernel() -> None:
    alone, none, quotapilot = (run(name, reweight=False) for name in ("alone", "none", "quotapilot"))
    assert p95(alone, 5, 15) < 0.1 < SLO < p95(quotapilot, 5, 15) < p95(none, 5, 15)
    assert p95(quotapilot, 12, 15) < SLO < p95(none, 12, 15)
    work = [found.groups["batch"].work_units[-1] for found in (alone, quotapilot, none)]
    assert work[0] == 0.0 < work[1] < work[2]


def test_quotapilot_tells_what_it_did_and_gives_it_back() -> None:
    found = run("quotapilot", reweight=False)
    assert found.restored
    assert {"transition", "revision"} <= {event["kind"] for event in found.events}
    cuts = [event for event in found.events if event["kind"] == "revision"]
    first = cuts[0]
    assert (first["container"], first["victim"]) == ("batch", "web")
    assert 5.0 < first["at_seconds"] < 10.0
    limits = found.groups["batch"].limit_cores
    moved_at = found.at_seconds[np.argmax(np.isfinite(limits))]
    assert moved_at == pytest.approx(first["at_seconds"], abs=0.051)


def test_the_same_run_twice_is_the_same() -> None:
    one, two = run("quotapilot", seed=3), run("quotapilot", seed=3)
    assert np.array_equal(one.requests.latency_seconds, two.requests.latency_seconds)
    assert one.events == two.events


def test_arrivals_are_those_of_the_load_generator_for_every_controller() -> None:
    wanted = draw_arrivals(7, phases(scenario(), scenario().victim, 2))
    for name in ("none", "quotapilot"):
        assert np.array_equal(run(name, seed=7).requests.intended_seconds, wanted)


def test_a_request_never_answered_waits_until_the_end() -> None:
    found = run("none", online=(Online(load=((0.0, 0.9),)),))
    last = found.requests.latency_seconds[-1]
    assert last == pytest.approx(18.0 + 2.0 - found.requests.intended_seconds[-1])


def test_costs_beside_the_work_show_in_both_groups() -> None:
    bare, costly = run("alone"), run("alone", traits=Traits(service_ms=1.0, generator_ms=0.5))
    count = len(bare.requests.intended_seconds)
    more = costly.groups["web"].usage_seconds[-1] - bare.groups["web"].usage_seconds[-1]
    assert more == pytest.approx(count * 0.001, rel=0.01)
    assert costly.groups["load"].usage_seconds[-1] == pytest.approx(count * 0.0005, rel=0.01)
    assert costly.busy_seconds[-1] == pytest.approx(
        sum(group.usage_seconds[-1] for group in costly.groups.values())
    )


def test_changes_act_from_their_time_on() -> None:
    changes = (Change(at_seconds=6.0, downstream_ms=300.0), Change(at_seconds=12.0, downstream_ms=0.0))
    slow = Online(load=((0.0, 0.3),), changes=changes)
    found = run("alone", online=(slow,))
    assert p95(found, 0, 6) < 0.1
    assert 0.3 < p95(found, 6, 12) < 0.4  # it does not hold a thread
    assert p95(found, 12, 18) < 0.1
    dear = Online(load=((0.0, 0.3),), changes=(Change(at_seconds=9.0, cpu_ms=24.0),))
    usage = run("alone", online=(dear,)).groups["web"].usage_seconds
    count = len(found.requests.intended_seconds)
    assert usage[-1] == pytest.approx(count * 0.018, rel=0.1)


def test_weights_act_only_within_a_slice() -> None:
    """As measured on a real kernel: cpu.idle inside a slice beside the service leaves it half of the CPUs."""
    surge = ((0.0, 0.15), (5.0, 0.62), (15.0, 0.15))
    settings: dict[str, Any] = {
        "slices": {"/pods": 1024, "/pods/burstable": 1024},
        "online": (Online(group="/pods/web", load=surge),),
        "peers": (Peer(group="/pods/burstable/batch"),),
    }
    world = World(scenario(**settings), 1, 2, Traits(), True)
    plant = SimulatedPlant(world, SLO)
    plant.set_idle("batch", True)
    world.node.advance(15.0)
    assert max(latency for _, latency in world.node.finished("web")) > SLO
    assert plant.usage_seconds("batch") > 7.5


def test_containers_on_cpus_of_their_own() -> None:
    found = run("none", online=(Online(load=((0.0, 0.2),), cpus=(0,)),), peers=(Peer(cpus=(1,)),))
    assert found.groups["batch"].usage_seconds[-1] == pytest.approx(22.0, rel=0.01)
    assert p95(found, 5, 15) < 0.1


@pytest.mark.parametrize(
    ("peer", "wanted"),
    [
        (Peer(), [(-np.inf, np.inf)]),
        (Peer(active=((1.0, 2.0),)), [(1.0, 2.0)]),
        (Peer(active=((0.75, 2.0),), duty=0.5, period_seconds=1.0), [(1.0, 1.5)]),
        (Peer(active=((0.25, 2.25),), duty=0.5, period_seconds=1.0), [(0.25, 0.5), (1.0, 1.5), (2.0, 2.25)]),
    ],
)
def test_duty_cycles_lie_within_the_active_stretches(peer: Peer, wanted: list[tuple[float, float]]) -> None:
    assert list(stretches(peer, 10.0)) == wanted


def test_what_a_baseline_sees() -> None:
    world = World(scenario(), 1, 2, Traits(), True)
    plant = SimulatedPlant(world, SLO)
    assert (plant.victim, plant.peers, plant.limit_cores("batch")) == ("web", ("batch",), np.inf)
    assert np.isnan(plant.latency_seconds(1.0, 95))
    for step in range(61):
        world.node.advance(step * 0.25)
        world.services["web"].scrape(world.node.finished("web"), step * 0.25)
    finished = world.services["web"].finished
    recent = [latency for at, latency in finished if at > 14.0]
    # The resolution is that of the service's buckets, steps of 1.25.
    assert plant.latency_seconds(1.0, 95) == pytest.approx(np.percentile(recent, 95), rel=0.25)
    assert plant.load_ratio() == pytest.approx(len(recent) * 0.014 / 2)
    assert plant.busy_seconds() == pytest.approx(plant.usage_seconds("web") + plant.usage_seconds("batch"))
    plant.set_limit("batch", 0.4)
    plant.set_limit("batch", 0.4)
    assert len(world.node.writes) == 1
    world.node.advance(17.0)
    periods, throttled = plant.throttling("batch")
    assert (periods, throttled) == (20, 19)  # the write refilled the first one


def test_weights_that_may_not_be_touched_are_not() -> None:
    world = World(scenario(reweight=False), 1, 2, Traits(), True)
    plant = SimulatedPlant(world, SLO)
    plant.set_idle("batch", True)
    plant.set_shares("batch", 2)
    state = world.node.look("/batch")
    assert (state.idle, state.weight) == (False, 1024)


def test_quotapilot_may_weigh_peers_only_where_the_scenario_says_so() -> None:
    found = [run("quotapilot", reweight=may).groups["batch"] for may in (True, False)]
    touched = [bool(np.any(group.idle) or np.any(group.weight != 1024)) for group in found]
    assert touched == [True, False]
    assert np.isfinite(found[1].limit_cores).any()


def test_an_unknown_configuration_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="no configuration quotapilot-wrong"):
        run("quotapilot-wrong")
