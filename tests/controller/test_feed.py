"""The sequence of what happened, its rings and its readers."""

from __future__ import annotations

from controller.feed import LOST_NUMBERS, Feed, Record


def feed_of(size: int = 3) -> Feed:
    """A feed with transitions 1, 3, 5 (of a, b, a), a revision 2 and a tick 4."""
    feed = Feed(size=size)
    feed.append("transition", 1.0, {"container": "a"})
    feed.append("revision", 2.0, {"container": "a"})
    feed.append("transition", 3.0, {"container": "b"})
    feed.append("tick", 4.0, {})
    feed.append("transition", 5.0, {"container": "a"})
    return feed


def numbers(records: list[Record] | None) -> list[int] | None:
    return None if records is None else [record.seq for record in records]


def test_newest_first_by_kind_container_and_number() -> None:
    feed = feed_of()
    assert numbers(feed.newest("transition")) == [5, 3, 1]
    assert numbers(feed.newest("transition", container="a")) == [5, 1]
    assert numbers(feed.newest("transition", after=1)) == [5, 3]
    assert numbers(feed.newest("transition", limit=1)) == [5]
    assert numbers(feed.newest("transition", limit=0)) == []
    assert numbers(feed.newest("alert")) == []


def test_resuming_gives_everything_kept_in_order() -> None:
    feed = feed_of()
    assert numbers(feed.since(0)) == [1, 2, 3, 5]
    assert numbers(feed.since(2)) == [3, 5]
    assert numbers(feed.since(4)) == [5]
    assert numbers(feed.since(5)) == []


def test_resuming_is_refused_when_something_may_be_missing() -> None:
    feed = feed_of(size=2)
    assert feed.since(0) is None
    assert feed.since(1) is None
    assert numbers(feed.since(2)) == [3, 5]
    assert feed.since(6) is None  # of another run


def test_old_records_fall_out() -> None:
    feed = Feed(size=10)
    for n in range(10_000):
        feed.append("alert", float(n), {})
    assert numbers(feed.newest("alert", limit=100)) == list(range(10_000, 9_990, -1))


def test_readers_get_what_comes_ticks_too() -> None:
    feed = Feed()
    feed.append("alert", 0.0, {})
    reader = feed.subscribe()
    feed.append("tick", 1.0, {})
    feed.append("alert", 2.0, {})
    assert [reader.queue.get_nowait().seq for _ in range(2)] == [2, 3]
    feed.unsubscribe(reader)
    feed.append("alert", 3.0, {})
    assert reader.queue.empty()
    feed.unsubscribe(reader)


def test_a_reader_that_does_not_read_is_lost_and_hinders_nobody() -> None:
    feed = Feed(queue_size=2)
    slow, fast = feed.subscribe(), feed.subscribe()
    for n in range(5):
        feed.append("alert", 0.0, {})
        assert fast.queue.get_nowait().seq == n + 1
    assert slow.lost
    assert not fast.lost
    assert slow.queue.qsize() == 2


def test_listeners_hear_of_what_is_kept() -> None:
    feed = Feed()
    heard: list[Record] = []
    feed.on_record.append(heard.append)
    feed.append("tick", 0.0, {})
    feed.append("revision", 0.0, {})
    assert numbers(heard) == [2]


def test_after_a_restart_no_number_is_given_twice() -> None:
    before = feed_of()
    kept = [record for record in (before.since(0) or []) if record.seq != 5]  # the last one was lost
    feed = Feed(size=3)
    feed.preload(kept)
    new = feed.append("alert", 9.0, {})
    assert new.seq > LOST_NUMBERS
    assert numbers(feed.since(5)) == [new.seq]  # who saw the lost one misses nothing new
    assert numbers(feed.newest("alert", after=5)) == [new.seq]
    assert numbers(feed.newest("transition")) == [3, 1]


def test_without_a_history_numbers_begin_at_one() -> None:
    feed = Feed()
    feed.preload([])
    assert feed.append("alert", 0.0, {}).seq == 1
