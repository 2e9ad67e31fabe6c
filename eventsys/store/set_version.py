"""The version of the set of subscriptions, and how it tells that Redis has lost data."""

from __future__ import annotations

from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import whole_number
from eventsys.store.scripts import script

#: What the version goes on by, at least, where a new era begins; no process misses so many changes between two looks.
_LEAP = 100_000


def has_lost_data(version: str, known: str) -> bool:
    """Say whether Redis has lost data between two looks at the version of the set: first `known`, and now `version`.

    Where `known` is empty, nothing is known to be lost.

    A version only grows, so a lower one is that of a restored backup, of a replica that was behind, or of an emptied
    Redis. By one that is far ahead it was somebody else who saw that.
    """
    return bool(known) and not 0 <= _number_of(version) - _number_of(known) < _LEAP


def newest_of(*versions: str) -> str:
    """Return the newest of some versions of the set, of which "" is none."""
    return max(versions, key=_number_of)


def begin_era(link: Link, keys: Keys, known: str, now_ms: int) -> None:
    """Let all that know the version `known`, or one near it, see that Redis has lost data since.

    An era begins at the time in microseconds: no two of them at the same version, whoever begins them.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        known: The newest version that this process knows.
        now_ms: Real time.
    """
    link.run(script("begin_era"), keys.prefix, _number_of(known), _LEAP, now_ms * 1000)


def _number_of(version: str) -> int:
    return whole_number(version) or 0
