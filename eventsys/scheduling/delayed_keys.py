"""The keys of delayed events: what they may be, and what is refused because of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from eventsys.errors import EventConflictError, InvalidEventError
from eventsys.model.new_events import check_waiting_key
from eventsys.store.delayed_store import DelayedStore
from eventsys.store.steps import Step, WhenTaken

#: Where the key stands in the step of an entry that has one; what is done where it is taken stands behind it.
_KEY = 6


def check_key(key: str | None, when_taken: WhenTaken) -> None:
    """Refuse a key that will not do, and what cannot be done where it is taken.

    Raises:
        InvalidEventError: If it is no text of 1 to 512 letters, or `when_taken` is neither of its two words.
    """
    # A word that is only nearly one of them would replace what should have stayed.
    if when_taken not in get_args(WhenTaken):
        raise InvalidEventError(
            f"when_taken={ascii(when_taken)[:60]} will not do; where the key is taken, either 'replace' the event that"
            " waits under it or 'refuse' this one"
        )
    if key is not None:
        check_waiting_key(key)


def refuse_taken(store: DelayedStore, kept: Sequence[Step], step: Step) -> None:
    """Refuse what an attempt is to keep only if its key is free, where it is not.

    The commit decides, and nobody is left to be told then: what was scheduled under the key in between stays, and what
    the attempt wanted to keep is dropped. So the key is looked at while the handler can still hear of it.

    Args:
        store: What waits.
        kept: What the attempt keeps already.
        step: What keeps it.

    Raises:
        EventConflictError: If an event waits under its key, or one of those kept has it already.
    """
    if len(step) <= _KEY or step[_KEY + 1] != "refuse":
        return
    event_id, key = step[1], step[_KEY]
    own = (one[1] for one in kept if one[0] == "delayed" and len(one) > _KEY and one[_KEY] == key)
    found = next(own, None) or store.id_under(key)
    if found is not None:
        raise conflict(event_id, b"exists" if found == event_id else b"taken", found)


def conflict(event_id: str, outcome: bytes, found: str) -> EventConflictError:
    """Return the error of an event that was not kept, by what came of keeping it and the id that was found."""
    if outcome == b"taken":
        return EventConflictError(
            f"event {event_id!r} was refused: event {found!r} waits under its key; cancel that one, or let it be"
            " replaced with when_taken='replace'",
            event_id=found,
        )
    return EventConflictError(
        f"an event {event_id!r} is delayed or published already; cancel it first, or give this one another id",
        event_id=event_id,
    )
