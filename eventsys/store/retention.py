"""Taking out of the history what is past its retention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eventsys.clock import from_ms
from eventsys.model.history_size import HistorySize
from eventsys.model.priority import LANES
from eventsys.store.keys import CLASSES, Keys
from eventsys.store.link import Link
from eventsys.store.measure_journal import fold
from eventsys.store.oddities import text_of, texts_of, whole_number
from eventsys.store.scripts import script

#: Events that each class of system events keeps.
OF_CLASS = 10_000

#: Most events one script takes out of the log: it blocks Redis for 8 to 12 µs each. With 100 at once it is 1.5 µs more.
_AT_ONCE = 250

#: Most entries of an index looked at by one script.
_ENTRIES_AT_ONCE = 500

#: Most numbers of processes looked at by one script, and of subscriptions: what was counted of those is folded, which
#: takes some 30 µs for each type of event.
_WORKERS_AT_ONCE, _NAMES_AT_ONCE = 200, 20


class RetentionLimits(NamedTuple):
    """For how long, and how much, history is kept.

    Attributes:
        age_ms: How long.
        events: Most events; beyond, the oldest go though they are young.
        bytes: The same for the bytes of stored events; None: any number.
        of_class: Most events of each class of system events.
    """

    age_ms: int
    events: int
    bytes: int | None = None
    of_class: int = OF_CLASS


class Trimmed(NamedTuple):
    """What one step took out.

    Attributes:
        events: Out of the log.
        young: How many of these were younger than the retention.
        of_classes: Out of the classes of system events.
        has_more: Whether another step would take out more.
    """

    events: int
    young: int
    of_classes: int
    has_more: bool


class Retention:
    """The oldest part of the history, and how it is taken out: in steps that are safe to repeat, by any process.

    An event that is not dispatched is never taken out, nor one stored after it. What is open keeps its record with the
    envelope; deliveries, waiting retries and dead letters carry theirs.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        limits: What is kept.
    """

    def __init__(self, link: Link, keys: Keys, limits: RetentionLimits) -> None:
        self._link = link
        self._keys = keys
        self.limits = limits

    def declare(self) -> None:
        """Let publishing be refused when events that nobody dispatched reach the limit of bytes."""
        if self.limits.bytes is None:
            self._link.call("HDEL", self._keys.history, "most_bytes")
        else:
            self._link.call("HSET", self._keys.history, "most_bytes", self.limits.bytes)

    def trim(self, now_ms: int, *, takes_young: bool) -> Trimmed:
        """Take the oldest events out, at most 250 of the log and of each class.

        Args:
            now_ms: The time.
            takes_young: Whether the limits of number and bytes count, or only age.
        """
        limits = self.limits
        gone, young, of_classes, has_more = self._link.run(
            script("trim_history"), self._keys.prefix, now_ms - limits.age_ms, limits.events, limits.bytes or 0,
            limits.of_class, int(takes_young), _AT_ONCE,
        )  # fmt: skip
        return Trimmed(gone, young, of_classes, bool(has_more))

    def trim_indexes(self, now_ms: int) -> tuple[int, bool]:
        """Take out of the indexes what the history no longer tells of; return how much, and whether there is more."""
        gone, has_more = self._link.run(
            script("trim_indexes"), self._keys.prefix, now_ms - self.limits.age_ms, _ENTRIES_AT_ONCE
        )
        return int(gone), bool(has_more)

    def trim_names(self, now_ms: int) -> int:
        """Forget the numbers of subscriptions and processes that are gone for as long as any record may last."""
        names, rows, workers, living, marks = self._link.read(
            [
                ("HGETALL", self._keys.subscription_names),
                ("HKEYS", self._keys.subscriptions),
                ("HKEYS", self._keys.workers),
                ("ZRANGE", self._keys.processes, 0, -1),
                ("ZRANGE", self._keys.names_gone, 0, -1),
            ]
        )
        kept = self._link.read([("HGET", self._keys.process(text_of(one)), "number") for one in living])
        gone_workers = sorted(set(workers) - set(kept) - {b"next"})
        subscribed = set(rows)
        numbers = [number for number, name in zip(names[::2], names[1::2], strict=True) if name not in subscribed]
        seem_gone = {b"worker " + one for one in gone_workers} | {b"subscription " + one for one in numbers}
        # Whose owner came back is counted from the beginning when it goes again: it may have been named until then.
        if returned := set(marks) - seem_gone:
            self._link.call("ZREM", self._keys.names_gone, *returned)
        parts = [
            *((part, ()) for part in _parts(gone_workers, _WORKERS_AT_ONCE)),
            *(((), part) for part in _parts(numbers, _NAMES_AT_ONCE)),
        ]
        if numbers:
            fold(self._link.run, self._link.call, self._keys)
        # A record outlives its last delivery by two retentions; one more for what was open meanwhile.
        arguments = (self._keys.prefix, now_ms, 3 * self.limits.age_ms)
        return sum(self._link.run(script("trim_names"), *arguments, len(one), *one, *other) for one, other in parts)

    def size(self) -> HistorySize:
        """Return how much history there is."""
        lanes = [str(lane) for lane in LANES]
        facts, trimmed, young = self._link.read(
            [
                ("HGETALL", self._keys.history),
                ("HGET", self._keys.counts, "trimmed_events"),
                ("HGET", self._keys.counts, "trimmed_young_events"),
            ]
        )
        kept = texts_of(facts)
        counts = {
            home: max(0, _number(kept, f"number:{home}") - _number(kept, f"trimmed:{home}"))
            for home in (*lanes, *CLASSES)
        }
        added = _number(kept, "added_bytes")
        return HistorySize(
            events=sum(counts[lane] for lane in lanes),
            bytes=max(0, added - _number(kept, "trimmed_bytes")),
            undispatched_bytes=max(0, added - _number(kept, "dispatched_bytes")),
            system_events=counts["system"],
            cron_events=counts["cron"],
            oldest_at=self._oldest_at(kept.get("begins", "-")),
            trimmed_events=whole_number(trimmed) or 0,
            trimmed_young_events=whole_number(young) or 0,
        )

    def _oldest_at(self, begins: str) -> Any:
        commands = [("XRANGE", self._keys.log(lane), begins, "+", "COUNT", 1) for lane in LANES]
        found = [int(reply[0][0].partition(b"-")[0]) for reply in self._link.read(commands) if reply]
        return from_ms(min(found)) if found else None


def _number(kept: Mapping[str, str], name: str) -> int:
    return whole_number(kept.get(name)) or 0


def _parts(numbers: Sequence[bytes], size: int) -> list[Sequence[bytes]]:
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]
