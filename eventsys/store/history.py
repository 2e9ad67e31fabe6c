"""Finding events in the history."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from eventsys.clock import to_ms
from eventsys.model.envelope import EventHeader, decode_header
from eventsys.model.patterns import pattern_matches
from eventsys.model.priority import LANES
from eventsys.model.queries import EventFilter
from eventsys.model.status import EventStatus
from eventsys.store.keys import Keys
from eventsys.store.link import Link

#: Most events a query looks at. Beyond, what it counts is a lower bound.
MOST_SCANNED = 10_000

#: Events looked at in one round trip, when they have to be read to be judged.
_CHUNK = 500


class Place(NamedTuple):
    """Where an event stands in the log; places sort by time."""

    ms: int
    number: int
    lane: int

    @property
    def entry(self) -> str:
        """The name of its entry."""
        return f"{self.ms}-{self.number}"


def find_events(link: Link, keys: Keys, wanted: EventFilter) -> tuple[list[str], int, bool]:
    """Return the ids on the wanted page, how many events fit, and whether that number is exact.

    Type, status and time are looked up; what else is asked is judged event by event.
    """
    first = (wanted.page - 1) * wanted.page_size
    judge = _judge_of(wanted)
    if wanted.status is not None and wanted.status is not EventStatus.DELIVERED:
        ids, is_whole = _ids_of_status(link, keys, wanted, wanted.status)
        candidates: list[Any] = ids
        read: Callable[[Link, Keys, list[Any]], list[EventHeader]] = _read_ids
    else:
        places, is_whole = _candidates(link, keys, wanted)
        candidates, read = sorted(places, reverse=wanted.order == "newest"), _read
    if judge is None and wanted.subscription is None:
        page = read(link, keys, candidates[first : first + wanted.page_size])
        return [header.id for header in page], len(candidates), is_whole
    fitting: list[str] = []
    for start in range(0, len(candidates), _CHUNK):
        headers = read(link, keys, candidates[start : start + _CHUNK])
        fitting += _fitting(link, keys, [one.id for one in headers if judge is None or judge(one)], wanted)
    return fitting[first : first + wanted.page_size], len(fitting), is_whole


def _candidates(link: Link, keys: Keys, wanted: EventFilter) -> tuple[list[Place], bool]:
    if wanted.types and not _has_wildcard(wanted):
        streams = [(keys.type_index(event_type), 0) for event_type in dict.fromkeys(wanted.types)]
    else:
        lanes = LANES if wanted.priority is None else (int(wanted.priority),)
        streams = [(keys.log(lane), lane) for lane in lanes]
    oldest, newest = _first_ms(wanted, "-"), _last_ms(wanted, "+")
    commands = [
        ("XREVRANGE", stream, newest, oldest, "COUNT", MOST_SCANNED + 1)
        if wanted.order == "newest"
        else ("XRANGE", stream, oldest, newest, "COUNT", MOST_SCANNED + 1)
        for stream, _ in streams
    ]
    places: list[Place] = []
    for (_, lane), entries in zip(streams, link.pipeline(commands), strict=True):
        places += [_place(entry, lane or int(fields[1])) for entry, fields in entries]
    return _cut(places, newest_first=wanted.order == "newest")


def _ids_of_status(link: Link, keys: Keys, wanted: EventFilter, status: EventStatus) -> tuple[list[str], bool]:
    """Return the events of a status other than delivered, in the order asked for; some never reached the log."""
    index = keys.pending if status is EventStatus.PENDING else keys.status_index(status)
    oldest, newest = _first_ms(wanted, "-inf"), _last_ms(wanted, "+inf")
    limit = ("LIMIT", 0, MOST_SCANNED + 1)
    if wanted.order == "newest":
        found = link.call("ZREVRANGEBYSCORE", index, newest, oldest, *limit)
    else:
        found = link.call("ZRANGEBYSCORE", index, oldest, newest, *limit)
    ids = [event_id.decode() for event_id in found]
    return ids[:MOST_SCANNED], len(ids) <= MOST_SCANNED


def _read_ids(link: Link, keys: Keys, ids: list[str]) -> list[EventHeader]:
    if not ids:
        return []
    records = link.pipeline([("HMGET", keys.record(event_id), "log", "envelope") for event_id in ids])
    logged = {
        at: _place(log.partition(b":")[2], int(log.partition(b":")[0])) for at, (log, _) in enumerate(records) if log
    }
    entries = link.pipeline([("XRANGE", keys.log(one.lane), one.entry, one.entry) for one in logged.values()])
    envelopes = {at: found[0][1][1] for at, found in zip(logged, entries, strict=True) if found}
    envelopes |= {at: envelope for at, (_, envelope) in enumerate(records) if envelope}
    return [decode_header(envelopes[at]) for at in range(len(ids)) if at in envelopes]


def _cut(places: list[Place], *, newest_first: bool) -> tuple[list[Place], bool]:
    if len(places) <= MOST_SCANNED:
        return places, True
    return sorted(places, reverse=newest_first)[:MOST_SCANNED], False


def _judge_of(wanted: EventFilter) -> Callable[[EventHeader], bool] | None:
    tests: list[Callable[[EventHeader], bool]] = []
    if wanted.types and (_has_wildcard(wanted) or wanted.status not in {None, EventStatus.DELIVERED}):
        tests.append(lambda header: any(pattern_matches(pattern, header.type) for pattern in wanted.types))
    if wanted.sources:
        tests.append(lambda header: header.source in wanted.sources)
    if wanted.priority is not None and (wanted.types or wanted.status is not None):
        tests.append(lambda header: header.priority == wanted.priority)
    if wanted.correlation_id is not None:
        tests.append(lambda header: header.chain_id == wanted.correlation_id)
    if wanted.text:
        text = wanted.text.encode()
        tests.append(lambda header: text in bytes(header.payload) or text in header.type.encode())
    if not tests and wanted.status is not EventStatus.DELIVERED:
        return None
    return lambda header: all(test(header) for test in tests)


def _fitting(link: Link, keys: Keys, ids: list[str], wanted: EventFilter) -> list[str]:
    """Return those of the events whose record fits: the status delivered, a delivery to a subscription."""
    if not ids or (wanted.status is not EventStatus.DELIVERED and wanted.subscription is None):
        return ids
    number = b"open"
    if wanted.subscription is not None:
        number = link.call("HGET", keys.subscription_numbers, wanted.subscription)
        if number is None:
            return []
    states = link.pipeline([("HMGET", keys.record(event_id), "open", "status", number) for event_id in ids])
    return [
        event_id
        for event_id, (opened, status, delivery) in zip(ids, states, strict=True)
        if delivery is not None
        and (wanted.status is not EventStatus.DELIVERED or (opened == b"0" and status in {None, b"delivered"}))
    ]


def _read(link: Link, keys: Keys, places: list[Place]) -> list[EventHeader]:
    if not places:
        return []
    found = link.pipeline([("XRANGE", keys.log(place.lane), place.entry, place.entry) for place in places])
    return [decode_header(entries[0][1][1]) for entries in found if entries]


def _place(entry: bytes, lane: int) -> Place:
    ms, _, number = entry.partition(b"-")
    return Place(int(ms), int(number), lane)


def _has_wildcard(wanted: EventFilter) -> bool:
    return any("*" in pattern or "#" in pattern for pattern in wanted.types)


def _first_ms(wanted: EventFilter, otherwise: str) -> Any:
    if wanted.start_time is None:
        return otherwise
    return to_ms(wanted.start_time + timedelta(microseconds=999))  # the first whole millisecond from there on


def _last_ms(wanted: EventFilter, otherwise: str) -> Any:
    return otherwise if wanted.end_time is None else to_ms(wanted.end_time - timedelta(microseconds=1))
