"""The dead letters of a bus, all of them, for a test that wants to look at each."""

from __future__ import annotations

from eventsys.model.dead_letter import DeadLetter, DeadLetterFilter
from eventsys.service import EventService

#: Letters read at a time.
_AT_ONCE = 500


def dead_letters_of(events: EventService) -> list[DeadLetter]:
    """Return all dead letters of a bus, the oldest first."""
    page = events.dead_letters.list(DeadLetterFilter(order="oldest", page_size=_AT_ONCE))
    letters = list(page.items)
    while page.next_cursor is not None:
        wanted = DeadLetterFilter(order="oldest", page_size=_AT_ONCE, cursor=page.next_cursor)
        page = events.dead_letters.list(wanted)
        letters += page.items
    return letters


def owner_of(letter: DeadLetter) -> str:
    """Return the subscription, or the plain actor, whose message it was; empty for what could not be read."""
    return letter.subscription or letter.actor or ""
