"""The journal of measures: what the scripts counted, on its way to the counters of each type and subscription."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from eventsys.store.keys import Keys
from eventsys.store.scripts import script

#: Pieces read in one round trip, and counters that one script adds to: some two milliseconds of Redis each at most.
_PIECES, _COUNTERS = 100, 200

_unpack = msgspec.msgpack.Decoder().decode
_pack = msgspec.msgpack.Encoder().encode

Run = Callable[..., Any]
Call = Callable[..., Any]
Sums = dict[Any, int]


class _Counter(NamedTuple):
    """What is added to one counter: what was counted, the times, and what was counted in each minute."""

    counts: Sums
    times: Sums
    minutes: dict[int, Sums]


def fold_steps(run: Run, call: Call, keys: Keys) -> Generator[None, None, bool]:
    """Add to the counters all that the journal holds at this moment, a bounded step at a time.

    The journal is set aside first. What is set aside is added up here, always to the same list of counters in the same
    order, and the list is written in parts, each once. Whoever finds something set aside, by one who died or is at it
    too, goes on where that one stopped, and leaves the journal alone.

    Args:
        run: What runs a script.
        call: What sends a command.
        keys: The keys of the bus.

    Returns:
        Whether the journal was left alone.
    """
    length, is_new, number, done, pieces = run(script("set_measures_aside"), keys.prefix, _PIECES)
    while len(pieces) < length:
        yield
        some = call("LRANGE", keys.measures_aside, len(pieces), len(pieces) + _PIECES - 1)
        if not some:  # another one is through with it
            return not is_new
        pieces += some
    records = _added_up(pieces)
    parts = [records[at : at + _COUNTERS] for at in range(0, len(records), _COUNTERS)]
    if length and not parts:  # nothing that could be read, and it has to go
        parts.append([])
    while 0 <= done < len(parts):
        yield
        mark = secrets.token_hex(8)
        done = run(script("fold_measures"), keys.prefix, number, done, len(parts), _pack(parts[done]), mark)
    return not is_new


def fold(run: Run, call: Call, keys: Keys) -> None:
    """Add to the counters all that the journal holds at this moment."""
    if _finish(fold_steps(run, call, keys)):
        _finish(fold_steps(run, call, keys))


def _finish(steps: Generator[None, None, bool]) -> bool:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return bool(end.value)


def _added_up(pieces: Iterable[bytes]) -> list[Any]:
    """Return what is added to each counter, in an order that only depends on the pieces."""
    counters: dict[tuple[str, str], _Counter] = {}
    for piece in pieces:
        try:
            minute, records = _unpack(piece)
            for record in records:
                for name, counts, times in _counted(record):
                    counter = counters.setdefault(name, _Counter({}, {}, {}))
                    _add(counter.counts, counts)
                    _add(counter.times, times)
                    _add(counter.minutes.setdefault(minute, {}), counts)
        except (msgspec.MsgspecError, ValueError, TypeError, AttributeError):
            continue  # nothing that a script wrote
    return [[*name, *counter] for name, counter in counters.items()]


def _counted(record: Sequence[Any]) -> Iterator[tuple[tuple[str, str], Mapping[Any, int], Mapping[Any, int]]]:
    """Yield what a record adds to each counter: its name, what was counted, and the times."""
    event_type, number, counts, *times = record
    if event_type is False and number:
        for name, many in counts.items():
            yield (name, ""), {number: many}, {}
    else:
        yield (event_type or "", "" if number is False else str(number)), counts, times[0] if times else {}


def _add(sums: Sums, numbers: Mapping[Any, int]) -> None:
    # Lua writes an empty table as an empty list.
    for name, by in numbers.items() if numbers else ():
        sums[name] = sums.get(name, 0) + by
