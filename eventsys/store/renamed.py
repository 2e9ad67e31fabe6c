"""What subscriptions that were renamed are called now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import texts_of


class LetterOwners(NamedTuple):
    """Whose a dead letter is.

    Attributes:
        renamed: The present name behind every former name of a subscription.
        numbered: The present name behind every number.
    """

    renamed: Mapping[str, str]
    numbered: Mapping[str, str]

    def present(self, name: str, number: str | None) -> str:
        """Return the present name of a subscription, as `lua/includes/drop_letter.lua` finds it.

        Args:
            name: What the letter says.
            number: The number that the letter says: a former name may be that of another subscription now.
        """
        return self.numbered.get(number or "") or self.renamed.get(name, name)


def present_names(link: Link, keys: Keys) -> dict[str, str]:
    """Return the present name behind every former name of a subscription."""
    return _present(texts_of(link.call("HGETALL", keys.renamed)))


def letter_owners(link: Link, keys: Keys) -> LetterOwners:
    """Return what tells whose a dead letter is."""
    renamed, numbered = link.read([("HGETALL", keys.renamed), ("HGETALL", keys.subscription_names)])
    return LetterOwners(_present(texts_of(renamed)), texts_of(numbered))


def _present(renamed: dict[str, str]) -> dict[str, str]:
    return {old: _last_name(renamed, new) for old, new in renamed.items()}


def _last_name(names: dict[str, str], name: str) -> str:
    seen = set[str]()
    while name in names and name not in seen:
        seen.add(name)
        name = names[name]
    return name
