"""The subscriptions of a bus, as every process sees them."""

from __future__ import annotations

from collections.abc import Sequence

from eventsys.model.subscription import Subscription
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.scripts import script

#: Most deliveries that one script moves or ends.
_AT_ONCE = 500


class SubscriptionStore:
    """The set of subscriptions, and its version, which grows with every change.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def save(self, subscription: Subscription, *, host: str = "") -> int:
        """Declare a subscription and return its number; nothing is written when the declaration is known already.

        Args:
            subscription: What is declared.
            host: The process it lives as long as, one of perhaps several; empty when it outlives them all.
        """
        row = subscription.model_dump_json(exclude={"number", "revision", "state"}).removesuffix("}")
        number, _version, _changed = self._link.run(
            script("save_subscription"), self._keys.prefix, subscription.name, subscription.declaration_hash, row, host
        )
        return int(number)

    def remove(self, name: str) -> bool:
        """End a subscription, and say whether there was one. `settle_ended` cancels what is open."""
        return bool(self._link.run(script("remove_subscription"), self._keys.prefix, name, "", 0))

    def leave(self, name: str, host: str, now_ms: int) -> bool:
        """Let a process host a subscription no longer, and say whether that ended it: no living process hosts it.

        Args:
            name: The subscription.
            host: The process; "-" for nobody, to see only whether any host lives.
            now_ms: Real time, which leases are measured in.
        """
        return bool(self._link.run(script("remove_subscription"), self._keys.prefix, name, host, now_ms))

    def get(self, name: str) -> Subscription | None:
        """Return the subscription of this name, or None."""
        row = self._link.call("HGET", self._keys.subscriptions, name)
        return None if row is None else Subscription.from_row(row)

    def all(self) -> tuple[str, list[Subscription]]:
        """Return the version of the set, and the set as it was then or later.

        The version is read first: should the set change in between, the version is too old, and a dispatch computed
        with it is refused and computed again.
        """
        version, rows = self._link.pipeline(
            [("GET", self._keys.subscriptions_version), ("HVALS", self._keys.subscriptions)]
        )
        subscriptions = [Subscription.from_row(row) for row in rows]
        return (version or b"0").decode(), sorted(subscriptions, key=lambda one: one.number)

    def names(self) -> dict[int, str]:
        """Return the name behind every number ever given."""
        flat = self._link.call("HGETALL", self._keys.subscription_names)
        return {int(number): name.decode() for number, name in zip(flat[::2], flat[1::2], strict=True)}

    def version(self) -> str:
        """Return the version of the set."""
        return (self._link.call("GET", self._keys.subscriptions_version) or b"0").decode()

    def unhosted(self, names: Sequence[str], now_ms: int) -> list[str]:
        """Return those of these subscriptions that no living process hosts."""
        living, *hosts = self._link.pipeline(
            [
                ("ZRANGEBYSCORE", self._keys.processes, f"({now_ms}", "+inf"),
                *(("SMEMBERS", self._keys.hosts(name)) for name in names),
            ]
        )
        return [name for name, hosting in zip(names, hosts, strict=True) if not set(living) & set(hosting)]

    def ended(self) -> dict[str, str]:
        """Return the subscriptions that have ended and may have open deliveries, each with its queue."""
        flat = self._link.call("HGETALL", self._keys.subscriptions_ended)
        return {name.decode(): queue.decode() for name, queue in zip(flat[::2], flat[1::2], strict=True)}

    def cancel_waiting(self, name: str, now_ms: int, retention_ms: int) -> None:
        """Cancel the deliveries that wait for a host of a subscription that has ended."""
        arguments = (now_ms, retention_ms, name, _AT_ONCE)
        while self._link.run(script("cancel_waiting"), self._keys.prefix, *arguments):
            pass

    def settled(self, name: str) -> None:
        """Note that a subscription that has ended has no open deliveries of its own any more."""
        self._link.call("HDEL", self._keys.subscriptions_ended, name)

    def waiting(self, names: Sequence[str]) -> list[str]:
        """Return those of these subscriptions that have deliveries in their waiting room."""
        counts = self._link.pipeline([("XLEN", self._keys.waiting(name)) for name in names]) if names else []
        return [name for name, count in zip(names, counts, strict=True) if count]

    def release_waiting(self, subscription: Subscription, now_ms: int) -> int:
        """Put deliveries that waited for a host back on their queue; return how many, at most 500."""
        return int(
            self._link.run(
                script("release_waiting"), self._keys.prefix, now_ms, subscription.name, subscription.queue, _AT_ONCE
            )
        )
