"""The states of a container and the table of its transitions; nothing else.

A state describes a container as a *victim*. Being held back for someone else is not a state: a held
container goes on speaking of its own pressure only.

Two rules hold for the table:
  1. What happens is an event with one name; where it leads follows from the state alone. Where it
     depends on what the victim holds (a claim on a peer, a raised limit of its own), the event's name says
     so.
  2. A pair that is not in the table cannot happen: the command center knows the state before it speaks, so
     anything else is an error in it and raises `MachineError`.

The diagram in docs/states.md is generated from this table (`python -m controller.states`).
"""

from __future__ import annotations

from enum import StrEnum

from transitions import Machine, MachineError

__all__ = ["ANY", "TABLE", "Event", "MachineError", "State", "diagram", "transition"]


class State(StrEnum):
    """What a container is going through."""

    NORMAL = "normal"  # no rule of its is triggered, and it owns no claim
    PRESSURED = "pressured"  # a rule is triggered; its verdict says where the diagnosis stands
    THROTTLING_PEER = "throttling-peer"  # it owns at least one claim on a peer
    RECOVERING = "recovering"  # its rule has been clear for the hold time; claims are being given back
    FROZEN_NODE = "frozen-node"  # the node itself is abnormal: nothing is adjusted


class Event(StrEnum):
    """What can happen to a container."""

    FIRED = "fired"  # a rule of its fires
    CLAIMED = "claimed"  # it got its first claim on a peer
    ACQUITTED = "acquitted"  # its last claim is gone while it still hurts: wrong suspect, or peer gone
    CLEARED = "cleared"  # its rule has been clear for the hold time, and it holds nothing
    CLEARED_HOLDING = "cleared_holding"  # the same, and it holds claims or a raised limit of its own
    RELAPSED = "relapsed"  # a rule fires again while a claim of its still binds
    GAVE_BACK = "gave_back"  # everything it held is back
    FROZE = "froze"  # the node became abnormal, or the operator froze it
    THAWED = "thawed"  # the node has been well for the thaw time, and it holds nothing
    THAWED_HOLDING = "thawed_holding"  # the same, and it holds something


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


def diagram() -> str:
    """The table as a Mermaid state diagram (its identifiers can't have a hyphen)."""
    name = {state: state.replace("-", "_") for state in State}
    lines = ["stateDiagram-v2", *(f'    state "{state}" as {name[state]}' for state in State)]
    lines.append(f"    [*] --> {name[State.NORMAL]}")
    for event, source, dest in TABLE:
        lines.append(f"    {name[source]} --> {name[dest]}: {event.replace('_', ' ')}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(diagram(), end="")
