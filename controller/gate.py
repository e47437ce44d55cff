"""The node health gate: while the node itself is abnormal, everything is left as it is.

Nothing is written, restores included (the article: protect the scene, so that people can see what happened).
After the node has been well for the thaw time things go on with cleared windows, and nothing is given back
before one full window has been seen again.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller.cases import Case, Round
from controller.states import Event, State


class Gate:
    """Remembers whether the node is frozen, and since when it has been well again."""

    def __init__(self) -> None:
        self.frozen: tuple[str, ...] = ()
        self._well_since_seconds: float | None = None
        self._no_return_before_seconds = float("-inf")

    def closed(self, cases: Iterable[Case], round_: Round) -> bool:
        """Whether this round must end here. Freezes and thaws the cases as the node's health says."""
        reasons = round_.seen.abnormal
        if reasons:
            self._well_since_seconds = None
            self._freeze(cases, reasons, round_)
        elif self.frozen:
            if self._well_since_seconds is None:
                self._well_since_seconds = round_.now
            if round_.now - self._well_since_seconds >= round_.settings.freeze.thaw:
                self._thaw(cases, round_)
                return True  # what is remembered in the windows is from before; judge from the next round on
        round_.decision.write = not self.frozen
        return bool(self.frozen)

    def thaws_in_seconds(self, now_seconds: float, thaw_seconds: float) -> float | None:
        """How long the node must still be well; None while it is not well, or not frozen."""
        if not self.frozen or self._well_since_seconds is None:
            return None
        return max(0.0, thaw_seconds - (now_seconds - self._well_since_seconds))

    def may_give_back(self, now_seconds: float) -> bool:
        """False until one full window has been seen after a thaw."""
        return now_seconds >= self._no_return_before_seconds

    def _freeze(self, cases: Iterable[Case], reasons: tuple[str, ...], round_: Round) -> None:
        self.frozen = reasons
        for case in cases:
            if case.state is not State.FROZEN_NODE:
                round_.move(case, Event.FROZE, "node-abnormal", "; ".join(reasons))

    def _thaw(self, cases: Iterable[Case], round_: Round) -> None:
        windows = [rule.window for rule in round_.settings.rules.values() if rule.enabled]
        self._no_return_before_seconds = round_.now + max(windows, default=0.0)
        reason = "the node has been well again for the thaw time"
        for case in cases:
            if case.state is State.FROZEN_NODE:  # one that was found after the freeze is not
                holding = bool(round_.ledger.of_victim(case.id)) or case.own_cores is not None
                event = Event.THAWED_HOLDING if holding else Event.THAWED
                round_.move(case, event, "node-well", reason, was="; ".join(self.frozen))
        self.frozen, self._well_since_seconds = (), None
        round_.decision.clear_history = True
