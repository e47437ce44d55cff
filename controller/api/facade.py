"""What the API needs of the agent, and nothing else of it."""

from __future__ import annotations

from typing import Any, Protocol

from controller.feed import Feed


class UnknownContainer(KeyError):
    """There is no container of that id."""


class Refused(Exception):
    """What was asked can't be done in the state the agent is in; the text says why."""


class Agent(Protocol):
    """The agent as the API sees it. Every value returned is plain JSON, times RFC 3339 UTC.

    All methods are called in the loop's own thread and return at once.
    """

    feed: Feed

    def node(self) -> dict[str, Any]:
        """name, mode (active, dry-run, frozen), health with reasons, loop lag, backend, cpus."""

    def containers(self) -> list[dict[str, Any]]:
        """Every container with the fields of the contract (design, section 8)."""

    def container(self, container_id: str) -> dict[str, Any]:
        """One container. Raises UnknownContainer."""

    def profile(self, container_id: str) -> dict[str, Any]:
        """Its window statistics and forecast per metric. Raises UnknownContainer."""

    def active_alerts(self) -> list[dict[str, Any]]:
        """The alerts that are on now."""

    def loop_lag_seconds(self) -> float:
        """How late the last tick was, or is by now; infinite before the first."""

    def ready(self) -> bool:
        """The tree is found and the first tick is done."""

    def live(self) -> bool:
        """The loop is not later than its liveness limit."""

    def metrics(self) -> bytes:
        """The Prometheus text exposition."""

    def config(self) -> dict[str, Any]:
        """The effective configuration."""

    def patch_config(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Apply a JSON merge patch while running; the whole new configuration. Raises ConfigError."""

    def freeze(self, reason: str) -> None:
        """The operator's freeze: nothing is written until thawed."""

    def thaw(self) -> None:
        """Ends the operator's freeze."""

    def restore(self) -> dict[str, Any]:
        """Give every limit back to its base at once. Says what was restored and what failed.

        Raises Refused where there is nothing it may write (a dry run).
        """

    def learner(self) -> dict[str, Any]:
        """What is learnt: whether it is used, and per workload, severity and factor what came of it."""

    def reset_learner(self) -> dict[str, Any]:
        """Forget everything that was learnt. Says of which workloads."""

    def push_latency(self, container_id: str, samples_seconds: list[float]) -> None:
        """Latencies of requests just finished.

        Raises UnknownContainer, and Refused when the container's latency comes from elsewhere.
        """
