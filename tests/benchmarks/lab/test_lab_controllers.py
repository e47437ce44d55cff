from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from benchmarks.lab.controllers import Baseline, Nobody, Quotapilot, Setting, agent_config, make_controller
from controller.config import parse_values
from controller.demo.crew import Crew
from controller.demo.playground import Playground
from tests.benchmarks.lab.small_scenario import SMALL


def setting() -> Setting:
    return Setting(
        playground=cast(Playground, None),
        crew=cast(Crew, None),
        scenario=SMALL,
        agent_group="/p/agent",
        groups={"web": "/p/node/slice/web", "batch": "/p/node/slice/batch", "light": "/p/node/light"},
        metrics_urls={"web": "http://127.0.0.1:1/metrics"},
        slo_seconds=0.18,
        full_rate_per_second=100.0,
        requests_file=Path("requests"),
    )


def test_the_agent_is_told_what_an_operator_would_write() -> None:
    web, batch, light = agent_config(setting())["discovery"]["static"]
    assert (web["cgroup"], web["tier"]) == ("/p/node/slice/web", "online")
    assert web["slo"] == {"latency": "0.18s", "percentile": 95}
    assert web["latency"]["interval"] == "250ms"
    assert [(peer["name"], peer["tier"], peer["floor"]) for peer in (batch, light)] == [
        ("batch", "offline", 0.1),
        ("light", "offline", 0.1),
    ]


def test_the_agent_takes_that_configuration() -> None:
    config = parse_values(agent_config(setting()), "the lab")
    assert [entry.name for entry in config.discovery.static] == ["web", "batch", "light"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("none", Nobody),
        ("alone", Nobody),
        ("quotapilot", Quotapilot),
        ("idle", Baseline),
        ("static-0.4", Baseline),
    ],
)
def test_controllers_are_found_by_name(name: str, kind: type) -> None:
    assert isinstance(make_controller(name), kind)


@pytest.mark.parametrize("name", ["quotapilot-nobody-knows", "nobody-knows", "static-x"])
def test_a_controller_that_is_not_there_is_refused_before_anything_is_started(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        make_controller(name)
