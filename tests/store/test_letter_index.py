"""Finding dead letters among very many."""

from __future__ import annotations

import pytest

from eventsys import DeadLetterFilter, EventService
from eventsys.store.letter_index import MOST_COUNTED, LetterIndex
from tests.dashboard.test_round_trips import counted

MANY = 3 * MOST_COUNTED


@pytest.fixture
def index(events: EventService) -> LetterIndex:
    """An index of very many letters that failed, and of one that timed out before all of them."""
    link, keys = events.broker.link, events.broker.keys
    link.call("ZADD", keys.dead, *(part for at in range(MANY) for part in (1_000 + at, f"e{at}:h")))
    link.pipeline(
        [
            ("HSET", keys.letter(f"e{at}:h"), "reason", "failed" if at else "timeout", "type", "a.b")
            for at in range(MANY)
        ]
    )
    return LetterIndex(link, keys)


def test_a_page_of_what_is_rare_looks_at_no_more_letters_than_are_counted(
    index: LetterIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them were looked at, in thousands of round trips, while somebody waited for the page."""
    pages: list[list[str]] = []
    cursor = None
    while not pages or cursor is not None:
        with counted(monkeypatch) as trips:
            found, cursor = index.page(DeadLetterFilter(reason="timeout", cursor=cursor))
        assert len(trips) <= 50
        pages.append([one.id for one in found])
    assert pages == [[], [], ["e0:h"]]


def test_all_that_fit_are_counted_for_who_waits_and_some_for_who_does_not(
    index: LetterIndex, events: EventService
) -> None:
    rare = DeadLetterFilter(reason="timeout")
    assert (events.dead_letters.count_some(rare), events.dead_letters.count(rare)) == ((0, False), 1)
    assert (events.dead_letters.count_some(), events.dead_letters.count()) == ((MANY, True), MANY)
