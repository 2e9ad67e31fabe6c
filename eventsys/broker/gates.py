"""Which subscriptions have a state or limits, as this process knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from eventsys.model.subscription import Subscription
from eventsys.store.scripts import script

from .endings import verdict_of
from .messages import DeliveryMessage, Place, Received

#: Most deliveries that one script decides about: it may have to move each of them.
_AT_ONCE = 200

_BEGINS = 1


class Gates:
    """The subscriptions whose deliveries may have to wait; all others cost nothing here.

    It is at most a second old: the set of subscriptions has a version, and whoever sees a new one tells. What it does
    not know yet, Redis does: whether a delivery begins is decided there.

    Attributes:
        watched: Subscriptions with a state or limits: Redis is asked before their deliveries begin.
        closed: Those of which nothing may begin now.
        kept: Those with limits or a breaker: the commit is told how their attempts end.
    """

    def __init__(self) -> None:
        self.watched: frozenset[str] = frozenset()
        self.closed: frozenset[str] = frozenset()
        self.kept: frozenset[str] = frozenset()
        self._version = -1

    def forget(self) -> None:
        """Know of nothing: it is another bus from now on."""
        self.watched = self.closed = self.kept = frozenset()
        self._version = -1

    def learn(self, version: str, subscriptions: Iterable[Subscription]) -> None:
        """Take over how the subscriptions stand, unless something newer is known."""
        if int(version) < self._version:
            return
        self._version = int(version)
        known = list(subscriptions)
        self.watched = frozenset(one.name for one in known if one.is_gated)
        self.closed = frozenset(one.name for one in known if one.state.is_closed)
        self.kept = frozenset(one.name for one in known if one.is_limited or one.breaker is not None)

    def holds_back(self, message: Received) -> bool:
        """Say whether a message that was fetched may not begin after all: its subscription closed meanwhile."""
        if message.actor_name not in self.closed:
            return False
        return isinstance(message, DeliveryMessage) and not (message.is_inline or message.is_probe)

    def told_of(self, message: Received) -> tuple[str, str] | None:
        """Return what the limits and the breaker of its subscription have to be told of its end, if it has any."""
        if not isinstance(message, DeliveryMessage) or message.subscription not in self.kept:
            return None
        return message.subscription, verdict_of(message)

    def admit(
        self, run: Callable[..., Any], prefix: str, now_ms: int, messages: Sequence[Received]
    ) -> tuple[list[Received], list[Received]]:
        """Return the messages that begin now, and those that wait in Redis from now on, or are others' by now.

        One round trip where any of them belongs to a watched subscription that this process hosts; `run` runs a script.
        """
        asked = [one for one in messages if isinstance(one, DeliveryMessage) and self._is_asked_about(one)]
        verdicts: dict[int, int] = {}
        for start in range(0, len(asked), _AT_ONCE):
            part = asked[start : start + _AT_ONCE]
            arguments = [
                value
                for one in part
                for value in (one.subscription, one.place.stream, one.place.entry, _past(one.place))
            ]
            replies = run(script("admit_deliveries"), prefix, now_ms, *arguments)
            verdicts.update({id(one): verdict for one, verdict in zip(part, replies, strict=True)})
        for one in asked:
            one.is_probe = verdicts[id(one)] == _BEGINS and one.subscription in self.closed
        begin = [one for one in messages if verdicts.get(id(one), _BEGINS) == _BEGINS]
        return begin, [one for one in asked if verdicts[id(one)] != _BEGINS]

    def _is_asked_about(self, message: DeliveryMessage) -> bool:
        return message.subscription in self.watched and message.actor is not None


def _past(place: Place) -> int:
    """Return what `admit_deliveries.lua` is told of it."""
    return 1 if place.is_suspect else 2 * place.has_begun
