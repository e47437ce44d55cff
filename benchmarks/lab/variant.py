"""The configurations of quotapilot that the lab compares: a YAML fragment each in variants/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

VARIANTS = Path(__file__).with_name("variants")
_PREFIX = "quotapilot"


def is_variant(controller: str) -> bool:
    """Whether a controller's name is one of quotapilot's configurations."""
    return controller.startswith(_PREFIX)


def load_variant(name: str) -> dict[str, Any]:
    """What the fragment changes, by section; nothing for "quotapilot" itself, which has no file. Raises
    ValueError for a name without one."""
    file = VARIANTS / f"{name}.yaml"
    if name == _PREFIX and not file.exists():
        return {}
    if not is_variant(name) or not file.exists():
        known = sorted(path.stem for path in VARIANTS.glob("*.yaml"))
        raise ValueError(f"no configuration {name}; there are {', '.join([_PREFIX, *known])}")
    return yaml.safe_load(file.read_text()) or {}
