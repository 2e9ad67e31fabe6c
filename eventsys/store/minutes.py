"""What happened in each minute: what was read of one is not read again until something is added to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import text_of, whole_number

#: Minutes that rates look back.
MINUTES = 60

#: Fields read in one round trip, unless one minute has more: some three milliseconds of Redis, and others want it too.
_FIELDS_AT_ONCE = 10_000

#: The field of a minute that `lua/fold_measures.lua` draws anew whenever it adds to it.
_MARK = b":written"


class _Minute(NamedTuple):
    """What happened in a minute, and its mark when that was read; None where nothing says whether it has changed."""

    mark: bytes | None
    counts: Mapping[str, int]


class MinuteReader:
    """Reads minutes for one look after the other, from any thread.

    A minute's mark is drawn anew by each write. So it does not matter which minutes may still change, nor whether a
    clock was turned, or Redis lost data or is another one: what has the same mark is the same.
    """

    def __init__(self) -> None:
        # Never changed, only replaced: threads that read at once may read a minute twice, and nothing else.
        self._kept: Mapping[int, _Minute] = {}

    def read(self, link: Link, keys: Keys, this: int, back: Iterable[int]) -> list[Mapping[str, int]]:
        """Return what happened in some minutes, in their order.

        Args:
            link: The way to Redis.
            keys: The keys of the bus.
            this: The present minute, since 1970. Only of the hour before it anything is kept.
            back: How many minutes before it each of those lies that are wanted.
        """
        wanted, kept = [this - one for one in back], self._kept
        asked = [
            command
            for minute in wanted
            for command in (("HGET", keys.minute_metrics(minute), _MARK), ("HLEN", keys.minute_metrics(minute)))
        ]
        replies = link.read(asked)
        found: dict[int, _Minute] = {}
        changed: dict[int, int] = {}
        for minute, mark, size in zip(wanted, replies[::2], replies[1::2], strict=True):
            if mark is not None and minute in kept and kept[minute].mark == mark:
                found[minute] = kept[minute]
            elif size:
                changed[minute] = int(size)
            else:
                found[minute] = _Minute(None, {})
        names = _names_in(kept) if changed else {}
        for some in _in_portions(changed):
            flats = link.read([("HGETALL", keys.minute_metrics(minute)) for minute in some])
            found.update((minute, _minute_of(flat, names)) for minute, flat in zip(some, flats, strict=True))
        self._kept = {
            minute: one for minute, one in {**kept, **found}.items() if one.mark and this - MINUTES <= minute <= this
        }
        return [found[minute].counts for minute in wanted]


def _in_portions(sizes: Mapping[int, int]) -> Iterator[list[int]]:
    """Give minutes, as many at a time as are read in one round trip."""
    some: list[int] = []
    fields = 0
    for minute, size in sizes.items():
        if some and fields + size > _FIELDS_AT_ONCE:
            yield some
            some, fields = [], 0
        some.append(minute)
        fields += size
    if some:
        yield some


def _names_in(kept: Mapping[int, _Minute]) -> dict[bytes, str]:
    """Return the names that come again and again: they are kept once for all minutes."""
    most = max((one.counts for one in kept.values()), key=len, default={})
    return {name.encode(): name for name in most}


def _minute_of(flat: Sequence[bytes], names: dict[bytes, str]) -> _Minute:
    mark: bytes | None = None
    counts: dict[str, int] = {}
    for name, value in zip(flat[::2], flat[1::2], strict=True):
        if name == _MARK:
            mark = value
        elif (number := whole_number(value)) is not None:
            counts[names.get(name) or names.setdefault(name, text_of(name))] = number
    return _Minute(mark, counts)
