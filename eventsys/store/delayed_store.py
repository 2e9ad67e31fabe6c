"""The delayed store: what waits for its time, found, changed and taken back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from eventsys.clock import first_ms, to_ms
from eventsys.errors import AlreadyFiredError, InvalidEventError, NotFoundError
from eventsys.model.cipher import Cipher
from eventsys.model.envelope import encode_event
from eventsys.model.event import DelayedEvent
from eventsys.model.new_events import check_event
from eventsys.model.payloads import encode_payload
from eventsys.model.queries import EventFilter, Page
from eventsys.store.delayed_count import count_commands, counted
from eventsys.store.delayed_entries import (
    Entry,
    bucket_of,
    entries_at,
    find_entries,
    in_chunks,
    positions,
    read_delayed,
    read_entry,
    readable_delayed,
)
from eventsys.store.delayed_listing import list_delayed, list_retries, ready_positions
from eventsys.store.delayed_many import DelayedMany
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import moment_of, text_of
from eventsys.store.scripts import script
from eventsys.store.steps import Step, delayed_step, event_step

#: Most entries of a stream looked through, in one script, for a delivery that was moved.
LOOK_THROUGH = 2_000

#: Most events taken back by one script.
_CANCELLED_AT_ONCE = 200

#: Most events whose deliveries expire by one script.
_EXPIRED_AT_ONCE = 50

#: When to look again at an event of which a process holds a delivery, or that waits where it was not found.
_LOOK_AGAIN_MS = 60_000

#: Most entries promoted by one script: it blocks Redis for about 5 µs each.
_PROMOTED_AT_ONCE = 500


class DelayedStore:
    """Everything that waits, in two tiers that are one to whoever asks.

    Each change is one script, so of two that want an entry at once exactly one gets it.

    Attributes:
        many: What counts and changes many at once.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        retention_ms: How long the record of a finished event is kept.
    """

    def __init__(self, link: Link, keys: Keys, *, retention_ms: int) -> None:
        self._link = link
        self._keys = keys
        self._retention_ms = retention_ms
        self.many = DelayedMany(link, keys, cancel=self._take_back)

    def find(self, entry_id: str) -> Entry | None:
        """Return what waits under an id, or None."""
        return find_entries(self._link, self._keys, [entry_id])[0]

    def id_under(self, key: str) -> str | None:
        """Return the id of the event that waits under a key, or None."""
        found = self._link.call("HGET", self._keys.delayed_keys(bucket_of(key)), key)
        return None if found is None else text_of(found)

    def entries(self) -> Iterator[Entry]:
        """Give everything that waits, events, retries and messages, the next one due first."""
        for chunk in in_chunks(positions(self._link, self._keys)):
            yield from (entry for _, entry in entries_at(self._link, self._keys, chunk))

    def count(self) -> int:
        """Return how many delayed events wait."""
        return counted(self._link.read(count_commands(self._keys)))

    def get_delayed_event(self, event_id: str) -> DelayedEvent[Any]:
        """Return a delayed event that waits.

        Raises:
            NotFoundError: If none of this id waits.
        """
        entry = self.find(event_id)
        if entry is None or not entry.is_event:
            raise NotFoundError(f"no delayed event {event_id!r} waits; get_event tells of one that has fired")
        return read_delayed(entry)

    def get_delayed_events(self, wanted: EventFilter) -> Page[DelayedEvent[Any]]:
        """Return a page of the events that wait, the next one due first."""
        return list_delayed(self._link, self._keys, wanted)

    def get_waiting_retries(
        self, *, subscription: str | None, page: int, page_size: int, cursor: str | None = None
    ) -> Page[Any]:
        """Return a page of the deliveries that wait for their next attempt, the next one due first."""
        return list_retries(
            self._link, self._keys, subscription=subscription, page=page, page_size=page_size, cursor=cursor
        )

    def get_ready_events(self, now_ms: int, limit: int) -> list[DelayedEvent[Any]]:
        """Return delayed events whose time has come and that the poller has not let go yet, the first due first."""
        found = entries_at(self._link, self._keys, ready_positions(self._link, self._keys, now_ms, limit))
        return readable_delayed(entry for _, entry in found if entry.is_event)

    def cancel(self, event_ids: Sequence[str], now_ms: int) -> list[Any]:
        """Take events back, and return for each what `cancel_event` answers; `=` and a key name the one under it."""
        outcomes: list[Any] = []
        for start in range(0, len(event_ids), _CANCELLED_AT_ONCE):
            ids = event_ids[start : start + _CANCELLED_AT_ONCE]
            results, is_repeated = self._link.run_telling(
                script("cancel_event"), self._keys.prefix, now_ms, self._retention_ms, LOOK_THROUGH, *ids
            )
            outcomes += [_own(result) if is_repeated else _others(result) for result in results]
        return outcomes

    def cancel_all(self, wanted: EventFilter, now_ms: int) -> int:
        """Take back every event that waits and fits, and return how many."""
        return self.many.cancel(wanted, now_ms)

    def _take_back(self, event_ids: Sequence[str], now_ms: int) -> int:
        return sum(_is_taken_back(outcome) for outcome in self.cancel(event_ids, now_ms))

    def reschedule(self, event_id: str, due_ms: int, now_ms: int) -> DelayedEvent[Any]:
        """Let a delayed event wait for another time, and return it as it then is.

        Raises:
            AlreadyFiredError: If it has been published.
            NotFoundError: If nothing of this id waits.
        """
        outcome = self._link.run(script("reschedule_delayed"), self._keys.prefix, now_ms, event_id, due_ms)
        return read_delayed(_waiting_entry(event_id, outcome))

    def fire_now(self, event_id: str, now_ms: int) -> DelayedEvent[Any]:
        """Let a delayed event go before its time, and return it as it then is.

        Raises:
            AlreadyFiredError: If it has been published.
            NotFoundError: If nothing of this id waits.
        """
        [outcome], is_repeated = self._link.run_telling(script("fire_delayed"), self._keys.prefix, now_ms, event_id)
        if is_repeated and outcome[0] == b"fired":
            raise AlreadyFiredError(
                f"delayed event {event_id!r} has fired, by this call or before it: the reply was lost; get_event tells"
            )
        return read_delayed(_waiting_entry(event_id, outcome), updated_ms=now_ms)

    def cancel_delivery(self, event_id: str, subscription: str, now_ms: int) -> str:
        """End one delivery that waits for its next attempt, or to be begun; return its subscription's present name.

        Raises:
            AlreadyFiredError: If it is running, or over.
            NotFoundError: If the event has no such delivery.
        """
        arguments = (now_ms, self._retention_ms, LOOK_THROUGH, event_id, subscription)
        (outcome, present), is_repeated = self._link.run_telling(
            script("cancel_delivery"), self._keys.prefix, *arguments
        )
        if outcome == b"running" or (outcome == b"before" and not is_repeated):
            raise AlreadyFiredError(
                f"the delivery of event {event_id!r} to {subscription!r} is running or over, so nothing of it waits"
            )
        if outcome == b"unknown":
            raise NotFoundError(f"event {event_id!r} has no delivery to {subscription!r}; get_event lists those it has")
        return str(present.decode())

    def expire(self, now_ms: int) -> int:
        """End the deliveries of events that are too late and that nobody has begun, and return how many that were."""
        arguments = (now_ms, self._retention_ms, LOOK_THROUGH, now_ms + _LOOK_AGAIN_MS, _EXPIRED_AT_ONCE)
        looked_at, ended = self._link.run(script("expire_events"), self._keys.prefix, *arguments)
        total = int(ended)
        while looked_at == _EXPIRED_AT_ONCE:
            looked_at, ended = self._link.run(script("expire_events"), self._keys.prefix, *arguments)
            total += int(ended)
        return total

    def promote(self, now_ms: int, until_ms: int) -> int:
        """Move what is due by `until_ms` to the near tier, and return how many that were."""
        moved = last = int(self._promote_some(now_ms, until_ms))
        while last == _PROMOTED_AT_ONCE:
            last = self._promote_some(now_ms, until_ms)
            moved += last
        return moved

    def _promote_some(self, now_ms: int, until_ms: int) -> int:
        return int(self._link.run(script("promote_far"), self._keys.prefix, now_ms, until_ms, _PROMOTED_AT_ONCE))


def delayed_event_step(
    event: DelayedEvent[Any], *, expire_after_ms: int, window_ms: int, retention_ms: int, cipher: Cipher | None = None
) -> Step:
    """Return the step that keeps a delayed event as it is; its payload is written anew.

    Args:
        event: The event.
        expire_after_ms: How long after it was due its deliveries may still begin; 0: for ever.
        window_ms: How long its idempotency key is remembered, if it has one, once it has fired.
        retention_ms: How long the record of the one is kept that waits under its key, and is cancelled.
        cipher: What encrypts its payload.

    Raises:
        InvalidEventError: If it breaks a rule, as a copy may.
    """
    check_event(event)
    written = encode_payload(event.payload)
    envelope = encode_event(event, written, max_retries=event.max_retries, cipher=cipher).decode()
    chain = event.correlation_id
    lane = int(event.priority)
    firing = event_step(
        event.id, event.type, lane, envelope,
        key=event.idempotency_key, window_ms=window_ms, chain=chain, expire_after_ms=expire_after_ms,
    )  # fmt: skip
    due_ms, facts = first_ms(event.delay_until), {"created_ms": to_ms(event.created_at)}
    return delayed_step(event.id, due_ms, lane, firing, facts=facts, key=event.key, retention_ms=retention_ms)


def _is_taken_back(outcome: Any) -> bool:
    return bool(outcome[0] == b"cancelled" or (outcome[0] == b"ended" and outcome[1] > 0))


def _waiting_entry(event_id: str, outcome: Any) -> Entry:
    if outcome[0] == b"fired":
        raise AlreadyFiredError(f"delayed event {event_id!r} has fired already; get_event tells how it went")
    if outcome[0] == b"unknown":
        raise NotFoundError(f"no delayed event {event_id!r} waits; eventsys delayed ls shows all")
    if outcome[0] == b"refused":
        said = outcome[1].decode("utf-8", "replace")
        raise InvalidEventError(f"delayed event {event_id!r} cannot be let go: {said}; cancel it, and publish it anew")
    return read_entry(outcome[2], moment_of(outcome[1]))


def _own(outcome: Any) -> Any:
    """Return what came of taking an event back, where the first reply was lost: what was done before is this call's."""
    return [b"ended", *outcome[1:3]] if outcome[0] == b"before" else outcome


def _others(outcome: Any) -> Any:
    """Return what came of taking an event back, where somebody else did at the same moment: nothing was left."""
    if outcome[0] != b"before":
        return outcome
    return [b"ended", 0, outcome[2]] if outcome[3] == b"ended" else [b"unknown"]
