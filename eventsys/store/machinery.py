"""How the queues and the processes of a bus stand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from eventsys.clock import Clock, from_ms
from eventsys.model.machinery import InHand, QueueState, WorkerProcess
from eventsys.model.priority import LANES
from eventsys.store.keys import GROUP, INLINE_QUEUE, LOG_QUEUE, RETURNED, SUSPECTS, Keys
from eventsys.store.link import Link
from eventsys.store.queue_control import QueueControl

#: Most undispatched events of a lane that are counted where Redis cannot tell (before 7.0).
MOST_COUNTED = 1_000


class Machinery:
    """Looks at queues and processes.

    Attributes:
        control: What pauses and resumes queues.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        clock: The time.
    """

    def __init__(self, link: Link, keys: Keys, clock: Clock) -> None:
        self.control = QueueControl(link, keys)
        self._link = link
        self._keys = keys
        self._clock = clock

    def processes(self) -> list[WorkerProcess]:
        """Return the processes that have not ended, in the order they came."""
        leases, leader = self._link.pipeline(
            [("ZRANGE", self._keys.processes, 0, -1, "WITHSCORES"), ("GET", self._keys.poller)]
        )
        ends = {name.decode(): int(float(end)) for name, end in zip(leases[::2], leases[1::2], strict=True)}
        names = [name for name, end in ends.items() if end > 0]
        facts = self._link.pipeline([("HGETALL", self._keys.process(name)) for name in names]) if names else []
        held = self._held_by(self._queue_names())
        leading = (leader or b"").decode().partition(" ")[2]
        found = [
            self._process(name, _fields(flat), ends[name], held.get(name, 0), is_leader=name == leading)
            for name, flat in zip(names, facts, strict=True)
            if flat
        ]
        return sorted(found, key=lambda one: one.number)

    def queues(self) -> list[QueueState]:
        """Return the queues that some process ever read, the log first."""
        names = self._queue_names()
        readers: dict[str, list[str]] = {}
        for process in self.processes():
            for queue in process.queues:
                readers.setdefault(queue, []).append(process.name)
        flat, stopped = self._link.pipeline(
            [("HGETALL", self._keys.delayed_queues), ("SMEMBERS", self._keys.queues_paused)]
        )
        delayed, paused = _fields(flat), {name.decode() for name in stopped}
        return [
            self._queue(name, readers.get(name, []), int(delayed.get(name, 0)), is_paused=name in paused)
            for name in names
        ]

    def in_hand(self, limit: int = 20) -> list[InHand]:
        """Return some of the messages that processes hold, at most `limit` a lane, those held longest first."""
        lanes = [(queue, self._keys.lane(queue, lane)) for queue in self._queue_names() for lane in LANES]
        replies = self._link.pipeline([("XPENDING", stream, GROUP, "-", "+", limit) for _, stream in lanes])
        held = [
            (queue, stream, entry, process.decode(), int(idle_ms))
            for (queue, stream), reply in zip(lanes, replies, strict=True)
            if not isinstance(reply, Exception)
            for entry, process, idle_ms, _ in reply
            if process.decode() not in {RETURNED, SUSPECTS}
        ]
        entries = (
            self._link.pipeline([("XRANGE", stream, entry, entry) for _, stream, entry, *_ in held]) if held else []
        )
        found = [
            InHand(handler=handler_of(entry[0][1]), queue=queue, process=process, since=timedelta(milliseconds=idle_ms))
            for (queue, _, _, process, idle_ms), entry in zip(held, entries, strict=True)
            if entry
        ]
        return sorted(found, key=lambda one: one.since, reverse=True)

    def _queue_names(self) -> list[str]:
        stored = {name.decode() for name in self._link.call("SMEMBERS", self._keys.queues)}
        return [LOG_QUEUE, *sorted(stored - {LOG_QUEUE, INLINE_QUEUE})]

    def _process(
        self, name: str, facts: Mapping[str, str], lease_end: int, held: int, *, is_leader: bool
    ) -> WorkerProcess:
        left_ms = lease_end - self._clock.real_ms()
        return WorkerProcess(
            name=name,
            host=facts.get("host", ""),
            pid=int(facts.get("pid", 0)),
            number=int(facts.get("number", 0)),
            queues=[queue for queue in facts.get("queues", "").split(",") if queue],
            started_at=from_ms(int(facts.get("started_ms", 0))),
            lease_ends_in=timedelta(milliseconds=left_ms),
            beat_ago=timedelta(milliseconds=max(0, int(facts.get("lease_ms", left_ms)) - left_ms)),
            reloaded_at=from_ms(int(facts["reloaded_ms"])) if "reloaded_ms" in facts else None,
            reload_problem=facts.get("reload_problem", ""),
            running=held,
            is_leader=is_leader,
        )

    def _held_by(self, queues: Sequence[str]) -> dict[str, int]:
        """Return how many messages each consumer holds, over all queues."""
        lanes = [self._keys.lane(queue, lane) for queue in queues for lane in LANES]
        held: dict[str, int] = {}
        for reply in self._link.pipeline([("XPENDING", lane, GROUP) for lane in lanes]):
            for name, count in _consumers(reply):
                held[name] = held.get(name, 0) + count
        return held

    def _queue(self, name: str, readers: list[str], delayed: int, *, is_paused: bool) -> QueueState:
        lanes = [self._keys.lane(name, lane) for lane in LANES]
        replies = self._link.pipeline(
            [
                *(("XPENDING", lane, GROUP) for lane in lanes),
                *(("XINFO", "GROUPS", lane) for lane in lanes),
                *(("XLEN", lane) for lane in lanes),
            ]
        )
        pending, groups, lengths = replies[:4], [_group(reply) for reply in replies[4:8]], replies[8:]
        holders = [holder for reply in pending for holder in _consumers(reply)]
        held = sum(count for _, count in holders)
        starts = [group.get("last-delivered-id", b"0-0").decode() for group in groups]
        # What ends is deleted from a queue, and stays in the log.
        unread, is_exact = (
            (sum(lengths) - held, True) if name != LOG_QUEUE else self._undispatched(lanes, groups, lengths)
        )
        returned = sum(count for holder, count in holders if holder == RETURNED)
        suspects = sum(count for holder, count in holders if holder == SUSPECTS)
        return QueueState(
            name=name,
            waiting=max(0, unread) + returned,
            running=held - returned - suspects,
            suspects=suspects,
            delayed=delayed,
            oldest_waiting=self._oldest(lanes, starts),
            readers=readers,
            is_paused=is_paused,
            is_exact=is_exact,
        )

    def _undispatched(
        self, lanes: Sequence[str], groups: Sequence[Mapping[str, Any]], lengths: Sequence[int]
    ) -> tuple[int, bool]:
        """Return how many events of the log no process has fetched, and whether that is the exact number."""
        total, is_exact = 0, True
        for lane, group, length in zip(lanes, groups, lengths, strict=True):
            lag = group.get("lag") if group else length
            if lag is None:
                start = group["last-delivered-id"].decode()
                lag = len(self._link.call("XRANGE", lane, f"({start}", "+", "COUNT", MOST_COUNTED + 1))
                is_exact = is_exact and lag <= MOST_COUNTED
            total += lag
        return total, is_exact

    def _oldest(self, lanes: Sequence[str], starts: Sequence[str]) -> timedelta | None:
        firsts = self._link.pipeline(
            [("XRANGE", lane, f"({start}", "+", "COUNT", 1) for lane, start in zip(lanes, starts, strict=True)]
        )
        oldest = [int(found[0][0].partition(b"-")[0]) for found in firsts if found]
        return timedelta(milliseconds=max(0, self._clock.now_ms() - min(oldest))) if oldest else None


def _consumers(reply: Any) -> list[tuple[str, int]]:
    """Return who holds how many, from the summary of XPENDING; nothing for a lane that is not there yet."""
    if isinstance(reply, Exception) or not reply[3]:
        return []
    return [(name.decode(), int(count)) for name, count in reply[3]]


def handler_of(fields: Sequence[bytes]) -> str:
    """Return who handles an entry: the subscription, or the actor that a plain message names."""
    kind, value = fields[0], fields[1]
    if kind == b"s":
        return value.decode("utf-8", "replace")
    if kind == b"e":
        return "the dispatcher"
    try:
        return str(json.loads(value)["actor_name"])
    except (ValueError, KeyError, TypeError):
        return "an unknown actor"


def _group(reply: Any) -> dict[str, Any]:
    if isinstance(reply, Exception):
        return {}
    groups = [{key.decode(): value for key, value in zip(one[::2], one[1::2], strict=True)} for one in reply]
    return next((group for group in groups if group.get("name") == GROUP.encode()), {})


def _fields(flat: Sequence[bytes]) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in zip(flat[::2], flat[1::2], strict=True)}
