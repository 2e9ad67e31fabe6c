"""A look at the figures of a bus: everything is read once, and whatever is asked fits together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from eventsys.model.event_types import is_system_type
from eventsys.model.histogram import Histogram, Timings
from eventsys.model.metrics import DeliveryFigures, EventMetrics, Rates, SubscriptionMetrics, TypeMetrics
from eventsys.model.patterns import GUARDED
from eventsys.store.delayed_count import count_commands, counted
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.measurements import OTHER, Measurements, Pair, backlog_of, pending_of_application, rate
from eventsys.store.minutes import MinuteReader
from eventsys.store.oddities import moment_of, text_of
from eventsys.store.scripts import script

#: Most events that have not ended which are looked at for the oldest of each type and subscription.
MOST_LOOKED_AT = 1_000

#: Events looked at by one script, so that it stays below a few milliseconds.
_AT_ONCE = 100

_TOTALS = ("total", "delivered", "failed", "expired", "cancelled", "unrouted")


@dataclass(frozen=True)
class Oldest:
    """Since when the oldest waits, in ms, by type and by number of the subscription.

    Of types it is when the event was stored, of subscriptions the same, or when the delivery was last redriven.
    """

    types: Mapping[str, int] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Recent:
    """What happened in the last minutes.

    Attributes:
        attempts: Of each subscription: those that succeeded, and those that failed.
        unrouted: Events of each type that nobody wanted.
    """

    attempts: Mapping[str, tuple[int, int]]
    unrouted: Mapping[str, int]


class Minute(NamedTuple):
    """What happened in one minute.

    Attributes:
        published: Events.
        succeeded: Attempts that did.
        failed: Attempts that did not.
    """

    published: int
    succeeded: int
    failed: int


class MetricsLook:
    """Answers with the figures of one moment: what is asked twice is read once, and not before it is asked.

    For one page or one command; whoever wants later figures takes another look.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        now_ms: The moment.
        minutes: What earlier looks know of the minutes.
    """

    def __init__(self, link: Link, keys: Keys, now_ms: int, minutes: MinuteReader) -> None:
        self.measurements = Measurements(link, keys, now_ms, minutes)
        self._link = link
        self._keys = keys
        self._now_ms = now_ms

    def totals(self) -> EventMetrics:
        """Return the figures of all together."""
        counts, minutes = self.measurements.totals, self.measurements.minutes()
        pending, oldest, dead_letters, *delayed = self._link.read(
            [
                ("ZCARD", self._keys.pending),
                ("ZRANGE", self._keys.pending, 0, 0, "WITHSCORES"),
                ("ZCARD", self._keys.dead),
                *count_commands(self._keys),
            ]
        )
        stored = pending_of_application(int(pending), counts)
        oldest_ms = self._oldest_of_application(stored, int(pending), moment_of(oldest[1])) if stored else None
        return EventMetrics(
            **_figures(self.measurements.pairs, oldest_ms, self._now_ms),
            **{f"{name}_events": counts.get(f"{name}_events", 0) for name in _TOTALS},
            pending_events=stored + counted(delayed),
            system_events=counts.get("system_events", 0),
            rate=_rates([_sum(minute, _is_published_by_application) for minute in minutes], self._now_ms),
            lateness=Timings.of(self.measurements.lateness),
            dead_letters=int(dead_letters),
        )

    def waits(self) -> Histogram:
        """Return how long deliveries waited until they were begun, since the bus began."""
        return _together(one.waits for one in self.measurements.pairs)

    def activity(self) -> list[Minute]:
        """Return what happened in each minute of the last hour, the oldest first, this one last.

        Events are the application's; deliveries are all that were tried.
        """
        return [_activity(minute) for minute in reversed(self.measurements.minutes()[:60])]

    def by_type(self, *, with_oldest: bool = True) -> dict[str, TypeMetrics]:
        """Return the figures of each event type, by name.

        Args:
            with_oldest: Whether to look for `oldest_waiting` too, which has to look through what waits.
        """
        pairs, minutes = _grouped(self.measurements.pairs, "event_type"), self.measurements.minutes()
        oldest = self.oldest().types if with_oldest else {}
        found: dict[str, TypeMetrics] = {}
        for name, counts in self.measurements.types.items():
            ended = sum(counts.get(one, 0) for one in ("delivered", "failed", "expired", "cancelled"))
            found[name] = TypeMetrics(
                **_figures(pairs.get(name, ()), oldest.get(name), self._now_ms),
                **{f"{one}_events": counts.get("published" if one == "total" else one, 0) for one in _TOTALS},
                event_type=name,
                pending_events=max(0, counts.get("published", 0) + counts.get("reopened", 0) - ended),
                rate=_rates([minute.get(name, 0) for minute in minutes], self._now_ms),
            )
        return found

    def by_subscription(self) -> dict[str, SubscriptionMetrics]:
        """Return the figures of each subscription, by name; those too that have ended, and that have none yet."""
        pairs, attempts = _grouped(self.measurements.pairs, "subscription"), self._attempts()
        # By the numbers, since a renamed subscription is found under its former names too; a name may have several.
        numbers: dict[str, list[str]] = {}
        for number, name in self.measurements.names.items():
            numbers.setdefault(name, []).append(number)
        wanted = {number for name, own in pairs.items() if _backlog(own) for number in numbers.get(name, ())}
        oldest = self.oldest(wanted).numbers if wanted else {}
        found: dict[str, SubscriptionMetrics] = {}
        for name in dict.fromkeys([*numbers, *pairs]):
            own = numbers.get(name, ["0"])
            oldest_ms = min((oldest[number] for number in own if number in oldest), default=None)
            found[name] = SubscriptionMetrics(
                **_figures(pairs.get(name, ()), oldest_ms, self._now_ms),
                subscription=name,
                rate=_rates([sum(minute.get(number, 0) for number in own) for minute in attempts], self._now_ms),
            )
        return found

    def backlogs(self) -> dict[str, int]:
        """Return how many deliveries of each subscription are open: on a queue, running, or waiting for anything."""
        return {name: _backlog(own) for name, own in _grouped(self.measurements.pairs, "subscription").items()}

    def backlog_of(self, subscription: str) -> int:
        """Return how many deliveries of one subscription are open; of others nothing is read for that."""
        return max(0, sum(map(backlog_of, self.measurements.counts_of(subscription))))

    def recent(self, window: timedelta) -> Recent:
        """Return what happened in the last minutes.

        Attempts at events `system.*` are left out: what is told of them is such an event itself, and would feed itself.
        Unrouted events are the application's only: hardly anybody wants all that the system says of itself.
        """
        names = {"0": OTHER, **self.measurements.names}
        attempts: dict[str, tuple[int, int]] = {}
        unrouted: dict[str, int] = {}
        minutes = self.measurements.minutes(window // timedelta(minutes=1))
        for field_name, count in (item for minute in minutes for item in minute.items()):
            event_type, _, rest = field_name.partition(":")
            if rest == "unrouted":
                if event_type.partition(".")[0] not in GUARDED:
                    unrouted[event_type] = unrouted.get(event_type, 0) + count
            elif rest and not is_system_type(event_type):
                number, _, what = rest.partition(":")
                name = names.get(number, f"subscription {number}")
                succeeded, failed = attempts.get(name, (0, 0))
                is_well = what == "succeeded"
                attempts[name] = (succeeded + count, failed) if is_well else (succeeded, failed + count)
        return Recent(attempts, unrouted)

    def oldest(self, wanted: Collection[str] | None = None) -> Oldest:
        """Return since when the oldest of each type and subscription waits, among the first thousand that do.

        Args:
            wanted: Numbers of subscriptions: it is enough when these are found. None: look at all of the thousand.
        """
        found = Oldest({}, {})
        for place in range(0, MOST_LOOKED_AT, _AT_ONCE):
            looked_at, types, numbers, last = self._link.run(script("find_oldest"), self._keys.prefix, place, _AT_ONCE)
            found = Oldest({**_stored(types), **found.types}, _earliest(found.numbers, _stored(numbers)))
            if looked_at < _AT_ONCE or (wanted is not None and _are_found(wanted, found.numbers, moment_of(last))):
                break
        return found

    def _oldest_of_application(self, own: int, pending: int, head_ms: int) -> int | None:
        """Return when the oldest event of the application was stored that has not ended.

        What the system says of itself ends within moments where anything is dispatched at all; where it waits too, the
        application's is looked for among the first thousand.

        Args:
            own: How many events of the application have not ended.
            pending: The same with the system's.
            head_ms: When the oldest of all of them was stored.
        """
        if own == pending:
            return head_ms
        stored = [ms for name, ms in self.oldest().types.items() if name.partition(".")[0] not in GUARDED]
        return min(stored, default=None)

    def _attempts(self) -> list[dict[str, int]]:
        """Return how many attempts ended in each minute, by number of the subscription."""
        by_minute: list[dict[str, int]] = []
        for minute in self.measurements.minutes():
            attempts: dict[str, int] = {}
            for name, count in minute.items():
                if ":" in name:
                    number = name.split(":")[1]
                    attempts[number] = attempts.get(number, 0) + count
            by_minute.append(attempts)
        return by_minute


def _activity(minute: Mapping[str, int]) -> Minute:
    succeeded = failed = 0
    for name, count in minute.items():
        _, _, number = name.partition(":")
        if number and number != "unrouted":
            is_well = number.endswith(":succeeded")
            succeeded, failed = succeeded + count * is_well, failed + count * (not is_well)
    return Minute(_sum(minute, _is_published_by_application), succeeded, failed)


def _figures(pairs: Sequence[Pair], oldest_ms: int | None, now_ms: int) -> dict[str, Any]:
    counts = {name: _count(pairs, name) for name in ("opened", "failed", "succeeded", "dead", "expired", "cancelled")}
    judged = counts["succeeded"] + counts["dead"] + counts["expired"]
    figures = DeliveryFigures(
        deliveries=counts["opened"],
        succeeded=counts["succeeded"],
        dead=counts["dead"],
        expired=counts["expired"],
        cancelled=counts["cancelled"],
        attempts=counts["succeeded"] + counts["failed"] + counts["dead"],
        retries=counts["failed"],
        backlog=_backlog(pairs),
        oldest_waiting=None if oldest_ms is None else timedelta(milliseconds=max(0, now_ms - oldest_ms)),
        success_ratio=counts["succeeded"] / judged if judged else None,
        latency=Timings.of(_together(one.waits for one in pairs)),
        duration=Timings.of(_together(one.durations for one in pairs)),
    )
    return dict(figures)


def _grouped(pairs: Iterable[Pair], name: str) -> dict[str, list[Pair]]:
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(getattr(pair, name), []).append(pair)
    return groups


def _backlog(pairs: Iterable[Pair]) -> int:
    return max(0, sum(pair.backlog for pair in pairs))


def _count(pairs: Iterable[Pair], name: str) -> int:
    return sum(pair.counts.get(name, 0) for pair in pairs)


def _together(histograms: Iterable[Histogram]) -> Histogram:
    found = list(histograms)
    return sum(found[1:], found[0]) if found else Histogram(timedelta(milliseconds=1))


def _rates(minutes: Sequence[int], now_ms: int) -> Rates:
    return Rates(
        one_minute=rate(minutes, now_ms, 1), five_minutes=rate(minutes, now_ms, 5), one_hour=rate(minutes, now_ms, 60)
    )


def _sum(minute: Mapping[str, int], is_wanted: Callable[[str], bool]) -> int:
    return sum(count for name, count in minute.items() if is_wanted(name))


def _is_published_by_application(name: str) -> bool:
    return ":" not in name and name.partition(".")[0] not in GUARDED


def _earliest(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: min(each[name] for each in (one, other) if name in each) for name in {**one, **other}}


def _are_found(wanted: Iterable[str], found: Mapping[str, int], last_ms: int) -> bool:
    """Say whether nothing older can follow: a delivery that was redriven comes before what was stored since."""
    return all(number in found and found[number] <= last_ms for number in wanted)


def _stored(flat: Sequence[bytes]) -> dict[str, int]:
    return {text_of(name): moment_of(ms) for name, ms in zip(flat[::2], flat[1::2], strict=True)}
