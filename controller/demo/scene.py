"""The demo's stage: a playground for one online service and the offline work beside it."""

from __future__ import annotations

from controller.demo.playground import HIGH_SHARES, Branch, Playground


class Scene(Playground):
    """Groups for an online service, offline work, a load generator and a controller.

    `PREFIX/online` and `/offline` are siblings of equal weight; `/load` and `/agent` weigh ten times as much.
    The attributes `online`, `offline`, `load` and `agent` are groups as in `Container.cgroup`.
    """

    def __init__(self, prefix: str | None = None) -> None:
        super().__init__(
            (
                Branch("/online"),
                Branch("/offline"),
                Branch("/load", HIGH_SHARES),
                Branch("/agent", HIGH_SHARES),
            ),
            prefix,
        )
        self.online = self.prefix + "/online"
        self.offline = self.prefix + "/offline"
        self.load = self.prefix + "/load"
        self.agent = self.prefix + "/agent"
