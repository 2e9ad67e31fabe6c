"""Finding the records of events whose ids are known, wherever these events stand by now."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from eventsys.errors import InvalidEventError
from eventsys.model.event import EventRecord
from eventsys.store.delayed_entries import Entry, find_entries
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import read_or_pass_over, read_strictly, reply_of, texts_of
from eventsys.store.places import envelope_in, place_of_log
from eventsys.store.records import read_record


class RecordReader:
    """Reads the records of events: of those that wait for their time, stand in the log, or have left it while open.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def read(
        self, events: Sequence[tuple[str, bytes | None]], *, must_be_readable: bool = False
    ) -> list[EventRecord[Any]]:
        """Return the records of those events that there are.

        Args:
            events: Their ids, and their envelopes where these are known.
            must_be_readable: Whether one that is odd is an error, and not passed over.
        """
        found = self._look(events, must_be_readable=must_be_readable)
        # What fires, or leaves the log, between two round trips is found in neither place: it was not in the one yet,
        # and is not in the other any more. An event does each once in its life, so it stands still the second time.
        missing = [at for at, one in enumerate(found) if one is None]
        again = self._look([events[at] for at in missing], must_be_readable=must_be_readable)
        for at, one in zip(missing, again, strict=True):
            found[at] = one
        return [one for one in found if one is not None]

    def _look(
        self, events: Sequence[tuple[str, bytes | None]], *, must_be_readable: bool
    ) -> list[EventRecord[Any] | None]:
        """Return the record of each event; None where it was not found."""
        if not events:
            return []
        flats = self._link.pipeline([("HGETALL", self._keys.record(event_id)) for event_id, _ in events])
        read = read_strictly if must_be_readable else read_or_pass_over
        waiting = self._waiting([event_id for (event_id, _), flat in zip(events, flats, strict=True) if not flat])
        records = [
            read(self._keys.record(event_id), self._fields_of, event_id, flat, waiting) or {}
            for (event_id, _), flat in zip(events, flats, strict=True)
        ]
        if not any(records):
            return [None] * len(events)
        *envelopes, names, workers = self._link.pipeline(
            [
                *(
                    _no_command() if envelope else self._envelope_command(fields)
                    for (_, envelope), fields in zip(events, records, strict=True)
                ),
                ("HGETALL", self._keys.subscription_names),
                ("HGETALL", self._keys.workers),
            ]
        )
        known = {int(number): name for number, name in texts_of(names).items() if number.isdecimal()}
        hosts = texts_of(workers)

        def record(fields: dict[str, str], given: bytes | None, reply: Any) -> EventRecord[Any] | None:
            envelope = given or _envelope_in(fields, reply) if fields else None
            return None if envelope is None else read_record(fields, envelope, known, hosts)

        return [
            read(self._keys.record(event_id), record, fields, given, reply)
            for (event_id, given), fields, reply in zip(events, records, envelopes, strict=True)
        ]

    def _waiting(self, event_ids: list[str]) -> dict[str, Entry | None]:
        """Return what waits under these ids; nothing where one is odd, or is the only one."""
        if len(event_ids) < 2:
            return {}
        found = read_or_pass_over(self._keys.delayed_bodies, find_entries, self._link, self._keys, event_ids)
        return {} if found is None else dict(zip(event_ids, found, strict=True))

    def _fields_of(self, event_id: str, flat: Any, waiting: dict[str, Entry | None]) -> dict[str, str]:
        if flat:
            return texts_of(flat)
        if event_id in waiting:
            return _fields_of_delayed(waiting[event_id])
        [entry] = find_entries(self._link, self._keys, [event_id])
        return _fields_of_delayed(entry)

    def _envelope_command(self, fields: dict[str, str]) -> tuple[str, ...]:
        log = fields.get("log", "")
        if not log or "envelope" in fields:
            return _no_command()
        with suppress(InvalidEventError):
            return place_of_log(log).command(self._keys)
        return _no_command()


def _fields_of_delayed(entry: Entry | None) -> dict[str, str]:
    """Return what the record of an event that has not fired would say, empty when there is none."""
    if entry is None or not entry.is_event:
        return {}
    kept: tuple[str, ...] = ("created_ms", "key")
    known = {name: str(entry.facts[name]) for name in kept if name in entry.facts}
    return {"envelope": entry.envelope, "status": "pending", "due_ms": str(entry.due_ms), **known}


def _no_command() -> tuple[str, ...]:
    return ("ECHO", "")


def _envelope_in(fields: dict[str, str], reply: Any) -> bytes | str | None:
    """Return a record's own envelope, which it has when the log has not: not yet, or not any more."""
    return fields.get("envelope") or envelope_in(reply_of(reply))
