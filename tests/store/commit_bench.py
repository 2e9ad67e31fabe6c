"""Deliveries held by a process that is none, for what the script `commit` makes of their ends."""

from __future__ import annotations

import struct
from typing import Any

from eventsys.broker.finished import Finished, add_shared
from eventsys.store.commit_batch import CommitBatch
from eventsys.store.keys import GROUP
from eventsys.store.measure_journal import fold
from eventsys.store.scripts import script
from tests.support.histories import PROCESS, Historian

T0 = 1_800_000_000_000

#: Number, subscription, queue and lane (the event's own) of each.
TARGETS = [1, "one", "first", 0, 2, "two", "first", 0, 3, "three", "second", 0]


class Bench:
    """Events with a delivery each to three subscriptions on two queues, all held by one process."""

    def __init__(self, historian: Historian) -> None:
        self.link, self.keys, self._historian = historian.link, historian.keys, historian
        self._lanes = [self.keys.lane(queue, 5) for queue in ("first", "second")]
        self.link.run(script("create_groups"), self.keys.prefix, *self._lanes)

    def deliver(self, *event_ids: str, event_type: str = "a.b") -> dict[tuple[str, int], tuple[str, str]]:
        """Store and dispatch events, fetch their deliveries, and return lane and entry by event and number."""
        for event_id in event_ids:
            self._historian.store(event_type, T0, event_id=event_id)
        self._historian.dispatch(T0, targets=TARGETS)
        found = {}
        for stream in self._lanes:
            reply = self.link.call(
                "XREADGROUP", "GROUP", GROUP, PROCESS, "COUNT", 1000, "STREAMS", stream, ">"
            )  # fmt: skip
            for entry, fields in reply[0][1] if reply else []:
                number = TARGETS[TARGETS.index(fields[1].decode()) - 1]
                found[fields[3].decode().split('"')[3], number] = (stream, entry.decode())
        return found

    def commit(self, *attempts: tuple[Any, ...]) -> list[tuple[int, str]]:
        """Commit attempts in one batch, and return those that did not end."""
        batch = CommitBatch([(*attempt[:3], attempt[3] if len(attempt) > 3 else [], None) for attempt in attempts])
        return self._run(batch)

    def commit_calls(self, *finished: Finished) -> list[tuple[int, str]]:
        """Commit attempts that were made in calls for many, as the committer does."""
        batch = CommitBatch([(one.place.stream, one.place.entry, one.ending, one.steps, one.gate) for one in finished])
        add_shared(batch, finished)
        return self._run(batch)

    def _run(self, batch: CommitBatch) -> list[tuple[int, str]]:
        *told, _version = self.link.run(
            script("commit"), self.keys.prefix, T0 + 10, PROCESS, self._historian.retention_ms, *batch.arguments()
        )
        return batch.exceptions(told)

    def record(self, event_id: str) -> dict[str, str]:
        flat = self.link.call("HGETALL", self.keys.record(event_id))
        return {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}

    def count(self, total: str) -> int:
        return int(self.link.call("HGET", self.keys.counts, total) or 0)

    def times(self, pair: str) -> tuple[int, ...]:
        """Return the times of a pair, with the zeros behind the last one."""
        fold(self.link.run, self.link.call, self.keys)
        text = self.link.call("GET", self.keys.delivery_times(pair)) or b""
        return struct.unpack(">66q", text.ljust(66 * 8, b"\0"))

    def counted(self, pair: str) -> dict[str, int]:
        """Return what was counted of a pair."""
        fold(self.link.run, self.link.call, self.keys)
        flat = self.link.call("HGETALL", self.keys.delivery_metrics(pair))
        return {name.decode(): int(many) for name, many in zip(flat[::2], flat[1::2], strict=True)}

    def is_pending(self, event_id: str) -> bool:
        return self.link.call("ZSCORE", self.keys.pending, event_id) is not None

    def left(self) -> int:
        return sum(self.link.call("XLEN", stream) for stream in self._lanes)


def ended(
    event_id: str, number: int, *, event_type: str = "a.b", waited_ms: int = 3, took_us: int = 500
) -> tuple[Any, ...]:
    """Return how a delivery ends that succeeded."""
    return ("ended", event_id, number, f"s{T0 + 5},{took_us},1", True, event_type, waited_ms, took_us)
