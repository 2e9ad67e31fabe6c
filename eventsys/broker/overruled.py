"""Whether a delivery that the handler here does not want may wait for a process whose code wants it."""

from __future__ import annotations

import msgspec

from eventsys.clock import Clock
from eventsys.errors import EventsysError
from eventsys.model.subscription import Subscription
from eventsys.store.hosts import HostStore
from eventsys.store.keys import Keys
from eventsys.store.link import Link

#: Seconds for which an answer of Redis is believed, so that many deliveries at once are one question.
_FRESH_S = 1.0


class _Row(msgspec.Struct):
    declaration_hash: str = ""


class Overruled:
    """Knows for how long other declarations than those of this process have held without anybody to work by them.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        clock: The time.
        patience_ms: How long another one may hold that no living process works by.
    """

    def __init__(self, link: Link, keys: Keys, clock: Clock, patience_ms: int) -> None:
        self._link = link
        self._keys = keys
        self._clock = clock
        self._hosts = HostStore(link, keys)
        self._patience_s = patience_ms / 1000
        self._waits: dict[str, tuple[str, float]] = {}
        self._answers: dict[str, tuple[float, bool]] = {}

    def may_wait(self, declared: Subscription) -> bool:
        """Say whether a subscription is declared otherwise by now, and somebody works by that or may soon do so.

        In a deploy whoever publishes may have the new code before any worker has it. Where nobody ever works by the
        declaration that holds, what only that wants would come by again and again, in the way of everything else.
        """
        now_s = self._clock.monotonic()
        asked_s, answer = self._answers.get(declared.name, (float("-inf"), False))
        if now_s - asked_s >= self._patience_s:
            self._waits.pop(declared.name, None)  # nothing came by for so long: what is said now is another matter
        if now_s - asked_s >= _FRESH_S:
            answer = self._asked(declared, now_s)
            self._answers[declared.name] = (now_s, answer)
        return answer

    def _asked(self, declared: Subscription, now_s: float) -> bool:
        name = declared.name
        try:
            holds = self._hash_that_holds(name)
            is_overruled = holds is not None and holds != declared.declaration_hash
            if not is_overruled or self._hosts.is_hosted_as_declared(name, self._clock.real_ms()):
                self._waits.pop(name, None)
                return is_overruled
        except EventsysError:
            return True  # it waits until Redis answers
        of, since_s = self._waits.get(name, ("", now_s))
        if of != holds:
            since_s = now_s
        self._waits[name] = (holds or "", since_s)
        return now_s - since_s < self._patience_s

    def _hash_that_holds(self, name: str) -> str | None:
        """Return what tells the declaration that holds from others; None where nothing of eventsys wrote a row."""
        row = self._link.call("HGET", self._keys.subscriptions, name)
        try:
            return None if row is None else msgspec.json.decode(row, type=_Row).declaration_hash
        except (ValueError, msgspec.MsgspecError):
            return None
