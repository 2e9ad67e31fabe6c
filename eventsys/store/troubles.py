"""What goes wrong now: every trouble that was reported and is not over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from eventsys.clock import from_ms
from eventsys.model.trouble import Trouble
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import read_or_pass_over, text_of
from eventsys.store.scripts import script
from eventsys.store.steps import packed

#: Most troubles at a time. Beyond, something else is wrong than what their keys say.
MOST_TROUBLES = 1_000

Report = tuple[Any, ...]


class TroubleStore:
    """The troubles of a bus, as every process sees them.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def report(self, now_ms: int, reports: Sequence[Report]) -> list[bool]:
        """Publish what `lua/publish_system.lua` finds worth it, and say of each report whether it was.

        Safe to call twice: what has begun or ended already is not published again.
        """
        arguments = [packed(list(report)) for report in reports]
        results = self._link.run(script("publish_system"), self._keys.prefix, now_ms, MOST_TROUBLES, *arguments)
        return [result == 1 for result in results]

    def all(self, now_ms: int) -> list[Trouble]:
        """Return what goes on, the oldest first."""
        flat = self._link.call("HGETALL", self._keys.troubles)
        found = [
            read_or_pass_over(f"{self._keys.troubles}, field {text_of(key)}", _read, text_of(key), facts)
            for key, facts in zip(flat[::2], flat[1::2], strict=True)
        ]
        going_on = [trouble for trouble, until_ms in filter(None, found) if not 0 < until_ms <= now_ms]
        return sorted(going_on, key=lambda trouble: (trouble.began_at, trouble.key))


def facts_of(trouble: Trouble, *, began_ms: int, until_ms: int) -> str:
    """Return a trouble as it is stored.

    Args:
        trouble: The trouble.
        began_ms: When it began.
        until_ms: When it counts as over; 0: when somebody says so.
    """
    facts = {
        "type": trouble.event_type, "message": trouble.message, "rule": trouble.rule, "details": trouble.details,
        "began_ms": began_ms, "until_ms": until_ms,
    }  # fmt: skip
    return msgspec.json.encode(facts).decode()


def _read(key: str, stored: bytes) -> tuple[Trouble, int]:
    facts = msgspec.json.decode(stored)
    trouble = Trouble(
        key=key,
        event_type=facts["type"],
        message=facts["message"],
        rule=facts["rule"],
        details=facts["details"],
        began_at=from_ms(facts["began_ms"]),
    )
    return trouble, int(facts["until_ms"])
