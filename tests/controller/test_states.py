from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from controller.states import MEANING, TABLE, Event, MachineError, State, transition
from controller.states_page import page

DOCS = Path(__file__).parents[2] / "docs" / "states.md"

# Design §3, written out a second time: (state, event) -> state.
LEADS = {
    (State.NORMAL, Event.FIRED): State.PRESSURED,
    (State.RECOVERING, Event.FIRED): State.PRESSURED,
    (State.PRESSURED, Event.CLAIMED): State.THROTTLING_PEER,
    (State.THROTTLING_PEER, Event.ACQUITTED): State.PRESSURED,
    (State.PRESSURED, Event.CLEARED): State.NORMAL,
    (State.PRESSURED, Event.CLEARED_HOLDING): State.RECOVERING,
    (State.THROTTLING_PEER, Event.CLEARED_HOLDING): State.RECOVERING,
    (State.RECOVERING, Event.RELAPSED): State.THROTTLING_PEER,
    (State.RECOVERING, Event.GAVE_BACK): State.NORMAL,
    (State.NORMAL, Event.FROZE): State.FROZEN_NODE,
    (State.PRESSURED, Event.FROZE): State.FROZEN_NODE,
    (State.THROTTLING_PEER, Event.FROZE): State.FROZEN_NODE,
    (State.RECOVERING, Event.FROZE): State.FROZEN_NODE,
    (State.FROZEN_NODE, Event.THAWED): State.NORMAL,
    (State.FROZEN_NODE, Event.THAWED_HOLDING): State.RECOVERING,
}


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)), ids=lambda value: str(value))
def test_every_pair(state: State, event: Event) -> None:
    if (leads := LEADS.get((state, event))) is not None:
        assert transition(state, event) is leads
    else:
        with pytest.raises(MachineError):
            transition(state, event)


def test_a_refused_event_changes_nothing_for_others() -> None:
    with pytest.raises(MachineError):
        transition(State.NORMAL, Event.CLAIMED)
    assert transition(State.NORMAL, Event.FIRED) is State.PRESSURED


def test_the_table_is_unambiguous_and_complete() -> None:
    pairs = [(source, event) for event, source, _ in TABLE]
    assert len(pairs) == len(set(pairs))
    assert {event for event, _, _ in TABLE} == set(Event)
    assert {source for _, source, _ in TABLE} == {dest for _, _, dest in TABLE} == set(State)
    assert set(MEANING) == {*State, *Event}


def test_every_state_leads_back_to_normal() -> None:
    back = {State.NORMAL}
    for _ in State:
        back |= {source for _, source, dest in TABLE if dest in back}
    assert back == set(State)


def test_docs_are_generated_from_the_table() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert text == page(), "run: python -m controller.states_page > docs/states.md"
    for event, source, dest in TABLE:
        arrow = f"{source.replace('-', '_')} --> {dest.replace('-', '_')}: {event.replace('_', ' ')}"
        assert arrow in text
