"""Where events stand in the log, and what is read there."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from eventsys.errors import InvalidCursorError, InvalidEventError
from eventsys.store.keys import Keys

#: How a place is written in the list of a chain: milliseconds, number, log; see `lua/includes/chain_place.lua`.
_PACKED = struct.Struct(">HIIB")

#: The highest number an entry of one millisecond is looked for.
HIGHEST = 2**62

#: Bytes of a place in such a list.
PLACE_BYTES = _PACKED.size

#: The name of an entry, in numbers that Redis takes.
_ENTRY = re.compile(r"[0-9]{1,15}-[0-9]{1,19}")

_CLASS_CODES = {100: "system", 101: "cron"}


class Place(NamedTuple):
    """Where an event stands in the log; places sort by time, and no two events have the same.

    Attributes:
        ms: When it was stored.
        number: Tells those of one millisecond apart.
        home: The log: a lane's number, or a class of system events.
    """

    ms: int
    number: int
    home: str = ""

    @property
    def entry(self) -> str:
        """The name of its entry."""
        return f"{self.ms}-{self.number}"

    @property
    def log(self) -> str:
        """The place as a record tells it."""
        return f"{self.home}:{self.entry}"

    @classmethod
    def of(cls, entry: str, home: str = "") -> Place:
        """Return the place that an entry's name tells."""
        ms, _, number = entry.partition("-")
        return cls(int(ms), int(number or 0), home)

    @classmethod
    def unpacked(cls, packed: bytes) -> Place:
        """Return the place in a chain's list."""
        high, low, number, code = _PACKED.unpack(packed)
        return cls((high << 32) + low, number, _CLASS_CODES.get(code) or str(code))

    def command(self, keys: Keys) -> tuple[str, ...]:
        """Return the command that reads the event's entry."""
        return ("XRANGE", keys.log(self.home), self.entry, self.entry)


#: Places before and behind all others.
OLDEST, NEWEST = Place(0, 0), Place(2**47, 0)


class Logged(NamedTuple):
    """One event as an index gives it.

    Attributes:
        cursor: Where it stands in that index; what follows it is read from there.
        event_id: Its id, where the index tells it without its envelope.
        envelope: Its stored form; None when nothing is left of it.
        log: Its place in the log, as its record tells it; empty when it never came there.
    """

    cursor: str
    event_id: str | None
    envelope: bytes | None
    log: str


def place_of_cursor(cursor: str) -> Place:
    """Return the place that a cursor of a page tells.

    Raises:
        InvalidCursorError: If it tells none.
    """
    if _ENTRY.fullmatch(cursor) is None:
        raise invalid_cursor(cursor)
    return Place.of(cursor)


def place_of_log(log: bytes | str) -> Place:
    """Return the place that the field `log` of a record tells.

    Raises:
        InvalidEventError: If it tells none.
    """
    text = log if isinstance(log, str) else log.decode("utf-8", "replace")
    home, _, entry = text.partition(":")
    if _ENTRY.fullmatch(entry) is None:
        raise InvalidEventError(f"a record says that its event stands at {text[:80]!r}, which is no place in the log")
    return Place.of(entry, home)


def invalid_cursor(cursor: str) -> InvalidCursorError:
    """Return the error that says that a cursor is none."""
    return InvalidCursorError(
        f"{cursor[:80]!r} is no cursor of this query; give next_cursor of a page of the same filter"
    )


def envelope_in(reply: Any) -> bytes | None:
    """Return the envelope in the reply to a `Place.command`, None when the entry is gone."""
    return reply[0][1][1] if isinstance(reply, list) and reply else None


def places_of_logs(logs: Sequence[Any]) -> list[Place | None]:
    """Return the places that such fields tell; None for what tells none, or could not be read."""
    return [_place_or_none(log) for log in logs]


def _place_or_none(log: Any) -> Place | None:
    if not isinstance(log, bytes):
        return None
    try:
        return place_of_log(log)
    except InvalidEventError:
        return None
