"""The states of a container and the table of its transitions; nothing else.

A state describes a container as a *victim*. Being held back for someone else is not a state: a held
container goes on speaking of its own pressure only.

Two rules hold for the table:
  1. What happens is an event with one name; where it leads follows from the state alone. Where it
     depends on what the victim holds (a claim on a peer, a raised limit of its own), the event's name says
     so.
  2. A pair that is not in the table cannot happen: the command center knows the state before it speaks, so
     anything else is an error in it and raises `MachineError`.

docs/states.md is generated from this table (`python -m controller.states_page`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from transitions import Machine, MachineError

__all__ = ["ANY", "MEANING", "TABLE", "Event", "MachineError", "State", "transition"]


class State(StrEnum):
    """What a container is going through; `MEANING` says what."""

    NORMAL = "normal"
    PRESSURED = "pressured"
    THROTTLING_PEER = "throttling-peer"
    RECOVERING = "recovering"
    FROZEN_NODE = "frozen-node"


class Event(StrEnum):
    """What can happen to a container; `MEANING` says what."""

    FIRED = "fired"
    CLAIMED = "claimed"
    ACQUITTED = "acquitted"
    CLEARED = "cleared"
    CLEARED_HOLDING = "cleared_holding"
    RELAPSED = "relapsed"
    GAVE_BACK = "gave_back"
    FROZE = "froze"
    THAWED = "thawed"
    THAWED_HOLDING = "thawed_holding"


MEANING: Mapping[State | Event, str] = {
    State.NORMAL: "no rule of its is triggered, and it owns no claim",
    State.PRESSURED: "a rule is triggered; its verdict says where the diagnosis stands",
    State.THROTTLING_PEER: "it owns at least one claim on a peer",
    State.RECOVERING: "its rules have been clear for the hold time; what it holds is being given back",
    State.FROZEN_NODE: "the node itself is abnormal: nothing is adjusted, the scene is left as it is",
    Event.FIRED: "a rule of its fires, and no claim of its binds anybody",
    Event.CLAIMED: "it got its first claim on a peer",
    Event.ACQUITTED: "its last claim is gone while it still hurts: wrong suspect, or the peer has gone",
    Event.CLEARED: "its rules have been clear for the hold time, and it holds nothing",
    Event.CLEARED_HOLDING: "the same, and it holds claims or a raised limit of its own",
    Event.RELAPSED: "a rule fires again while a claim of its still binds",
    Event.GAVE_BACK: "everything it held is given back",
    Event.FROZE: "the node became abnormal, or the operator froze it",
    Event.THAWED: "the node has been well for the thaw time, and it holds nothing",
    Event.THAWED_HOLDING: "the same, and it holds something",
}

ANY = tuple(state for state in State if state is not State.FROZEN_NODE)

TABLE: tuple[tuple[Event, State, State], ...] = (
    (Event.FIRED, State.NORMAL, State.PRESSURED),
    (Event.FIRED, State.RECOVERING, State.PRESSURED),
    (Event.CLAIMED, State.PRESSURED, State.THROTTLING_PEER),
    (Event.ACQUITTED, State.THROTTLING_PEER, State.PRESSURED),
    (Event.CLEARED, State.PRESSURED, State.NORMAL),
    (Event.CLEARED_HOLDING, State.PRESSURED, State.RECOVERING),
    (Event.CLEARED_HOLDING, State.THROTTLING_PEER, State.RECOVERING),
    (Event.RELAPSED, State.RECOVERING, State.THROTTLING_PEER),
    (Event.GAVE_BACK, State.RECOVERING, State.NORMAL),
    *((Event.FROZE, state, State.FROZEN_NODE) for state in ANY),
    (Event.THAWED, State.FROZEN_NODE, State.NORMAL),
    (Event.THAWED_HOLDING, State.FROZEN_NODE, State.RECOVERING),
)

# One machine serves all containers; what differs between them is only the string it is asked about.
_machine = Machine(
    model=None,
    states=[state.value for state in State],
    transitions=[[event.value, source.value, dest.value] for event, source, dest in TABLE],
    initial=State.NORMAL.value,
    auto_transitions=False,
)


class _Model:
    """What the library moves: an object with a `state`."""

    def __init__(self, state: State) -> None:
        self.state = state.value


def transition(state: State, event: Event) -> State:
    """The state that `event` leads to. Raises MachineError for a pair that is not in the table."""
    model = _Model(state)
    _machine.events[event.value].trigger(model)
    return State(model.state)
