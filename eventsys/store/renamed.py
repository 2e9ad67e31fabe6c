"""What subscriptions that were renamed are called now."""

from __future__ import annotations

from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import texts_of


def present_names(link: Link, keys: Keys) -> dict[str, str]:
    """Return the present name behind every former name of a subscription."""
    flat = link.call("HGETALL", keys.renamed)
    names = texts_of(flat)
    return {old: _last_name(names, new) for old, new in names.items()}


def _last_name(names: dict[str, str], name: str) -> str:
    seen = set[str]()
    while name in names and name not in seen:
        seen.add(name)
        name = names[name]
    return name
