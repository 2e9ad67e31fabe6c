"""Histories made through the scripts alone, at whatever times a test likes."""

from __future__ import annotations

from typing import Any

from eventsys import EventService, Priority
from eventsys.clock import from_ms
from eventsys.model.envelope import encode_event
from eventsys.model.new_events import new_event
from eventsys.store.commit_batch import CommitBatch
from eventsys.store.keys import GROUP, LOG_QUEUE
from eventsys.store.scripts import script
from eventsys.store.steps import event_step, packed

LANES = (10, 8, 5, 1)

#: A process that no scan believes to be dead.
PROCESS = "historian"


class Historian:
    """Stores and dispatches events on the bus of a service, and ends their deliveries, without any worker.

    Args:
        events: The service.
    """

    def __init__(self, events: EventService) -> None:
        self.link, self.keys = events.broker.link, events.broker.keys
        self.retention_ms = events.store._retention_ms
        self._count = 0
        self.begin()

    def begin(self) -> None:
        """Have lanes for the log, and a process that holds what is fetched."""
        lanes = [self.keys.lane(LOG_QUEUE, lane) for lane in LANES]
        self.link.run(script("create_groups"), self.keys.prefix, *lanes)
        self.link.call("ZADD", self.keys.processes, 2**50, PROCESS)

    def store(
        self,
        event_type: str,
        now_ms: int,
        *,
        priority: int = Priority.NORMAL,
        event_id: str | None = None,
        chain: str | None = None,
        payload: bytes = b"{}",
        source: str = "",
        headers: dict[str, str] | None = None,
    ) -> str:
        """Store an event at `now_ms` and return its id: `e1`, `e2` and so on, unless one is given."""
        self._count += 1
        event = new_event(
            event_type, {}, now_ms=now_ms, event_id=event_id or f"e{self._count}", correlation_id=chain,
            priority=Priority(priority), source=source, version=1, causation_id=None, headers=headers,
            idempotency_key=None, depth=0,
        )  # fmt: skip
        envelope = encode_event(event.model_copy(update={"time": from_ms(now_ms)}), payload).decode()
        step = event_step(event.id, event_type, int(priority), envelope, chain=chain)
        self.link.run(script("add"), self.keys.prefix, now_ms, packed(step))
        return event.id

    def fetch(self, count: int = 100) -> list[tuple[str, str, str]]:
        """Fetch what is to be dispatched: lane's key, entry and envelope of each."""
        streams = [self.keys.log(lane) for lane in LANES]
        command = ("XREADGROUP", "GROUP", GROUP, PROCESS, "COUNT", count, "STREAMS", *streams, *[">"] * len(streams))
        reply = self.link.call(*command) or []
        return [
            (stream.decode(), entry.decode(), fields[1].decode()) for stream, found in reply for entry, fields in found
        ]

    def dispatch(self, now_ms: int, *, targets: list[Any] | None = None, count: int = 100) -> int:
        """Dispatch what waits for it, `count` of each lane, to nobody unless targets are given; return how many."""
        fetched = self.fetch(count)
        self.commit_dispatch(fetched, now_ms, targets or [])
        return len(fetched)

    def commit_dispatch(self, fetched: list[tuple[str, str, str]], now_ms: int, targets: list[Any]) -> None:
        """Commit that fetched events were dispatched, one by one."""
        for one in fetched:
            self.commit_dispatched([one], now_ms, targets)

    def commit_dispatched(self, fetched: list[tuple[str, str, str]], now_ms: int, targets: list[Any]) -> None:
        """Commit that fetched events were dispatched, all at once."""
        version = (self.link.call("GET", self.keys.subscriptions_version) or b"0").decode()
        attempts = []
        for stream, entry, envelope in fetched:
            lane, words = stream.rpartition(":")[2], envelope.split('"')
            ending = ("dispatched", words[3], version, lane, envelope, targets, words[7], False)
            attempts.append((stream, entry, ending))
        self.commit_all(now_ms, attempts)

    def kept(self) -> dict[str, Any]:
        """Return what every key of the bus holds."""
        how: dict[bytes, tuple[Any, ...]] = {
            b"string": ("GET",), b"list": ("LRANGE", 0, -1), b"hash": ("HGETALL",), b"stream": ("XRANGE", "-", "+"),
            b"zset": ("ZRANGE", 0, -1, "WITHSCORES"), b"set": ("SORT", "ALPHA"),
        }  # fmt: skip
        found = {}
        for key in sorted(self.link.call("KEYS", f"{self.keys.prefix}:*")):
            command, *arguments = how[self.link.call("TYPE", key)]
            held = self.link.call(command, key, *arguments)
            found[key.decode()] = dict(zip(held[::2], held[1::2], strict=True)) if command == "HGETALL" else held
        return found

    def wipe(self) -> None:
        """Delete every key of the bus."""
        for key in self.link.call("KEYS", f"{self.keys.prefix}:*"):
            self.link.call("DEL", key)

    def commit(self, now_ms: int, stream: str, entry: str, ending: tuple[Any, ...]) -> None:
        """End one attempt."""
        self.commit_all(now_ms, [(stream, entry, ending)])

    def commit_all(self, now_ms: int, attempts: list[tuple[str, str, tuple[Any, ...]]]) -> None:
        """End attempts in one batch."""
        batch = CommitBatch([(*attempt, [], None) for attempt in attempts])
        *left, _version = self.link.run(
            script("commit"), self.keys.prefix, now_ms, PROCESS, self.retention_ms, *batch.arguments()
        )
        assert left == [], left
