"""The attempts that one commit ends, written down so that Redis has little to take apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from .steps import Step, as_text, packed

Ending = tuple[Any, ...]

#: The key of its lane; its entry there; what becomes of it, as `lua/commit.lua` describes that; what it published; and
#: the name of a subscription that is to be told, with the verdict.
Attempt = tuple[str, str, Ending, Sequence[Step], tuple[str, str] | None]

#: Where a string of times has its sums, and its first and last number of waits and of durations, as
#: `lua/includes/measure.lua` has them.
_WAIT_SUM, _DURATION_SUM = 0, 1
_FIRST_WAIT, _LAST_WAIT = 2, 29
_FIRST_DURATION, _LAST_DURATION = 30, 65

#: Parts of a dispatched event among the others.
_WIDTH = 6

#: Records of one piece of the journal of measures, as `lua/includes/measure.lua` has them at most.
_PIECE = 250


class _Event:
    """What succeeded of one event."""

    __slots__ = ("details", "rows", "type")

    def __init__(self, event_type: str) -> None:
        self.type = event_type
        self.rows: list[Any] = []
        self.details: list[int] = []


class CommitBatch:
    """Attempts that are over, on their way to the script `commit`.

    Nearly all of them are deliveries that succeeded, dispatch an event, or are a plain message's, and publish nothing.
    Those travel as rows of flat lists, since each list within a list costs Redis as much as ten values do: deliveries
    under their event, and measured here; dispatched events with a reference to where they go, and their envelopes apart
    and as they are; plain messages as nothing but their entry. The rest is written out.

    Args:
        attempts: What is to end. This is on the path of every message, so it is gone through once, in one place.
    """

    def __init__(self, attempts: Sequence[Attempt]) -> None:
        self._attempts = attempts
        self._lanes: dict[str, tuple[int, list[str]]] = {}
        self._events: dict[str, _Event] = {}
        self._pairs: dict[tuple[str, int], tuple[list[int], list[int]]] = {}
        self._dispatched: list[Any] = []
        self._routes: dict[tuple[str, str, int], int] = {}
        self._types: list[str] = []
        self._targets: list[tuple[Any, ...]] = []
        self._others: list[bytes] = []
        self._envelopes: list[str] = []
        lanes, events, pairs = self._lanes, self._events, self._pairs
        for stream, entry, ending, steps, gate in attempts:
            lane, entries = lanes.get(stream) or self._new_lane(stream)
            entries.append(entry)
            kind = ending[0]
            if steps or gate is not None:
                self._others.append(packed((lane, len(entries), ending, steps, *(gate or ()))))
            elif kind == "ended" and ending[3][0] == "s" and type(ending[2]) is int:
                _, event_id, number, line, is_first, event_type, waited_ms, took_us = ending
                event = events.get(event_id) or self._new_event(event_id, event_type)
                event.rows += (number, line, is_first)
                event.details += (lane, len(entries), waited_ms, took_us)
                waits_ms, durations_us = pairs.get((event_type, number)) or self._new_pair((event_type, number))
                waits_ms.append(waited_ms)
                durations_us.append(took_us)
            elif kind == "dispatched":
                self._add_dispatched(lane, len(entries), ending)
            elif kind != "done":
                self._others.append(packed((lane, len(entries), ending, steps)))

    def add_shared(self, attempts: Sequence[int], steps: Sequence[Step]) -> None:
        """Add what several attempts published together; it goes out if any of them ends now.

        Args:
            attempts: Their places in the batch.
            steps: What they published.
        """
        seen: dict[str, int] = {}
        where: list[tuple[int, int]] = []
        for stream, *_ in self._attempts:
            seen[stream] = seen.get(stream, 0) + 1
            where.append((self._lanes[stream][0], seen[stream]))
        lane, place = where[attempts[0]]
        sharing = [number for at in attempts for number in where[at]]
        self._others.append(packed((lane, place, ("shared", sharing), steps)))

    def fetch(self, wanted: Sequence[str | int]) -> None:
        """Have deliveries that this dispatches become the caller's with it, as if it had fetched them then.

        Args:
            wanted: The keys of lanes, each with how many entries of it at most.
        """
        version, event_type, targets = self._targets[0][:3]
        self._targets[0] = (version, event_type, targets, wanted)

    def arguments(self) -> list[bytes | str]:
        """Return the last arguments of the script."""
        lanes = packed([part for stream, (_, entries) in self._lanes.items() for part in (stream, entries)])
        return [lanes, *self._succeeded(), *self._written_dispatched(), *self._others, *self._envelopes]

    def exceptions(self, told: Sequence[Any]) -> list[tuple[int, str]]:
        """Return which attempts did not end, by their place in the batch, and why, from what the script told."""
        if not told:
            return []
        places: dict[str, list[int]] = {stream: [] for stream in self._lanes}
        for at, attempt in enumerate(self._attempts):
            places[attempt[0]].append(at)
        lanes = list(places.values())
        return [
            (lanes[lane - 1][place - 1], why.decode())
            for lane, place, why in zip(told[::3], told[1::3], told[2::3], strict=True)
        ]

    def _new_lane(self, stream: str) -> tuple[int, list[str]]:
        lane = self._lanes[stream] = (len(self._lanes) + 1, [])
        return lane

    def _new_event(self, event_id: str, event_type: str) -> _Event:
        event = self._events[event_id] = _Event(event_type)
        return event

    def _new_pair(self, pair: tuple[str, int]) -> tuple[list[int], list[int]]:
        times = self._pairs[pair] = ([], [])
        return times

    def _add_dispatched(self, lane: int, place: int, ending: Ending) -> None:
        _, event_id, version, priority, envelope, targets, event_type, expires_ms = ending
        # The lists are kept with the attempts, so no two of them have the same id.
        key = (version, "" if targets else event_type, id(targets))
        route = self._routes.get(key)
        if route is None:
            self._targets.append((version, event_type, targets))
            route = self._routes[key] = len(self._targets)
        self._dispatched += (lane, place, event_id, route, priority, expires_ms)
        self._types.append(event_type)
        self._envelopes.append(envelope)

    def _written_dispatched(self) -> list[bytes]:
        if not self._dispatched:
            return [b"", b"", b"", b""]
        numbers = [route[2][::4] for route in self._targets]
        ways = zip(self._types, self._dispatched[3::_WIDTH], strict=True)
        times = Counter(ways) if len(self._types) > 1 else dict.fromkeys(ways, 1)
        records = _ready([
            (event_type, number, {"o": many})
            for (event_type, route), many in times.items() for number in numbers[route - 1]
        ])  # fmt: skip
        return [packed(self._dispatched), packed(self._targets), packed(self._types), records]

    def _succeeded(self) -> list[bytes]:
        if not self._events:
            return [b"", b"", b""]
        rows: list[Any] = []
        details: list[int] = []
        for event_id, event in self._events.items():
            rows += (event_id, event.type, len(event.rows) // 3)
            rows += event.rows
            details += event.details
        records = [
            (event_type, number, {"s": len(waits_ms)}, _times(waits_ms, durations_us))
            for (event_type, number), (waits_ms, durations_us) in self._pairs.items()
        ]
        return [packed(rows), packed(details), _ready(records)]


def _ready(records: list[Any]) -> bytes:
    """Return records as they stand in the journal of measures, in lists that are packed each by itself."""
    return packed([as_text(packed(records[at : at + _PIECE])) for at in range(0, len(records), _PIECE)])


def _times(waits_ms: list[int], durations_us: list[int]) -> dict[int, int]:
    """Return what is added to the times of a pair, by place."""
    times: dict[int, int] = {}
    _add_up(times, waits_ms, _WAIT_SUM, _FIRST_WAIT, _LAST_WAIT)
    _add_up(times, durations_us, _DURATION_SUM, _FIRST_DURATION, _LAST_DURATION)
    return times


def _add_up(times: dict[int, int], values: list[int], sum_at: int, first: int, last: int) -> None:
    """Add values where they belong; a bucket is the least power of two that is not below a value."""
    # Where events are of many types, each value is alone, and a Counter would be most of what it costs.
    if len(values) == 1 and values[0] > 0:
        times[sum_at] = values[0]
        times[min(first + (values[0] - 1).bit_length(), last)] = 1
        return
    if min(values) < 0:
        values = [value for value in values if value >= 0]
    times[sum_at] = sum(values)
    for exponent, many in Counter([(value - 1).bit_length() if value else 0 for value in values]).items():
        place = min(first + exponent, last)
        times[place] = times.get(place, 0) + many
