"""Which alerts are on."""

from __future__ import annotations

from controller.alerts import AlertBook
from controller.cases import Alert


def test_raised_once_and_cleared_once() -> None:
    book = AlertBook()
    (raised,) = book.update([Alert("exhausted", "web", "every peer is at its floor")], 10.0)
    assert raised == {
        "kind": "exhausted",
        "container": "web",
        "message": "every peer is at its floor",
        "active": True,
        "since": "1970-01-01T00:00:10.000Z",
        "cleared_at": None,
    }
    assert book.update([Alert("exhausted", "web", "every peer is at its floor")], 11.0) == []
    (cleared,) = book.update([], 12.0)
    assert (cleared["active"], cleared["since"], cleared["cleared_at"]) == (
        False,
        "1970-01-01T00:00:10.000Z",
        "1970-01-01T00:00:12.000Z",
    )
    assert book.active() == []


def test_a_changed_message_is_the_same_alert() -> None:
    book = AlertBook()
    book.update([Alert("journal", "", "full")], 1.0)
    assert book.update([Alert("journal", "", "read-only")], 2.0) == []
    (active,) = book.active()
    assert (active["message"], active["since"]) == ("read-only", "1970-01-01T00:00:01.000Z")


def test_kinds_and_containers_are_apart() -> None:
    book = AlertBook()
    both = [Alert("contended", "a", ""), Alert("contended", "b", ""), Alert("exhausted", "a", "")]
    assert len(book.update(both, 1.0)) == 3
    assert [change["container"] for change in book.update(both[1:], 2.0)] == ["a"]


def test_one_that_comes_back_is_a_new_one() -> None:
    book = AlertBook()
    alert = Alert("contended", "a", "")
    book.update([alert], 1.0)
    book.update([], 2.0)
    (again,) = book.update([alert], 3.0)
    assert again["since"] == "1970-01-01T00:00:03.000Z"
