"""Reading the events of a status other than delivered, by the time they were stored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from eventsys.model.status import EventStatus
from eventsys.store.index import Chunk
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import text_of
from eventsys.store.places import Logged, envelope_in, invalid_cursor, places_of_logs
from eventsys.store.scripts import script

#: A score, or what stands before or behind all of them, and an id.
_CURSOR = re.compile(r"([0-9]{1,15}|[-+]inf):(.*)", re.DOTALL)


class StatusIndex:
    """Events of one status, some of which never reached the log.

    Events enter at the time they were stored, which may lie behind a cursor when they end late: those a walk does not
    see. What was there when it began is seen once, or not at all if it has another status by then.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        status: The status; not delivered.
        ids: Only these events, as far as they have the status; none: all that have it.
        first_ms: The earliest time, included; None: no beginning.
        last_ms: The latest time, included; None: no end.
        newest_first: The order.
    """

    def __init__(
        self,
        link: Link,
        keys: Keys,
        status: EventStatus,
        *,
        ids: Sequence[str] = (),
        first_ms: int | None = None,
        last_ms: int | None = None,
        newest_first: bool = True,
    ) -> None:
        self._link = link
        self._keys = keys
        self._key = key_of_status(keys, status)
        self._range = ("-inf" if first_ms is None else str(first_ms), "+inf" if last_ms is None else str(last_ms))
        self._newest_first = newest_first
        self._chosen = self._choose(ids) if ids else None

    def count(self) -> int:
        """Return how many events of the status there are between the times asked for."""
        if self._chosen is not None:
            return len(self._chosen)
        return int(self._link.call("ZCOUNT", self._key, *self._range))

    def cursor_at(self, offset: int) -> str | None:
        """Return the cursor of the event up to which `offset` are left out."""
        if offset <= 0:
            return None
        found = self._read(None, offset - 1, 1)
        return cursor_of_status(*(found[0] if found else ("-inf" if self._newest_first else "+inf", "")))

    def chunk(self, after: str | None, size: int) -> Chunk:
        """Return events behind a cursor."""
        found = self._read(after, 0, size)
        return Chunk(self._logged(found), cursor_of_status(*found[-1]) if len(found) == size else None)

    def _read(self, after: str | None, offset: int, size: int) -> list[tuple[str, str]]:
        """Return scores and ids."""
        score, event_id = ("", "") if after is None else _parts(after)
        if self._chosen is not None:
            behind = self._chosen if after is None else self._behind(float(score), event_id)
            return behind[offset : offset + size]
        flat = self._link.run(
            script("page_status"), self._keys.prefix, self._key.removeprefix(f"{self._keys.prefix}:"), *self._range,
            int(self._newest_first), score, event_id, offset, size,
        )  # fmt: skip
        return [(score.decode(), text_of(member)) for member, score in zip(flat[::2], flat[1::2], strict=True)]

    def _choose(self, ids: Sequence[str]) -> list[tuple[str, str]]:
        """Return scores and ids of those that have the status, in the order asked for."""
        ids = list(dict.fromkeys(ids))
        scores = self._link.read([("ZSCORE", self._key, one) for one in ids])
        there = [(score.decode(), one) for one, score in zip(ids, scores, strict=True) if score is not None]
        low, high = float(self._range[0]), float(self._range[1])
        within = [one for one in there if low <= float(one[0]) <= high]
        return sorted(within, key=_by_score, reverse=self._newest_first)

    def _behind(self, score: float, event_id: str) -> list[tuple[str, str]]:
        assert self._chosen is not None
        end = (score, event_id.encode())
        return [one for one in self._chosen if (_by_score(one) < end if self._newest_first else _by_score(one) > end)]

    def _logged(self, found: list[tuple[str, str]]) -> list[Logged]:
        if not found:
            return []
        records = self._link.pipeline([("HMGET", self._keys.record(one), "log", "envelope") for _, one in found])
        records = [(None, None) if isinstance(one, Exception) else one for one in records]
        told = places_of_logs([None if kept else log for log, kept in records])
        places = {at: place for at, place in enumerate(told) if place is not None}
        replies = self._link.pipeline([place.command(self._keys) for place in places.values()]) if places else []
        envelopes: dict[int, Any] = {at: kept for at, (_, kept) in enumerate(records) if kept}
        envelopes |= {at: envelope_in(reply) for at, reply in zip(places, replies, strict=True)}
        envelopes |= self._kept_since({at: found[at][1] for at in places if envelopes[at] is None})
        return [
            Logged(cursor_of_status(score, event_id), event_id, envelopes.get(at), text_of(records[at][0] or b""))
            for at, (score, event_id) in enumerate(found)
        ]

    def _kept_since(self, missing: dict[int, str]) -> dict[int, bytes | None]:
        """Return the envelopes that records keep of events whose entries left the log since the records were read."""
        if not missing:
            return {}
        replies = self._link.pipeline([("HGET", self._keys.record(one), "envelope") for one in missing.values()])
        return {at: reply if isinstance(reply, bytes) else None for at, reply in zip(missing, replies, strict=True)}


def key_of_status(keys: Keys, status: EventStatus) -> str:
    """Return the sorted set of the events that have a status; not delivered."""
    return keys.pending if status is EventStatus.PENDING else keys.status_index(status)


def cursor_of_status(score: str, event_id: str) -> str:
    """Return the cursor behind which the events of a status follow that come after this score and id."""
    return f"{score}:{event_id}"


def is_cursor_of_status(cursor: str) -> bool:
    """Say whether a cursor is of an index by status; those of the log have no colon."""
    return ":" in cursor


def _by_score(one: tuple[str, str]) -> tuple[float, bytes]:
    return float(one[0]), one[1].encode()


def _parts(cursor: str) -> tuple[str, str]:
    read = _CURSOR.fullmatch(cursor)
    if read is None:
        raise invalid_cursor(cursor)
    return read[1], read[2]
