"""An agent as the API sees it, without a node: what is asked of it is written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from controller import config
from controller.api.facade import Refused, UnknownContainer
from controller.feed import Feed

IDS = ("web", "batch", "team/web", "team/web/profile")


def container(container_id: str, tier: str = "online", state: str = "normal") -> dict[str, Any]:
    return {
        "id": container_id,
        "cgroup": f"/{container_id}",
        "app": "",
        "priority": 100 if tier == "online" else 0,
        "tier": tier,
        "state": state,
        "verdict": None,
        "state_since": "2026-01-01T00:00:00.000Z",
        "cpu_usage_cores": 0.5,
        "cpu_demand_cores": 0.5,
        "cpu_limit_cores": None,
        "cpu_base_cores": None,
        "cpu_spec_cores": None,
        "cpu_floor_cores": 0.1,
        "cpu_throttled_ratio": 0.0,
        "cpu_wait_ratio": float("nan"),
        "cpu_run_delay_ratio": None,
        "cpu_wait_signal": None,
        "latency_seconds": None,
        "memory_bytes": 1e6,
        "slo": None,
        "claims": [],
        "holds": [],
        "hands_off": False,
    }


@dataclass
class FakeAgent:
    feed: Feed = field(default_factory=Feed)
    settings: config.Config = field(default_factory=config.Config)
    frozen: str | None = None
    pushed: dict[str, list[float]] = field(default_factory=dict)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    lag_seconds: float = 0.1
    is_ready: bool = True
    is_live: bool = True
    refuses: str | None = None
    broken: bool = False
    unlearnt: bool = False

    def node(self) -> dict[str, Any]:
        if self.broken:
            raise RuntimeError("secret inner workings")
        return {
            "name": "node-1",
            "mode": "frozen" if self.frozen is not None else "active",
            "healthy": True,
            "reasons": [],
            "frozen_by": [self.frozen] if self.frozen is not None else [],
            "state": "normal",
            "config_problem": None,
            "cpu_usage_ratio": 0.5,
            "cpu_taken_cores": 0.0,
            "containers": len(IDS),
            "loop_lag_seconds": self.lag_seconds,
            "backend": "simulated",
            "cpus": 4,
        }

    def containers(self) -> list[dict[str, Any]]:
        return [container(i, *(("offline", "pressured") if i == "batch" else ())) for i in IDS]

    def container(self, container_id: str) -> dict[str, Any]:
        if container_id not in IDS:
            raise UnknownContainer(container_id)
        return container(container_id)

    def profile(self, container_id: str) -> dict[str, Any]:
        self.container(container_id)
        return {"of": container_id}

    def active_alerts(self) -> list[dict[str, Any]]:
        return self.alerts

    def loop_lag_seconds(self) -> float:
        return self.lag_seconds

    def ready(self) -> bool:
        return self.is_ready

    def live(self) -> bool:
        return self.is_live

    def metrics(self) -> bytes:
        return b"quotapilot_ticks_total 1.0\n"

    def config(self) -> dict[str, Any]:
        return config.dump(self.settings)

    def patch_config(self, changes: dict[str, Any]) -> dict[str, Any]:
        self.settings = config.merge(self.settings, changes)
        return self.config()

    def freeze(self, reason: str) -> None:
        self.frozen = reason

    def thaw(self) -> None:
        self.frozen = None

    def restore(self) -> dict[str, Any]:
        if self.refuses is not None:
            raise Refused(self.refuses)
        return {"restored": ["batch"], "failed": []}

    def learner(self) -> dict[str, Any]:
        row = {"workload": "web", "severity": "clear", "factor": 2.0}
        row |= {"samples": 3.0, "mean_reward": -0.5, "chosen": True}
        return {"enabled": True, "cpu_model": "A", "items": [] if self.unlearnt else [row]}

    def reset_learner(self) -> dict[str, Any]:
        self.unlearnt = True
        return {"forgotten": ["web"]}

    def push_latency(self, container_id: str, samples_seconds: list[float]) -> None:
        self.container(container_id)
        self.pushed.setdefault(container_id, []).extend(samples_seconds)
