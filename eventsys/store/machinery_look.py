"""A look at the queues and the processes of a bus: everything is read once, in three round trips at most."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from eventsys.clock import Clock, from_ms
from eventsys.model.machinery import Displaced, InHand, QueueState, WorkerProcess
from eventsys.model.priority import LANES
from eventsys.store.keys import GROUP, INLINE_QUEUE, LOG_QUEUE, RETURNED, SUSPECTS, Keys
from eventsys.store.link import Link
from eventsys.store.oddities import moment_of, numbers_of, read_or_pass_over, reply_of, text_of, texts_of

#: Most undispatched events of a lane that are counted where Redis cannot tell (before 7.0).
MOST_COUNTED = 1_000

_DISPLACED = TypeAdapter(list[Displaced])


class _Heads(NamedTuple):
    """What is read first: which queues and processes there are."""

    queues: list[str]
    lease_ends: Mapping[str, int]
    leader: str
    delayed: Mapping[str, int]
    paused: frozenset[str]


class _Lane(NamedTuple):
    """One lane of a queue: who holds what of it, its consumer group, and its length."""

    key: str
    holders: list[tuple[str, int]]
    group: Mapping[str, Any]
    length: int

    @property
    def unread_from(self) -> str:
        """Where what nobody has fetched begins, as XRANGE takes it."""
        return f"({self.group.get('last-delivered-id', b'0-0').decode()}"


class MachineryLook:
    """Answers how queues and processes stand at one moment: what is asked twice is read once.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        clock: The time.
    """

    def __init__(self, link: Link, keys: Keys, clock: Clock) -> None:
        self._link = link
        self._keys = keys
        self._clock = clock

    @cached_property
    def processes(self) -> list[WorkerProcess]:
        """The processes that have not ended, in the order they came."""
        facts, lanes = self._states
        held: dict[str, int] = {}
        for name, count in (holder for own in lanes.values() for lane in own for holder in lane.holders):
            held[name] = held.get(name, 0) + count
        found = [
            read_or_pass_over(self._keys.process(name), self._process, name, of_it, held.get(name, 0))
            for name, of_it in facts.items()
            if of_it
        ]
        return sorted((one for one in found if one is not None), key=lambda one: one.number)

    @cached_property
    def queues(self) -> list[QueueState]:
        """The queues that some process ever read, sent to, or has actors of, the log first."""
        readers: dict[str, list[str]] = {}
        for process in filter(lambda one: one.is_alive, self.processes):
            for queue in process.queues:
                readers.setdefault(queue, []).append(process.name)
        _, lanes = self._states
        oldest = self._oldest_waiting(lanes)
        return [self._queue(name, own, readers.get(name, []), oldest[name]) for name, own in lanes.items()]

    def in_hand(self, limit: int = 20) -> list[InHand]:
        """Return some of what processes hold, held longest first: `limit` of a lane, or of each process there."""
        lanes = [(queue, lane) for queue, own in self._states[1].items() for lane in own]
        asked = [(queue, command) for queue, lane in lanes for command in _held_commands(lane, limit)]
        replies = self._pipeline([command for _, command in asked])
        held = [
            (queue, key, entry, text_of(process), int(idle_ms))
            for (queue, (_, key, *_)), reply in zip(asked, replies, strict=True)
            if not isinstance(reply, Exception)
            for entry, process, idle_ms, _ in reply
        ]
        entries = self._pipeline([("XRANGE", key, entry, entry) for _, key, entry, *_ in held])
        found = [
            InHand(handler=handler_of(entry[0][1]), queue=queue, process=process, since=timedelta(milliseconds=idle_ms))
            for (queue, _, _, process, idle_ms), entry in zip(held, entries, strict=True)
            if entry and not isinstance(entry, Exception) and entry[0][1]
        ]
        return sorted(found, key=lambda one: one.since, reverse=True)

    @cached_property
    def _heads(self) -> _Heads:
        keys = self._keys
        queues, leases, leader, delayed, paused = self._link.read(
            [
                ("SMEMBERS", keys.queues), ("ZRANGE", keys.processes, 0, -1, "WITHSCORES"), ("GET", keys.poller),
                ("HGETALL", keys.delayed_queues), ("SMEMBERS", keys.queues_paused),
            ]
        )  # fmt: skip
        ends = {text_of(name): moment_of(end) for name, end in zip(leases[::2], leases[1::2], strict=True)}
        known = {text_of(name) for name in queues} - {LOG_QUEUE, INLINE_QUEUE}
        return _Heads(
            queues=[LOG_QUEUE, *sorted(known)],
            lease_ends={name: end for name, end in ends.items() if end > 0},
            leader=text_of(leader or b"").partition(" ")[2],
            delayed=numbers_of(keys.delayed_queues, delayed),
            paused=frozenset(map(text_of, paused)),
        )

    @cached_property
    def _states(self) -> tuple[dict[str, dict[str, str]], dict[str, list[_Lane]]]:
        """What the processes say of themselves, and the lanes of each queue."""
        heads = self._heads
        keys = [self._keys.lane(queue, lane) for queue in heads.queues for lane in LANES]
        replies = self._pipeline(
            [
                *(("HGETALL", self._keys.process(name)) for name in heads.lease_ends),
                *(command for key in keys for command in _lane_commands(key)),
            ]
        )
        at = len(heads.lease_ends)
        facts = {
            name: read_or_pass_over(self._keys.process(name), texts_of, flat) or {}
            for name, flat in zip(heads.lease_ends, replies[:at], strict=True)
        }
        answers = zip(keys, replies[at::3], replies[at + 1 :: 3], replies[at + 2 :: 3], strict=True)
        lanes = [
            _Lane(key, _consumers(held), _group(groups), read_or_pass_over(key, reply_of, length) or 0)
            for key, held, groups, length in answers
        ]
        by_queue = {name: lanes[4 * number : 4 * number + 4] for number, name in enumerate(heads.queues)}
        return facts, by_queue

    def _oldest_waiting(self, lanes: Mapping[str, Sequence[_Lane]]) -> dict[str, timedelta | None]:
        asked = [(name, command) for name, own in lanes.items() for lane in own for command in _first_commands(lane)]
        replies = self._pipeline([command for _, command in asked])
        stored: dict[str, list[int]] = {name: [] for name in lanes}
        for (name, _), reply in zip(asked, replies, strict=True):
            if _is_entries(reply):
                stored[name].append(int(reply[0][0].partition(b"-")[0]))
        now_ms = self._clock.now_ms()
        return {
            name: timedelta(milliseconds=max(0, now_ms - min(found))) if found else None
            for name, found in stored.items()
        }

    def _process(self, name: str, facts: Mapping[str, str], held: int) -> WorkerProcess:
        left_ms = self._heads.lease_ends[name] - self._clock.real_ms()
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
            displaced=_DISPLACED.validate_json(facts.get("displaced", "[]")),
            is_leader=name == self._heads.leader,
        )

    def _queue(
        self, name: str, lanes: Sequence[_Lane], readers: list[str], oldest_waiting: timedelta | None
    ) -> QueueState:
        holders = [holder for lane in lanes for holder in lane.holders]
        held = sum(count for _, count in holders)
        # What ends is deleted from a queue, and stays in the log.
        unread, is_exact = (
            (sum(lane.length for lane in lanes) - held, True) if name != LOG_QUEUE else self._undispatched(lanes)
        )
        returned = sum(count for holder, count in holders if holder == RETURNED)
        suspects = sum(count for holder, count in holders if holder == SUSPECTS)
        return QueueState(
            name=name,
            waiting=max(0, unread) + returned,
            running=held - returned - suspects,
            suspects=suspects,
            delayed=self._heads.delayed.get(name, 0),
            oldest_waiting=oldest_waiting,
            readers=readers,
            is_paused=name in self._heads.paused,
            is_exact=is_exact,
        )

    def _undispatched(self, lanes: Sequence[_Lane]) -> tuple[int, bool]:
        """Return how many events of the log no process has fetched, and whether that is the exact number."""
        lags = [lane.group.get("lag") if lane.group else lane.length for lane in lanes]
        untold = [lane for lane, lag in zip(lanes, lags, strict=True) if lag is None]
        entries = self._pipeline(
            [("XRANGE", lane.key, lane.unread_from, "+", "COUNT", MOST_COUNTED + 1) for lane in untold]
        )
        counted = [len(found) if _is_entries(found) else 0 for found in entries]
        return sum(lag or 0 for lag in lags) + sum(counted), all(count <= MOST_COUNTED for count in counted)

    def _pipeline(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        return self._link.pipeline(commands) if commands else []


def _lane_commands(key: str) -> list[tuple[str, ...]]:
    return [("XPENDING", key, GROUP), ("XINFO", "GROUPS", key), ("XLEN", key)]


def _first_commands(lane: _Lane) -> list[tuple[Any, ...]]:
    """Return what asks for the first entry nobody has fetched, and the first of what waits to be given again."""
    holders = [name for name, _ in lane.holders if name in {RETURNED, SUSPECTS}]
    return [
        ("XRANGE", lane.key, lane.unread_from, "+", "COUNT", 1),
        *(("XPENDING", lane.key, GROUP, "-", "+", 1, name) for name in holders),
    ]


def _held_commands(lane: _Lane, limit: int) -> list[tuple[Any, ...]]:
    """Return what asks what processes hold of a lane: each by itself where some of it waits to be given again."""
    whole = ("XPENDING", lane.key, GROUP, "-", "+", limit)
    names = [name for name, _ in lane.holders]
    processes = [name for name in names if name not in {RETURNED, SUSPECTS}]
    return [whole] if processes and processes == names else [(*whole, name) for name in processes]


def _consumers(reply: Any) -> list[tuple[str, int]]:
    """Return who holds how many, from the summary of XPENDING; nothing for a lane that is not there yet."""
    if isinstance(reply, Exception) or not reply[3]:
        return []
    return [(text_of(name), int(count)) for name, count in reply[3]]


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


def _is_entries(reply: Any) -> bool:
    return isinstance(reply, list) and bool(reply)
