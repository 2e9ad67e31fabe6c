"""Judging events by the conditions of a filter that no index answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eventsys.errors import EventsysError
from eventsys.model.envelope import EventHeader, payload_of
from eventsys.model.patterns import pattern_matches
from eventsys.model.queries import EventFilter
from eventsys.model.status import EventStatus
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.places import Logged
from eventsys.store.status_index import key_of_status

Readable = tuple[Logged, EventHeader]


class Judge:
    """The conditions that are left open by the index an event was found in.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        wanted: Source, priority, text and subscription are judged as it says.
        types: Types and patterns to judge; none: the index did.
        correlation_id: The chain to judge; None: the index did.
        status: The status to judge; None: any, or the index did.
    """

    def __init__(
        self,
        link: Link,
        keys: Keys,
        wanted: EventFilter,
        *,
        types: Sequence[str] = (),
        correlation_id: str | None = None,
        status: EventStatus | None = None,
    ) -> None:
        self._link = link
        self._keys = keys
        self._is_delivered = status is EventStatus.DELIVERED
        self._index = None if status is None or self._is_delivered else key_of_status(keys, status)
        self._subscription = wanted.subscription
        self._tests = _tests(wanted, types, correlation_id)

    @property
    def accepts_all(self) -> bool:
        """Whether every event of the index fits."""
        return not self._tests and not self._needs_records and self._index is None

    @property
    def _needs_records(self) -> bool:
        return self._is_delivered or self._subscription is not None

    def fitting(self, found: list[Readable]) -> list[Readable]:
        """Return those of the events that fit."""
        fit = [one for one in found if all(test(one[1]) for test in self._tests)]
        if fit and self._index is not None:
            scores = self._link.read([("ZSCORE", self._index, header.id) for _, header in fit])
            fit = [one for one, score in zip(fit, scores, strict=True) if score is not None]
        return self._by_record(fit) if fit and self._needs_records else fit

    def _by_record(self, found: list[Readable]) -> list[Readable]:
        """Return those whose record fits: the status delivered, a delivery to the subscription."""
        number = b"open"
        if self._subscription is not None:
            number = self._link.call("HGET", self._keys.subscription_numbers, self._subscription)
            if number is None:
                return []
        commands = [("HMGET", self._keys.record(header.id), "open", "status", number, "replays") for _, header in found]
        fit: list[tuple[Readable, bool]] = []
        for one, reply in zip(found, self._link.pipeline(commands), strict=True):
            if isinstance(reply, Exception):
                continue  # no record stands where its own should
            opened, status, delivery, replays = reply
            stands = not self._is_delivered or (opened == b"0" and status in {None, b"delivered"})
            if stands and (delivery is not None or replays is not None):
                fit.append((one, delivery is not None))
        return self._with_replays(fit, number)

    def _with_replays(self, found: list[tuple[Readable, bool]], number: bytes) -> list[Readable]:
        """Return what was delivered, and what only replays gave to the subscription of this number."""
        unsure = [header.id for (_, header), is_sure in found if not is_sure]
        fields = self._link.pipeline([("HKEYS", self._keys.record(one)) for one in unsure]) if unsure else []
        given = {one for one, names in zip(unsure, fields, strict=True) if _is_replayed(names, number)}
        return [one for one, is_sure in found if is_sure or one[1].id in given]


def _tests(
    wanted: EventFilter, types: Sequence[str], correlation_id: str | None
) -> list[Callable[[EventHeader], bool]]:
    tests: list[Callable[[EventHeader], bool]] = []
    if types:
        tests.append(lambda header: any(pattern_matches(pattern, header.type) for pattern in types))
    if wanted.sources:
        tests.append(lambda header: header.source in wanted.sources)
    if wanted.priority is not None:
        tests.append(lambda header: header.priority == wanted.priority)
    if correlation_id is not None:
        tests.append(lambda header: header.chain_id == correlation_id)
    if wanted.text:
        text = wanted.text.encode()
        tests.append(lambda header: text in _readable(header) or text in header.type.encode())
    return tests


def _is_replayed(fields: Sequence[bytes], number: bytes) -> bool:
    return any(field.startswith(number + b"#") for field in fields)


def _readable(header: EventHeader) -> bytes:
    """Return the payload to look for a text in; empty where it cannot be decrypted here."""
    try:
        return bytes(payload_of(header))
    except EventsysError:
        return b""
