"""What a dry run says it is worth, against what the active agent then does in the same simulated world."""

from __future__ import annotations

import numpy as np
import pytest

from backends.simulator import Hogs, OnlineService, SimulatedNode, poisson_arrivals
from controller import view
from controller.config import Config, merge
from controller.metrics import Counters, Exporter
from controller.simulation import Loop
from controller.status import worth
from models.container import CpuLimit
from tests.controller.policies import OFFLINE, ONLINE

SLO_SECONDS = 0.25
UNTIL = 60.0
Rates = list[tuple[float, float]]


def world(
    rates: Rates,
    dry_run: bool,
    *,
    hogs: int = 4,
    limit: CpuLimit | None = None,
    mute: bool = False,
    rung0: str = "off",
) -> Loop:
    node = SimulatedNode(2)
    service = OnlineService(poisson_arrivals(rates, UNTIL, seed=3), 0.013, threads=8)
    node.add_container("web", "/web", service, limit=limit or CpuLimit())
    node.add_container("batch", "/batch", Hogs(hogs))
    # As people have it: no rung below the quota.
    loop = Loop(
        node,
        {"web": ONLINE, "batch": OFFLINE},
        merge(Config(), {"dry_run": dry_run, "rung0": {"actuator": rung0}}),
    )
    if mute:
        loop.latencies.muted.add("web")
    return loop.run(UNTIL)


def violated(loop: Loop) -> int:
    done = np.array(loop.latencies.finished["web"])
    arrived = np.floor(done[:, 0] - done[:, 1])
    seconds = [done[arrived == at, 1] for at in np.unique(arrived)]
    return sum(float(np.percentile(late, 95)) > SLO_SECONDS for late in seconds)


def used(loop: Loop, group: str) -> float:
    return next(float(n) for n in loop.node.collect(UNTIL).usage_seconds[[["/web", "/batch"].index(group)]])


@pytest.mark.parametrize("rates", [[(0, 25), (10, 100), (35, 25)], [(0, 25), (10, 85), (35, 25)]])
def test_expected_is_what_the_active_agent_does(rates: Rates) -> None:
    dry, active = world(rates, True), world(rates, False)
    assert dry.node.writes == []
    assert dry.engine.shadow is not None
    found = dry.engine.shadow.total()
    saved = violated(dry) - violated(active)
    assert saved >= 20
    assert found.violation_seconds == pytest.approx(violated(dry), rel=0.15)
    assert found.saved_seconds == pytest.approx(saved, rel=0.15)
    taken = used(dry, "/batch") - used(active, "/batch")
    assert found.taken_core_seconds == pytest.approx(taken, rel=0.5, abs=2.0)
    assert dry.engine.shadow.of("batch").saved_seconds == 0
    assert dry.engine.shadow.of("web").taken_core_seconds == 0


def test_who_gives_way_by_weight_loses_next_to_nothing() -> None:
    rates: Rates = [(0, 25), (10, 100), (35, 25)]
    dry, active = world(rates, True, rung0="idle"), world(rates, False, rung0="idle")
    assert dry.engine.shadow is not None
    found = dry.engine.shadow.total()
    assert found.saved_seconds == pytest.approx(violated(dry) - violated(active), rel=0.15)
    assert used(dry, "/batch") == pytest.approx(used(active, "/batch"), abs=0.5)
    assert found.taken_core_seconds == pytest.approx(0.0, abs=2.5)


def test_an_overload_that_nothing_can_hold_is_not_promised_to_be_held() -> None:
    rates: Rates = [(0, 25), (5, 200), (20, 25)]
    dry, active = world(rates, True), world(rates, False)
    assert max(finish for finish, _ in dry.latencies.finished["web"]) > UNTIL - 1, "its queue is gone"
    assert dry.engine.shadow is not None
    found = dry.engine.shadow.total()
    assert found.saved_seconds == pytest.approx(violated(dry) - violated(active), rel=0.25)
    assert found.saved_seconds < 0.8 * found.violation_seconds


def test_nothing_to_save_is_nothing() -> None:
    quiet = world([(0, 25)], True)
    assert quiet.engine.shadow is not None
    total = quiet.engine.shadow.total()
    assert (total.violation_seconds, total.saved_seconds, total.taken_core_seconds) == (0, 0, 0)
    assert quiet.engine.shadow.seconds == pytest.approx(UNTIL, abs=1.0)
    alone = world([(0, 25), (10, 200), (30, 25)], True, hogs=0)
    assert alone.engine.shadow is not None
    assert alone.engine.shadow.total().violation_seconds > 10
    assert alone.engine.shadow.total().saved_seconds == 0, "its own overload: no peer to cut"


def test_its_own_limit_is_raised_and_nobody_gives_anything() -> None:
    dry = world([(0, 10), (10, 40), (35, 10)], True, hogs=0, limit=CpuLimit(30_000))
    assert dry.engine.shadow is not None
    total = dry.engine.shadow.total()
    assert total.saved_seconds > 0.5 * total.violation_seconds > 5
    assert total.taken_core_seconds == 0


def test_without_a_latency_the_rule_counts() -> None:
    dry = world([(0, 25), (10, 100), (35, 25)], True, mute=True)
    assert dry.engine.shadow is not None
    total = dry.engine.shadow.total()
    assert 0 < total.saved_seconds < total.violation_seconds
    assert total.taken_core_seconds > 0


def test_never_a_dry_run_is_nothing_to_show() -> None:
    active = world([(0, 100)], False)
    assert active.engine.shadow is None
    assert view.node(active.engine)["shadow"] is None
    assert view.container(active.engine, "web")["shadow"] is None
    assert worth(view.node(active.engine), view.containers(active.engine)) == []
    assert b"quotapilot_shadow" not in Exporter(active.engine, Counters()).text()


def test_it_is_shown_everywhere_and_stays_after_the_dry_run() -> None:
    dry = world([(0, 25), (10, 100)], True)
    dry.engine.reconfigure(merge(dry.engine.config, {"dry_run": False}))
    shown = view.node(dry.engine)["shadow"]
    web = view.container(dry.engine, "web")["shadow"]
    assert shown["violation_minutes_saved"] == web["violation_minutes_saved"] > 0.3
    assert view.container(dry.engine, "batch")["shadow"]["core_hours_taken"] > 0
    lines = worth(view.node(dry.engine), view.containers(dry.engine))
    assert "violation minutes" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["web:", "batch:"]
    text = Exporter(dry.engine, Counters()).text().decode()
    assert 'quotapilot_shadow_saved_seconds_total{container="web"}' in text
    assert 'quotapilot_shadow_taken_core_seconds{container="batch"}' in text


def test_a_dry_run_learns_nothing_of_cuts_that_were_not_made() -> None:
    dry = world([(0, 25), (10, 100)], True)
    assert dry.engine.center.cases["web"].sensitivity._samples == 0
