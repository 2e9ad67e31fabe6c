"""The version of the set of subscriptions, and how it tells that Redis has lost data."""

from __future__ import annotations

from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import whole_number
from eventsys.store.scripts import script

#: Versions of an era of the set; the next one begins where somebody sees that Redis has lost data.
_ERA = 1_000_000_000


def has_lost_data(version: str, known: str) -> bool:
    """Say whether Redis has lost data between two looks at the version of the set: first `known`, and now `version`.

    Where `known` is empty, nothing is known to be lost.

    A version only grows, so a lower one is that of a restored backup, of a replica that was behind, or of an emptied
    Redis. By one of another era it was somebody else who saw that.
    """
    is_older = _number_of(version) < _number_of(known)
    return bool(known) and (is_older or _number_of(version) // _ERA != _number_of(known) // _ERA)


def newest_of(*versions: str) -> str:
    """Return the newest of some versions of the set, of which "" is none."""
    return max(versions, key=_number_of)


def begin_era(link: Link, keys: Keys, known: str) -> None:
    """Let all that know the version `known`, or a later one of its era, see that Redis has lost data since."""
    link.run(script("begin_era"), keys.prefix, (_number_of(known) // _ERA + 1) * _ERA)


def _number_of(version: str) -> int:
    return whole_number(version) or 0
