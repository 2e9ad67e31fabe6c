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
    """Knows for how long other declarations have held than those of this process.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        clock: The time.
        patience_ms: How long one may hold that no living process works by.
    """

    def __init__(self, link: Link, keys: Keys, clock: Clock, patience_ms: int) -> None:
        self._link = link
        self._keys = keys
        self._clock = clock
        self._hosts = HostStore(link, keys)
        self._patience_s = patience_ms / 1000
        self._since_s: dict[str, float] = {}
        self._answers: dict[str, tuple[float, bool]] = {}

    def may_wait(self, declared: Subscription) -> bool:
        """Say whether a subscription is declared otherwise by now, and somebody works by that or may soon do so.

        In a deploy whoever publishes may have the new code before any worker has it. Where nobody ever works by the
        declaration that holds, what only that wants would come by again and again, in the way of everything else.
        """
        now_s = self._clock.monotonic()
        asked_s, answer = self._answers.get(declared.name, (float("-inf"), False))
        if now_s - asked_s >= _FRESH_S:
            answer = self._asked(declared, now_s)
            self._answers[declared.name] = (now_s, answer)
        return answer

    def _asked(self, declared: Subscription, now_s: float) -> bool:
        try:
            if not self._is_overruled(declared):
                self._since_s.pop(declared.name, None)
                return False
            since_s = self._since_s.setdefault(declared.name, now_s)
            return now_s - since_s < self._patience_s or self._hosts.is_hosted_as_declared(
                declared.name, self._clock.real_ms()
            )
        except EventsysError:
            return True  # it waits until Redis answers

    def _is_overruled(self, declared: Subscription) -> bool:
        row = self._link.call("HGET", self._keys.subscriptions, declared.name)
        try:
            return row is not None and msgspec.json.decode(row, type=_Row).declaration_hash != declared.declaration_hash
        except (ValueError, msgspec.MsgspecError):
            return False  # a row that nothing of eventsys wrote explains no delivery
