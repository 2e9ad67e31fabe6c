"""Building a large history in a short time, by the scripts that publishers and workers use."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.harness import PAYLOAD
from eventsys import EventService, Priority
from eventsys.clock import from_ms
from eventsys.model.envelope import encode_event
from eventsys.model.event import Event
from eventsys.model.identifiers import new_event_id
from eventsys.store.commit_batch import CommitBatch
from eventsys.store.keys import GROUP, LOG_QUEUE
from eventsys.store.measure_journal import fold
from eventsys.store.scripts import script
from eventsys.store.steps import event_step, packed

TYPES = ("bench.user.login", "bench.user.logout", "bench.order.placed", "bench.order.paid", "bench.order.sent")

#: Subscriptions of every event.
SUBSCRIBERS = 3

#: Events stored, dispatched and ended together.
_BATCH = 500

#: Ends one delivery, and so its event, as failed.
_FAILS_EVERY = 100

#: Events of a chain, in the half that is in chains.
_CHAIN = 4

_LANES = (10, 8, 5, 1)
_PROCESS = "builder"
_QUEUE = "bench"
_PAYLOAD = json.dumps(PAYLOAD, separators=(",", ":")).encode()


class HistoryBuilder:
    """Records events over the hours before now.

    Args:
        events: The service on whose bus.
        count: How many.
        has_chains: Whether half of them belong to chains of four.
    """

    def __init__(self, events: EventService, count: int, *, has_chains: bool = True) -> None:
        self._has_chains = has_chains
        self.count = count
        self._link, self._keys = events.broker.link, events.broker.keys
        self._end_ms = events.broker.clock.now_ms()
        self._start_ms = self._end_ms - 20 * 3_600_000
        self.middle_ms = (self._start_ms + self._end_ms) // 2
        self.a_chain = self.a_lone_event = self.a_failed_event = ""
        self._chain = ""
        self._ended = 0
        for number in range(SUBSCRIBERS):
            events.on("bench.#", name=f"subscriber_{number}", queue=_QUEUE)(_handle)
        events.bus.prepare()
        self._numbers = [self._number(f"subscriber_{number}") for number in range(SUBSCRIBERS)]
        self._version = self._link.call("GET", self._keys.subscriptions_version).decode()
        lanes = [self._keys.lane(queue, lane) for queue in (LOG_QUEUE, _QUEUE) for lane in _LANES]
        self._link.run(script("create_groups"), self._keys.prefix, *lanes)
        self._link.call("ZADD", self._keys.processes, 2**50, _PROCESS)
        self._link.call("HSET", self._keys.workers, "1", "builder:1")

    def build(self) -> None:
        """Store, dispatch and end all of them."""
        for first in range(0, self.count, _BATCH):
            last = min(first + _BATCH, self.count)
            self._store(range(first, last))
            self._dispatch(self._at(last))
            while self._end_some(self._at(last)):
                pass
        # A leading poller would have done that all along.
        fold(self._link.run, self._link.call, self._keys)

    def _at(self, number: int) -> int:
        return self._start_ms + (self._end_ms - self._start_ms) * number // self.count

    def _number(self, name: str) -> str:
        number: bytes = self._link.call("HGET", self._keys.subscription_numbers, name)
        return number.decode()

    def _store(self, numbers: range) -> None:
        now_ms = self._at(numbers.start)
        steps = [packed(self._step(number, now_ms)) for number in numbers]
        self._link.run(script("add"), self._keys.prefix, now_ms, *steps)

    def _step(self, number: int, now_ms: int) -> Any:
        event_id = new_event_id(now_ms)
        chain = self._chain_of(number, event_id)
        lane = Priority.LOW if number % 10 == 0 else Priority.NORMAL
        event = Event(
            id=event_id, type=TYPES[number % len(TYPES)], payload={}, time=from_ms(now_ms), priority=lane,
            source="even" if number % 2 == 0 else "odd", correlation_id=chain or event_id,
        )  # fmt: skip
        payload = _PAYLOAD.replace(b"xxxxxx", b"needle", 1) if number == self.count - 10 else _PAYLOAD
        envelope = encode_event(event, payload).decode()
        return event_step(event_id, event.type, int(lane), envelope, chain=chain)

    def _chain_of(self, number: int, event_id: str) -> str | None:
        """Return the chain that an event joins: in every second eight, each four follow their first."""
        if not self._has_chains or number % (4 * _CHAIN) >= 2 * _CHAIN:
            self.a_lone_event = event_id
            return None
        if number % _CHAIN == 0:
            self._chain = event_id
            return None
        self.a_chain = self._chain
        return self._chain

    def _dispatch(self, now_ms: int) -> None:
        targets = [part for at, number in enumerate(self._numbers) for part in (number, f"subscriber_{at}", _QUEUE, 0)]
        for stream, entries in self._read(LOG_QUEUE, _BATCH):
            lane = int(stream.rpartition(":")[2])
            attempts = []
            for entry, fields in entries:
                envelope = fields[1].decode()
                _, _, _, event_id, _, _, _, event_type, *_ = envelope.split('"')
                ending = ("dispatched", event_id, self._version, lane, envelope, targets, event_type, False)
                attempts.append((entry.decode(), ending, []))
            self._commit(now_ms, stream, attempts)

    def _end_some(self, now_ms: int) -> int:
        ended = 0
        for stream, entries in self._read(_QUEUE, _BATCH):
            attempts = [(entry.decode(), self._ending(fields, now_ms), []) for entry, fields in entries]
            self._commit(now_ms, stream, attempts)
            ended += len(attempts)
        return ended

    # No dead letter is buried: those are kept beside the history, for as long as somebody wants them.
    def _ending(self, fields: list[bytes], now_ms: int) -> Any:
        name, envelope = fields[1].decode(), fields[3].decode()
        _, _, _, event_id, _, _, _, event_type, *_ = envelope.split('"')
        number, measured = self._numbers[int(name[-1])], (event_type, 1, 467)
        self._ended += 1
        if self._ended % (_FAILS_EVERY * SUBSCRIBERS):
            return ("ended", event_id, number, f"s{now_ms},467,1", True, *measured)
        self.a_failed_event = event_id
        trace = 'Traceback (most recent call last):\n  File "app.py", line 7\nValueError: no'
        line = f"d{now_ms},467,1,{json.dumps(['ValueError: no', trace])}"
        return ("ended", event_id, number, line, True, *measured)

    def _read(self, queue: str, count: int) -> list[tuple[str, Any]]:
        streams = [self._keys.lane(queue, lane) for lane in _LANES]
        command = ("XREADGROUP", "GROUP", GROUP, _PROCESS, "COUNT", count, "STREAMS", *streams, *[">"] * len(streams))
        return [(stream.decode(), entries) for stream, entries in self._link.call(*command) or []]

    def _commit(self, now_ms: int, stream: str, attempts: list[Any]) -> None:
        for first in range(0, len(attempts), 200):
            batch = CommitBatch(
                [(stream, entry, ending, steps, None) for entry, ending, steps in attempts[first : first + 200]]
            )
            *left, _version = self._link.run(
                script("commit"), self._keys.prefix, now_ms, _PROCESS, 86_400_000, *batch.arguments()
            )
            if left:
                raise SystemExit(f"a commit of the builder failed: {left}")


def _handle(event: Event) -> None:
    """Take an event and succeed."""
