"""Policies that tests give to simulated containers, and configurations."""

from __future__ import annotations

from typing import Any

from controller.config import Config, merge
from models.container import Slo

ONLINE: dict[str, Any] = {"tier": "online", "priority": 100, "slo": Slo(0.25)}
OFFLINE: dict[str, Any] = {"tier": "offline", "priority": 0, "floor_cores": 0.1}

# Rung 1 alone: for tests of what quotas do.
QUOTA_ONLY = merge(Config(), {"rung0": {"actuator": "off"}})
