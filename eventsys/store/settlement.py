"""What is left of subscriptions that have ended, and noting that nothing is."""

from __future__ import annotations

from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import text_of
from eventsys.store.scripts import script

#: Most deliveries that one script looks at: it blocks Redis meanwhile.
_AT_ONCE = 500


class Settlement:
    """What cancels the open deliveries of subscriptions that have ended asks of Redis.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def cancel_waiting(self, name: str, now_ms: int, retention_ms: int) -> int:
        """Cancel deliveries that wait for a host of a subscription, if that has ended and is not settled.

        Returns:
            How many were, of perhaps more; 0 when none is left.
        """
        arguments = (now_ms, retention_ms, name, _AT_ONCE, 1)
        return int(self._link.run(script("cancel_waiting"), self._keys.prefix, *arguments))

    def cancel_shared(self, name: str, queue: str, now_ms: int, retention_ms: int) -> bool:
        """Cancel deliveries of a subscription, if that has ended and is not settled, on a queue that it shared.

        Args:
            name: The subscription.
            queue: The queue, which nobody reads.
            now_ms: The time.
            retention_ms: How long the record of a finished event is kept.

        Returns:
            Whether there is more to look at.
        """
        arguments = (now_ms, retention_ms, name, queue, _AT_ONCE)
        return bool(self._link.run(script("cancel_shared"), self._keys.prefix, *arguments))

    def note_settled(self, name: str, own_queue: str) -> bool:
        """Say whether a subscription that has ended has no open deliveries of its own any more, and note that."""
        return bool(self._link.run(script("settle_subscription"), self._keys.prefix, name, own_queue))

    def take_turn(self, process: str, longest_ms: int) -> bool:
        """Let a process go on with what takes long, so that the others need not, and say whether it is its turn.

        Args:
            process: The name of its lease.
            longest_ms: How long it has the turn unless it says so again; no longer than its lease.
        """
        return bool(self._link.run(script("take_turn"), self._keys.prefix, process, longest_ms))

    def give_up_turn(self, process: str) -> None:
        """Say that a process goes on no longer, if it is its turn."""
        self._link.run(script("take_turn"), self._keys.prefix, process, 0)

    def who(self) -> str:
        """Return the process that goes on with what takes long; empty: none said so for a while."""
        return text_of(self._link.call("GET", self._keys.settling) or b"")
