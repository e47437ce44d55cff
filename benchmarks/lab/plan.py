"""What a campaign is to run: a plan is a YAML file in `plans/`; this module is its schema.

    seeds: [1, 2, 3]
    cells:
      - scenarios: [s1-*, s4-2s]        # names, or patterns of them
        controllers: [quotapilot, idle]
        seeds: [1, 2, 3, 4, 5]          # instead of the plan's

Instead of cells, or beside them, a plan may `include` others by name. Every scenario is also run with "none",
from which its onset is told.
"""

from __future__ import annotations

import random
from fnmatch import fnmatchcase
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

PLANS = Path(__file__).with_name("plans")


class Cells(BaseModel):
    """Every one of these scenarios with every one of these controllers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scenarios: tuple[str, ...] = Field(min_length=1)
    controllers: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[int, ...] | None = None


class Plan(BaseModel):
    """A plan, as its file has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seeds: tuple[int, ...] = Field(min_length=1)
    cells: tuple[Cells, ...] = ()
    include: tuple[str, ...] = ()

    def by_seed(self, known: list[str]) -> dict[int, list[tuple[str, str]]]:
        """(scenario, controller) of each seed, in an order shuffled by it: no controller is always the first,
        and a campaign broken off has whole seeds. Raises ValueError for scenarios that are not `known`."""
        found: dict[int, set[tuple[str, str]]] = {}
        for cells in self.cells:
            for scenario in self._scenarios(cells, known):
                for seed in cells.seeds or self.seeds:
                    found.setdefault(seed, set()).add((scenario, "none"))
                    found[seed] |= {(scenario, controller) for controller in cells.controllers}
        order = sorted(found, key=lambda seed: (seed not in self.seeds, seed))
        return {seed: _shuffled(found[seed], seed) for seed in order}

    @staticmethod
    def _scenarios(cells: Cells, known: list[str]) -> list[str]:
        names: list[str] = []
        for pattern in cells.scenarios:
            matching = [name for name in known if fnmatchcase(name, pattern)]
            if not matching:
                raise ValueError(f"no scenario {pattern}; there are {', '.join(known) or 'none'}")
            names += matching
        return names


def load_plan(name: str) -> Plan:
    """The plan of that name in `plans/`, or in the file of that path. Raises ValueError."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else PLANS / f"{name}.yaml"
    try:
        plan = Plan.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        known = ", ".join(sorted(plan.stem for plan in PLANS.glob("*.yaml")))
        raise ValueError(f"plan {name}: {error.strerror}; there are {known}, or name a .yaml file") from error
    except (yaml.YAMLError, ValidationError) as error:
        raise ValueError(f"{path}: {error}") from error
    others = [_with_seeds(load_plan(included)) for included in plan.include]
    cells = (*plan.cells, *(found for other in others for found in other.cells))
    if not cells:
        raise ValueError(f"{path}: it has neither cells nor other plans to include")
    return plan.model_copy(update={"cells": cells, "include": ()})


def _with_seeds(plan: Plan) -> Plan:
    cells = tuple(found.model_copy(update={"seeds": found.seeds or plan.seeds}) for found in plan.cells)
    return plan.model_copy(update={"cells": cells})


def _shuffled(cells: set[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
    order = sorted(cells)
    random.Random(seed).shuffle(order)
    return order
