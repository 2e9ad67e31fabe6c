"""Reading the events of a status other than delivered, by the time they were stored."""

from __future__ import annotations

import re
from typing import Any

from eventsys.model.status import EventStatus
from eventsys.store.index import Chunk
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.places import Logged, envelope_in, invalid_cursor, place_of_log
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
        first_ms: int | None = None,
        last_ms: int | None = None,
        newest_first: bool = True,
    ) -> None:
        self._link = link
        self._keys = keys
        self._key = keys.pending if status is EventStatus.PENDING else keys.status_index(status)
        self._range = ("-inf" if first_ms is None else str(first_ms), "+inf" if last_ms is None else str(last_ms))
        self._newest_first = newest_first

    def count(self) -> int:
        """Return how many events of the status there are between the times asked for."""
        return int(self._link.call("ZCOUNT", self._key, *self._range))

    def cursor_at(self, offset: int) -> str | None:
        """Return the cursor of the event up to which `offset` are left out."""
        if offset <= 0:
            return None
        found = self._read(None, offset - 1, 1)
        return _cursor(*found[0]) if found else _cursor("-inf" if self._newest_first else "+inf", "")

    def chunk(self, after: str | None, size: int) -> Chunk:
        """Return events behind a cursor."""
        found = self._read(after, 0, size)
        return Chunk(self._logged(found), _cursor(*found[-1]) if len(found) == size else None)

    def _read(self, after: str | None, offset: int, size: int) -> list[tuple[str, str]]:
        """Return scores and ids."""
        score, event_id = ("", "") if after is None else _parts(after)
        flat = self._link.run(
            script("page_status"), self._keys.prefix, self._key.removeprefix(f"{self._keys.prefix}:"), *self._range,
            int(self._newest_first), score, event_id, offset, size,
        )  # fmt: skip
        return [(score.decode(), member.decode()) for member, score in zip(flat[::2], flat[1::2], strict=True)]

    def _logged(self, found: list[tuple[str, str]]) -> list[Logged]:
        if not found:
            return []
        records = self._link.pipeline([("HMGET", self._keys.record(one), "log", "envelope") for _, one in found])
        places = {at: place_of_log(log) for at, (log, kept) in enumerate(records) if log and not kept}
        replies = self._link.pipeline([place.command(self._keys) for place in places.values()]) if places else []
        envelopes: dict[int, Any] = {at: kept for at, (_, kept) in enumerate(records) if kept}
        envelopes |= {at: envelope_in(reply) for at, reply in zip(places, replies, strict=True)}
        return [
            Logged(_cursor(score, event_id), event_id, envelopes.get(at), (records[at][0] or b"").decode())
            for at, (score, event_id) in enumerate(found)
        ]


def _cursor(score: str, event_id: str) -> str:
    return f"{score}:{event_id}"


def _parts(cursor: str) -> tuple[str, str]:
    read = _CURSOR.fullmatch(cursor)
    if read is None:
        raise invalid_cursor(cursor)
    return read[1], read[2]
