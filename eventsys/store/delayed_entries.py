"""The entries of the delayed store: reading one, and going through many in the order they are due."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from eventsys.clock import from_ms, to_ms
from eventsys.errors import InvalidEventError
from eventsys.model.envelope import EventHeader, decode_header, shown_event
from eventsys.model.event import DelayedEvent, Event
from eventsys.model.status import EventStatus
from eventsys.store.delayed_bodies import read_body
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import moment_of, read_or_pass_over, read_strictly
from eventsys.store.scripts import script

#: What is shown as the retries of an event that says nothing about them: what subscriptions do that say nothing.
USUAL_RETRIES = 3

#: Entries read in one round trip.
_CHUNK = 500


class Entry(NamedTuple):
    """What waits for its time.

    Attributes:
        id: The id of the delayed event, `<event id>:<subscription>` for a retry, or the message's id.
        due_ms: When its time comes.
        queue: The queue of a message; empty for an event.
        step: What is carried out then.
        facts: What a listing shows: `created_ms`, `updated_ms` and `key`, as far as there are.
    """

    id: str
    due_ms: int
    queue: str
    step: list[Any]
    facts: dict[str, Any]

    @property
    def is_event(self) -> bool:
        """Whether it is a delayed event, and no message."""
        return bool(self.step[0] == "event")

    @property
    def envelope(self) -> str:
        """The stored form of a delayed event."""
        return str(self.step[4])


class Position(NamedTuple):
    """Where an entry stands among all: they sort by due time, and then by member."""

    due_ms: int
    member: bytes

    def __str__(self) -> str:
        return f"{self.due_ms}-{self.member.hex()}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Return the position that a cursor names.

        Raises:
            InvalidEventError: If it is none.
        """
        due, _, member = text.partition("-")
        try:
            return cls(int(due), bytes.fromhex(member))
        except ValueError as error:
            raise InvalidEventError(
                f"cursor {text!r} is none; give next_cursor of the page before, as it came"
            ) from error


def read_entry(body: bytes, due_ms: int) -> Entry:
    """Return the entry in a stored body.

    Raises:
        InvalidEventError: If it is none of them.
    """
    try:
        entry_id, queue, step, facts = read_body(body)
    except (msgspec.MsgspecError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise InvalidEventError(f"a delayed entry of {len(body)} bytes cannot be read: {error}") from error
    if not all(map(isinstance, (entry_id, queue, step, facts), (str, str, list, dict))) or not step:
        raise InvalidEventError(f"a delayed entry of {len(body)} bytes cannot be read: a part of it has the wrong type")
    return Entry(entry_id, due_ms, queue, step, facts)


def read_delayed(
    entry: Entry, status: EventStatus = EventStatus.PENDING, *, updated_ms: int | None = None
) -> DelayedEvent[Any]:
    """Return the delayed event that an entry is.

    Raises:
        InvalidEventError: If it is a delayed message of a plain actor or a retry, not an event.
    """
    if not entry.is_event:
        raise InvalidEventError(f"{entry.id!r} is a delayed message, not a delayed event")
    try:
        header = decode_header(entry.envelope)
        event: Event[Any] = shown_event(header)
        created_ms = int(entry.facts.get("created_ms") or to_ms(event.time))
        changed_ms = int(updated_ms or entry.facts.get("updated_ms") or created_ms)
        created_at, updated_at = from_ms(created_ms), from_ms(changed_ms)
    except (TypeError, LookupError, ArithmeticError) as error:
        raise InvalidEventError(f"the delayed event {entry.id!r} cannot be read: {error}") from error
    return DelayedEvent[Any].model_construct(
        **event.__dict__,
        delay_until=from_ms(entry.due_ms),
        max_retries=retries_of(header),
        retry_count=0,
        status=status,
        created_at=created_at,
        updated_at=updated_at,
        key=entry.facts.get("key"),
    )


def readable_delayed(entries: Iterable[Entry]) -> list[DelayedEvent[Any]]:
    """Return the delayed events that entries are; what is odd in one of them does not hide the others."""
    found = [read_or_pass_over(f"the delayed store, id {one.id}", read_delayed, one) for one in entries]
    return [one for one in found if one is not None]


def retries_of(header: EventHeader) -> int:
    """Return how often the deliveries of an event are tried again, as far as its publisher said."""
    return USUAL_RETRIES if header.max_retries is None else header.max_retries


def bucket_of(name: str) -> str:
    """Return the bucket of an id or a key: enough of them that each stays small."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:4]


def find_entries(link: Link, keys: Keys, entry_ids: list[str]) -> list[Entry | None]:
    """Return the entries of these ids, None for each of which none waits, in three round trips."""
    return _found(link, keys, entry_ids, read_strictly)


def readable_entries(link: Link, keys: Keys, entry_ids: list[str]) -> list[Entry | None]:
    """Return the entries of these ids, None too for each that cannot be read: it does not hide the others."""
    return _found(link, keys, entry_ids, read_or_pass_over)


def positions(
    link: Link, keys: Keys, *, low_ms: int | None = None, high_ms: int | None = None, after: Position | None = None
) -> Iterator[Position]:
    """Go through both tiers in the order of due times.

    What is added or leaves meanwhile may be met or not; all else is met once.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        low_ms: The first due time wanted; None: the earliest there is.
        high_ms: The last one.
        after: Where to begin: behind this position.
    """
    return heapq.merge(*(_tier_positions(link, keys, tier, low_ms, high_ms, after) for tier in ("due", "far:due")))


def entries_at(link: Link, keys: Keys, wanted: list[Position]) -> list[tuple[Position, Entry]]:
    """Return the entries at these positions; those that left meanwhile, or cannot be read, are left out."""
    members, due_times = [one.member for one in wanted], [one.due_ms for one in wanted]
    found = _read_members(link, keys, members, read_or_pass_over, due_times)
    return [(position, entry) for position, entry in zip(wanted, found, strict=True) if entry is not None]


def in_chunks(wanted: Iterator[Position], size: int = _CHUNK) -> Iterator[list[Position]]:
    """Give positions in lists of `size`."""
    chunk: list[Position] = []
    for one in wanted:
        chunk.append(one)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _tier_positions(
    link: Link, keys: Keys, tier: str, low_ms: int | None, high_ms: int | None, after: Position | None
) -> Iterator[Position]:
    bounds = ("-inf" if low_ms is None else low_ms, "+inf" if high_ms is None else high_ms)
    last: tuple[Any, Any] = ("", "") if after is None else after
    is_whole = False
    while not is_whole:
        flat = link.run(script("follow_delayed"), keys.prefix, tier, *bounds, *last, _CHUNK)
        for member, due in zip(flat[::2], flat[1::2], strict=True):
            last = due, member  # as it is stored, which is a whole number unless somebody else wrote it
            yield Position(moment_of(due), member)
        is_whole = not flat


def _found(link: Link, keys: Keys, entry_ids: list[str], read: Callable[..., Entry | None]) -> list[Entry | None]:
    members = link.read([("HGET", keys.delayed_ids(bucket_of(one)), one) for one in entry_ids])
    known = [member for member in members if member is not None]
    found = dict(zip(known, _read_members(link, keys, known, read), strict=True))
    return [None if member is None else found[member] for member in members]


def _read_members(
    link: Link,
    keys: Keys,
    members: list[bytes],
    read: Callable[..., Entry | None],
    due_times: list[int] | None = None,
) -> list[Entry | None]:
    if not members:
        return []
    near, far = link.read([("HMGET", keys.delayed_bodies, *members), ("HMGET", keys.delayed_far_bodies, *members)])
    bodies = [first if first is not None else second for first, second in zip(near, far, strict=True)]
    if due_times is None:
        scores = link.read(
            [(("ZSCORE", tier, member)) for tier in (keys.delayed_due, keys.delayed_far_due) for member in members]
        )
        pairs = zip(scores[: len(members)], scores[len(members) :], strict=True)
        due = [first if first is not None else second for first, second in pairs]
    else:
        due = list(due_times)
    return [
        None
        if body is None or moment is None
        else read(f"{keys.delayed_bodies}, field {member!r}", read_entry, body, moment_of(moment))
        for member, body, moment in zip(members, bodies, due, strict=True)
    ]
