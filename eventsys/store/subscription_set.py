"""The set of subscriptions as it is read: once for all in a process who ask while it does not change."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

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


#: Seconds that a thread waits for another one to read the set. A connection may be stuck for much longer, and the
#: thread that renews the lease of the process asks too.
TURN_S = 1.0

#: The mark of what changed while it was read, which nothing in Redis is like.
_MOVED = object()


class _Kept(NamedTuple):
    """What was read, and what stood in Redis before and after: the version, and the digest of the rows.

    It counts as long as the set has the `since` that it was read with.
    """

    since: object
    marks: list[Any]
    rows: list[Subscription]
    found: SetRead


class SubscriptionSet:
    """What is read of the set, and kept for the next who asks.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._marks = ("MGET", keys.subscriptions_version, keys.subscription_rows)
        self._parsed: dict[bytes, Subscription] = {}
        self._kept: _Kept | None = None
        self.forget_process()
        begins_anew_in_children(self)

    def forget(self) -> None:
        """Read it anew: it is another bus's from now on, or Redis has lost data.

        After a loss other changes may lead to the version that is kept. What a thread reads at this moment does not
        count either, and nobody waits for it.
        """
        self._since = object()

    def forget_process(self) -> None:
        """In a forked child: whoever reads just now does so in the parent."""
        self._lock = threading.Lock()
        self.forget()

    def read(self) -> SetRead:
        """Return the version of the set, and the set as it was then or later.

        Should the set change while it is read, the version is too old, and a dispatch computed with it is refused and
        computed again. What was read last is returned again where nothing has changed since, and where only states
        have, no rows are read. Of several threads that see a change at once one reads, and the others get what it read;
        where it does not come back soon, they read as well.
        """
        lock = self._lock
        if not lock.acquire(timeout=TURN_S):
            # Its thread is stuck, or was interrupted before it could let go: later ones take turns without it.
            if self._lock is lock:
                self._lock = threading.Lock()
            return self._read_if_changed()
        try:
            return self._read_if_changed()
        finally:
            lock.release()

    def parsed(self, row: bytes) -> Subscription:
        """Return what is in a row; a bus may have thousands, of which a change concerns one."""
        known = self._parsed.get(row)
        return Subscription.from_row(row) if known is None else known

    def _read_if_changed(self) -> SetRead:
        """Return what is kept, if it is so still, or what is read now; any threads may do so at once."""
        since, kept = self._since, self._kept
        if kept is None or kept.since is not since:
            kept = self._read(since)
        elif (marks := self._link.call(*self._marks)) != kept.marks:
            kept = self._read_beside(kept, marks) or self._read(since)
        self._kept = kept
        return kept.found

    def _read_beside(self, kept: _Kept, marks: list[Any]) -> _Kept | None:
        """Read how subscriptions stand, where their rows are those that are kept; return None where they are not."""
        digest = kept.marks[1]
        if not isinstance(digest, bytes) or marks[1] != digest:
            return None
        read = self._read(kept.since, kept.rows)
        return read if read.marks[1] == digest else None

    def _read(self, since: object, rows: list[Subscription] | None = None) -> _Kept:
        """Read how subscriptions stand, and their rows unless those are given, the version before anything else."""
        keys = self._keys
        commands = [
            self._marks,
            ("HGETALL", keys.subscription_states),
            ("HGETALL", keys.open_breakers),
            *([("HVALS", keys.subscriptions)] if rows is None else []),
            self._marks,
        ]
        before, states, opened, *texts, after = self._link.read(commands)
        if rows is None:
            rows = self._rows_of(*texts)
        marks = [one if one == other else _MOVED for one, other in zip(before, after, strict=True)]
        return _Kept(since, marks, rows, SetRead(text_of(before[0] or b"0"), standing_of(rows, states, opened)))

    def _rows_of(self, texts: list[bytes]) -> list[Subscription]:
        parsed = [self.parsed(text) for text in texts]
        self._parsed = dict(zip(texts, parsed, strict=True))
        return sorted(parsed, key=lambda one: one.number)


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
