"""What is released of what a dead process held, and how that is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import dramatiq
import pytest

from eventsys.broker.begun_board import BegunBoard
from eventsys.broker.broker import EventBroker
from eventsys.errors import RedisRefusedError
from eventsys.runtime.leases import LeaseKeeper
from eventsys.store.keys import GROUP, RETURNED, SUSPECTS
from eventsys.store.scripts import script
from tests.support.waiting import eventually

LANE, LOG = "es:{default}:queue:default:5", "es:{default}:log:5"


def _fetch(broker: EventBroker, process: str, count: int, *, stream: str = LANE) -> list[str]:
    link = broker.link
    for _ in range(count):
        link.call("XADD", stream, "*", "m", "{}")
    with suppress(RedisRefusedError):
        link.call("XGROUP", "CREATE", stream, GROUP, "0", "MKSTREAM")
    link.call("SADD", broker.keys.queues, "default")
    link.call("ZADD", broker.keys.processes, 10**15, process)
    [[_, entries]] = link.call("XREADGROUP", "GROUP", GROUP, process, "COUNT", count, "STREAMS", stream, ">")
    return [entry.decode() for entry, _ in entries]


def _held(broker: EventBroker, consumer: str, stream: str = LANE) -> list[str]:
    return [one[0].decode() for one in broker.link.call("XPENDING", stream, GROUP, "-", "+", 1000, consumer)]


@contextmanager
def _board(*begun: str, slots: int = 64, stream: str = LANE) -> Iterator[BegunBoard]:
    board = BegunBoard(slots=slots)
    for entry in begun:
        board.enter(stream, entry)
    yield board
    board.close()


def _release(broker: EventBroker, process: str, board: BegunBoard, *, limit: int = 100) -> list[int]:
    marks = board.marks()
    assert marks is not None
    return broker.link.run(script("release_process"), broker.keys.prefix, 1, process, limit, *marks)


@pytest.mark.redis62
def test_what_was_begun_is_suspected_and_the_rest_returned_uncounted(broker: EventBroker) -> None:
    entries = _fetch(broker, "dead", 10)
    with _board(entries[3], entries[7]) as board:
        assert _release(broker, "dead", board) == [10, 2]
        assert _release(broker, "dead", board) == [0, 0], "run again it changes nothing"
    assert _held(broker, SUSPECTS) == [entries[3], entries[7]]
    returned = broker.link.call("XPENDING", LANE, GROUP, "-", "+", 100, RETURNED)
    assert [(one[0].decode(), one[3]) for one in returned] == [
        (one, 0) for one in entries if one not in (entries[3], entries[7])
    ]
    assert broker.link.call("HGETALL", f"{broker.keys.prefix}:crashes") == []


@pytest.mark.redis62
def test_a_released_process_can_neither_commit_nor_renew_and_is_told_of_once(broker: EventBroker) -> None:
    entries = _fetch(broker, "dead", 3)
    with _board(entries[0]) as board:
        _release(broker, "dead", board)
    prefix, link = broker.keys.prefix, broker.link
    assert link.run(script("beat"), prefix, 5, 1000, "dead") == [0]
    dead, moved, queues, _, taken = link.run(script("take_over"), prefix, 10, 100, "", "default", "other")
    assert (dead, moved, queues, taken) == ([b"dead"], 0, [b"default"], [3])
    assert link.run(script("take_over"), prefix, 10, 100, "")[0] == []
    assert _held(broker, SUSPECTS) == entries[:1]


@pytest.mark.redis62
def test_others_may_take_over_while_a_process_is_released(broker: EventBroker) -> None:
    """Each moves what is left; nothing is moved twice, and what was released stays so."""
    entries = _fetch(broker, "dead", 9)
    with _board(entries[1]) as board:
        assert _release(broker, "dead", board, limit=3) == [3, 1]
        broker.link.run(script("take_over"), broker.keys.prefix, 10, 3, "")
        assert _release(broker, "dead", board, limit=100) == [3, 0]
    assert _held(broker, RETURNED) == [entries[0], entries[2], *entries[6:]]
    assert _held(broker, SUSPECTS) == [entries[1], *entries[3:6]]


@pytest.mark.redis62
def test_a_suspect_that_was_claimed_and_not_begun_loses_the_crash_that_was_counted(broker: EventBroker) -> None:
    entries = _fetch(broker, "first", 2)
    with _board(*entries) as board:
        _release(broker, "first", board)
    broker.link.call("ZADD", broker.keys.processes, 10**15, "second")
    claim = (broker.keys.prefix, 20, "second", 5, 60_000, LANE)
    for _ in entries:
        assert broker.link.run(script("claim_suspect"), *claim)[2] == 1
    with _board(entries[1]) as board:
        assert _release(broker, "second", board) == [2, 2]
    assert _held(broker, SUSPECTS) == entries
    crashes = broker.link.call("HGETALL", f"{broker.keys.prefix}:crashes")
    assert crashes == [f"{LANE}|{entries[1]}".encode(), b"1"]


@pytest.mark.redis62
def test_an_event_in_dispatch_is_never_suspected_nor_what_stands_elsewhere_by_the_same_name(
    broker: EventBroker,
) -> None:
    entries = _fetch(broker, "dead", 2, stream=LOG)
    [other] = _fetch(broker, "dead", 1)
    with _board(*entries, stream=LOG) as board:
        board.enter(LOG, other)
        assert _release(broker, "dead", board) == [3, 0]
    assert _held(broker, RETURNED, LOG) == entries
    assert _held(broker, RETURNED) == [other]


def test_a_process_that_died_while_redis_was_away_is_released_when_it_is_back(fresh_redis: Callable[[], Any]) -> None:
    server = fresh_redis()
    broker = EventBroker(server.url)
    dramatiq.set_broker(broker)
    entries = _fetch(broker, "dead", 5)
    keeper = LeaseKeeper(server.url, "default")
    server.kill()
    with _board(entries[2]) as board:
        keeper.end("dead", board.marks())
    server.start()
    eventually(lambda: len(_held(broker, RETURNED)) == 4)
    assert _held(broker, SUSPECTS) == [entries[2]]
    keeper.close()
    broker.close()


# The board


def test_a_board_tells_of_what_was_begun_until_its_place_is_needed() -> None:
    with _board("5-0", "6-0") as board:
        marks = board.marks()
        assert marks is not None
        assert [mark[8:] for mark in marks] == [b"5-0", b"6-0"]
        slot = board.enter(LANE, "7-0")
        board.leave(slot)
        board.enter(LANE, "8-0")
        assert {mark[8:] for mark in board.marks() or ()} == {b"5-0", b"6-0", b"8-0"}


def test_a_full_board_cannot_tell_until_there_is_room_again() -> None:
    with _board("5-0", "6-0", slots=2) as board:
        beyond = board.enter(LANE, "7-0")
        assert board.marks() is None
        board.leave(beyond)
        assert len(board.marks() or ()) == 2


def test_the_longest_name_of_an_entry_fits() -> None:
    entry = f"{2**64 - 1}-{2**64 - 1}"
    with _board(entry) as board:
        [mark] = board.marks() or ()
        assert mark[8:].decode() == entry


def test_a_reader_may_be_given_what_another_of_its_process_is_just_handing_back(
    broker: EventBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the step in Redis and the note here it counted as held, so it was dropped and waited for ever."""

    @dramatiq.actor(broker=broker)
    def nothing() -> None: ...

    in_flight, reader, other = broker.work.in_flight, *(broker.consume("default", 8, 100) for _ in range(2))
    other.take_all()  # it finds none, and begins
    nothing.send()
    fetched: list[Any] = []
    eventually(lambda: fetched.extend(reader.take_all()) or fetched)
    [message] = fetched
    drop, given = in_flight.hold_no_more, list[Any]()

    def look_meanwhile(places: Any) -> None:
        broker.presence.queues._leftovers.add("default")
        given.extend(other.take_all())
        drop(places)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(in_flight, "hold_no_more", look_meanwhile)
        reader.requeue([message])
    assert [one.message_id for one in given] == [message.message_id]
    broker.work.begin(given[0])
    other.ack(given[0])
    assert broker.work.committer.join(60)
    assert (len(in_flight), in_flight.held("default"), _held(broker, broker.presence.name)) == (0, 0, [])


def test_what_had_begun_in_time_before_the_process_that_died_claimed_it_has_so_still(broker: EventBroker) -> None:
    """The process was handed it by one that ended beside a stuck handler, and died before it began again."""
    link, prefix = broker.link, broker.keys.prefix
    entries = [link.call("XADD", LANE, "*", "m", "{}") for _ in range(2)]
    link.call("XGROUP", "CREATE", LANE, GROUP, "0")
    link.call("XREADGROUP", "GROUP", GROUP, RETURNED, "STREAMS", LANE, ">")
    for entry, begun in zip(entries, (1, 0), strict=True):
        link.call("XCLAIM", LANE, GROUP, RETURNED, 0, entry, "RETRYCOUNT", begun, "JUSTID")
    link.call("ZADD", broker.keys.processes, 1, "gone")
    link.call("SADD", broker.keys.queues, LANE.split(":")[-2])
    claimed = link.run(script("claim_returned"), prefix, "gone", 10, LANE)
    assert [begun for _, _, begun in claimed] == [[entries[0]]]
    link.run(script("release_process"), prefix, 1, "gone", 1_000)
    claimed = link.run(script("claim_returned"), prefix, "next", 10, LANE)
    assert [begun for _, _, begun in claimed] == [[entries[0]]]
