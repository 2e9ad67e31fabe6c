"""The set of subscriptions as it is read: once for all in a process who ask while it does not change."""

from __future__ import annotations

import threading
from typing import NamedTuple

from eventsys.forking import begins_anew_in_children
from eventsys.model.subscription import Subscription, SubscriptionState
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import text_of


class SetRead(NamedTuple):
    """The set of subscriptions as it was read. Who asks may be given what others have: nobody changes it.

    Attributes:
        version: Its version.
        subscriptions: All there are, by their numbers.
    """

    version: str
    subscriptions: tuple[Subscription, ...]


class SubscriptionSet:
    """What is read of the set, and kept for the next who asks.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._parsed: dict[bytes, Subscription] = {}
        self._kept: SetRead | None = None
        self.forget_process()
        begins_anew_in_children(self)

    def forget(self) -> None:
        """Read it anew: it is another bus's from now on, or Redis has lost data.

        After a loss other changes may lead to the version that is kept.
        """
        with self._lock:
            self._kept = None

    def forget_process(self) -> None:
        """In a forked child: whoever reads just now does so in the parent."""
        self._lock = threading.Lock()
        self._kept = None

    def read(self) -> SetRead:
        """Return the version of the set, and the set as it was then or later.

        What was read last is returned again where its version stands in Redis still: then nothing in it is newer than
        that either, since each change raises the version. Where several threads see a change at once, one of them
        reads, and the others get what it has read.
        """
        with self._lock:
            if self._kept is None or self._kept.version != self._version():
                self._kept = self._read()
            return self._kept

    def parsed(self, row: bytes) -> Subscription:
        """Return what is in a row; a bus may have thousands, of which a change concerns one."""
        known = self._parsed.get(row)
        return Subscription.from_row(row) if known is None else known

    def _version(self) -> str:
        return text_of(self._link.call("GET", self._keys.subscriptions_version) or b"0")

    def _read(self) -> SetRead:
        """Read all of it, the version first.

        Should the set change in between, the version is too old, and a dispatch computed with it is refused and
        computed again.
        """
        version, rows, *standing = self._link.read(
            [
                ("GET", self._keys.subscriptions_version),
                ("HVALS", self._keys.subscriptions),
                ("HGETALL", self._keys.subscription_states),
                ("HGETALL", self._keys.open_breakers),
            ]
        )
        parsed = [self.parsed(row) for row in rows]
        self._parsed = dict(zip(rows, parsed, strict=True))
        found = standing_of(sorted(parsed, key=lambda one: one.number), *standing)
        return SetRead(text_of(version or b"0"), found)


def standing_of(
    subscriptions: list[Subscription], states: list[bytes], open_breakers: list[bytes]
) -> tuple[Subscription, ...]:
    """Return subscriptions with the states that are kept beside their rows.

    Args:
        subscriptions: What is in the rows.
        states: The fields and values of the hash of states, in turn.
        open_breakers: Those of the hash of open breakers.
    """
    by_name, opened = (dict(zip(flat[::2], flat[1::2], strict=True)) for flat in (states, open_breakers))
    return tuple(standing(one, by_name.get(one.name.encode()), opened.get(one.name.encode())) for one in subscriptions)


def standing(subscription: Subscription, state: bytes | None, opened: bytes | None) -> Subscription:
    """Return a subscription with the state that is kept beside its row."""
    if state == b"paused":
        return subscription.model_copy(update={"state": SubscriptionState.PAUSED})
    if opened is not None:
        return subscription.model_copy(update={"state": SubscriptionState.OPEN})
    if state is not None:
        return subscription.model_copy(update={"state": SubscriptionState.RESUMING})
    return subscription
