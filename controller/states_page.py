"""docs/states.md, generated from the table: `python -m controller.states_page > docs/states.md`."""

from __future__ import annotations

from collections.abc import Iterator

from controller.states import MEANING, TABLE, Event, State

_INTRODUCTION = """\
<!-- Generated from controller/states.py by: python -m controller.states_page > docs/states.md -->
# States of a container

Every container has a machine of its own, and each state describes it as a *victim*: as one that may be hurt.
Being held back for someone else is not a state; a held container shows `holds`, and goes on speaking of its
own pressure. Every transition is recorded with its trigger, its reason and the numbers it was decided on
(`GET /api/v1/transitions`).
"""

_AFTER_THE_DIAGRAM = """\
An event that is not drawn at a state cannot happen there; the engine knows the state before it speaks, so
that anything else is an error in it.
"""


def page() -> str:
    """The whole page, in Markdown with a Mermaid diagram."""
    parts = [_INTRODUCTION, f"```mermaid\n{diagram()}```\n", _AFTER_THE_DIAGRAM]
    parts.append("\n".join(["| state | meaning |", "|---|---|", *_meanings()]) + "\n")
    parts.append("\n".join(["| event | meaning | from → to |", "|---|---|---|", *_ways()]) + "\n")
    return "\n".join(parts)


def diagram() -> str:
    """The table as a Mermaid state diagram (its identifiers can't have a hyphen)."""
    name = {state: state.replace("-", "_") for state in State}
    lines = ["stateDiagram-v2", *(f'    state "{state}" as {name[state]}' for state in State)]
    lines.append(f"    [*] --> {name[State.NORMAL]}")
    for event, source, dest in TABLE:
        lines.append(f"    {name[source]} --> {name[dest]}: {_words(event)}")
    return "\n".join(lines) + "\n"


def _meanings() -> Iterator[str]:
    for state in State:
        yield f"| `{state}` | {MEANING[state]} |"


def _ways() -> Iterator[str]:
    for event in Event:
        ways = "<br>".join(f"{source} → {dest}" for what, source, dest in TABLE if what is event)
        yield f"| {_words(event)} | {MEANING[event]} | {ways} |"


def _words(event: Event) -> str:
    return event.replace("_", " ")


if __name__ == "__main__":
    print(page(), end="")
