"""Indexes of the history while it changes under them, and when there is very much of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from eventsys import EventFilter
from eventsys.clock import Clock, from_ms
from eventsys.model.dead_letter import DeadLetterFilter
from eventsys.store import chain_index
from eventsys.store.chain_index import ChainIndex
from eventsys.store.history import History
from eventsys.store.index import Chunk
from eventsys.store.letter_index import LetterIndex
from eventsys.store.log_index import LogIndex, Stream
from eventsys.store.places import OLDEST, PLACE_BYTES
from tests.support.histories import Historian

T0 = 1_800_000_000_000

pytestmark = pytest.mark.redis62


class Watched:
    """A way to Redis on which something happens behind the back of whoever uses it."""

    def __init__(self, link: Any) -> None:
        self._link = link
        self.after: dict[str, tuple[Any, ...]] = {}
        self.sizes: list[int] = []
        self.asked_for: list[int] = []

    def call(self, *command: Any) -> Any:
        reply = self._link.call(*command)
        if (then := self.after.pop(command[0], None)) is not None:
            self._link.call(*then)
        return reply

    def run(self, script: Any, *arguments: Any) -> Any:
        self.sizes.append((len(arguments) - 1) // 3)
        return self._link.run(script, *arguments)

    def pipeline(self, commands: Any) -> Any:
        self.asked_for += [command[5] for command in commands if "COUNT" in command]
        return [self.call(*command) for command in commands] if self.after else self._link.pipeline(commands)

    def read(self, commands: Any) -> Any:
        return self.pipeline(commands)


def _ids(chunk: Chunk) -> list[str]:
    return [one.envelope.split(b'"')[3].decode() for one in chunk.found if one.envelope]


@pytest.mark.parametrize("command", ["GETRANGE", "STRLEN"])
def test_a_chain_may_be_cut_while_it_is_read(historian: Historian, command: str) -> None:
    for number in range(6):
        historian.store("a.b", T0 + number, chain="order-17")
    key = historian.keys.chain("order-17")
    link = Watched(historian.link)
    link.after[command] = ("SET", key, historian.link.call("GETRANGE", key, 44, -1))
    index = ChainIndex(link, historian.keys, "order-17", begins=OLDEST, newest_first=False)  # type: ignore[arg-type]
    chunk = index.chunk(None, 10)
    assert (_ids(chunk), len(chunk.found), chunk.cursor) == (["e5", "e6"], 2, None)


@pytest.mark.parametrize("arriving", [0, 1, 6, 9])
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_no_event_of_a_long_chain_is_left_out_though_it_is_cut_between_two_parts(
    historian: Historian, monkeypatch: pytest.MonkeyPatch, order: str, arriving: int
) -> None:
    monkeypatch.setattr(chain_index, "_BLOCK", 4)
    for number in range(13):
        historian.store("a.b", T0 + number, chain="order-17")
    key = historian.keys.chain("order-17")
    index = ChainIndex(historian.link, historian.keys, "order-17", begins=OLDEST, newest_first=order == "newest")
    chunk = index.chunk(None, 3)
    found = _ids(chunk)
    historian.link.call("SET", key, historian.link.call("GETRANGE", key, 6 * PLACE_BYTES, -1))
    for number in range(arriving):
        historian.store("a.b", T0 + 13 + number, chain="order-17")
    while chunk.cursor is not None:
        chunk = index.chunk(chunk.cursor, 3)
        found += _ids(chunk)
    left = [f"e{number}" for number in range(7, 14)]
    assert [one for one in found if one in left] == (left if order == "oldest" else left[::-1])


def test_very_many_streams_are_counted_some_at_a_time(historian: Historian) -> None:
    for number in range(5):
        historian.store("a.b", T0 + number)
        historian.store("a.c", T0 + number)
    streams = [Stream(f"type:{one}", OLDEST) for one in ("a.b", *(f"not.{number}" for number in range(1200)), "a.c")]
    link = Watched(historian.link)
    index = LogIndex(link, historian.keys, streams)  # type: ignore[arg-type]
    assert index.count() == 10
    assert link.sizes == [500, 500, 202]


def test_a_large_page_is_read_in_parts_that_large_events_do_not_make_slow(historian: Historian) -> None:
    for number in range(70):
        historian.store("a.b", T0 + number, payload=b'{"text":"%b"}' % (b"x" * 50_000))
    link = Watched(historian.link)
    history = History(link, historian.keys, Clock())  # type: ignore[arg-type]
    assert len(history.find(EventFilter(page_size=500)).events) == 70
    assert sorted(set(link.asked_for)) == [9, 25]


@pytest.mark.parametrize(
    ("start_us", "end_us", "are_there"),
    [(0, 1, True), (-1, 0, False), (1, 1000, False), (0, 1000, True), (-1000, 1, True), (1, 2, False)],
)
def test_letters_are_found_by_times_finer_than_a_millisecond(
    historian: Historian, start_us: int, end_us: int, are_there: bool
) -> None:
    historian.link.call("ZADD", historian.keys.dead, T0, "letter")
    start, end = (from_ms(T0) + timedelta(microseconds=one) for one in (start_us, end_us))
    wanted = DeadLetterFilter(start_time=start, end_time=end)
    assert LetterIndex(historian.link, historian.keys).count(wanted) == (int(are_there), True)
