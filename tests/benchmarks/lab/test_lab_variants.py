"""Every configuration that the lab compares can be used, and changes what its name says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from benchmarks.lab.variant import VARIANTS, load_variant
from controller.config import Config, parse

SWITCHED: dict[str, Callable[[Config], bool]] = {
    "quotapilot": lambda config: config == Config(),
    "quotapilot-quota": lambda config: config.rung0.actuator == "off",
    "quotapilot-no-forecast": lambda config: not config.forecast.enabled,
    "quotapilot-no-estimation": lambda config: config.control.model == "prior",
    "quotapilot-no-optimiser": lambda config: config.control.model == "proportional",
    "quotapilot-learner": lambda config: config.learner.enabled,
    "quotapilot-no-dwell": lambda config: (
        config.states.throttling_peer_dwell == 0 and config.states.recovering_dwell == 0
    ),
}


@pytest.mark.parametrize("name", sorted(path.stem for path in VARIANTS.glob("*.yaml")))
def test_it_can_be_used_and_changes_what_it_says(name: str) -> None:
    config = parse(yaml.safe_dump(load_variant(name)), name)
    assert SWITCHED.get(name, lambda other: other != Config())(config)


def test_none_is_missing() -> None:
    assert {path.stem for path in VARIANTS.glob("*.yaml")} >= set(SWITCHED)
