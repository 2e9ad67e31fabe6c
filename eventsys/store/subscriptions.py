"""The subscriptions of a bus, as every process sees them."""

from __future__ import annotations

from eventsys.model.subscription import Subscription
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.scripts import script


class SubscriptionStore:
    """The set of subscriptions, and its version, which grows with every change.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def save(self, subscription: Subscription) -> int:
        """Declare a subscription and return its number; nothing is written when the declaration is known already."""
        row = subscription.model_dump_json(exclude={"number", "revision", "state"}).removesuffix("}")
        number, _version, _changed = self._link.run(
            script("save_subscription"), self._keys.prefix, subscription.name, subscription.declaration_hash, row
        )
        return int(number)

    def remove(self, name: str) -> bool:
        """End a subscription, and say whether there was one."""
        return self._link.run(script("remove_subscription"), self._keys.prefix, name) is not None

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

    def owned_by(self, process: str) -> list[Subscription]:
        """Return the run-time subscriptions that end with a process."""
        return [one for one in self.all()[1] if one.owner == process and not one.persistent]

    def release_waiting(self, subscription: Subscription, now_ms: int) -> int:
        """Put deliveries that waited for a host back on their queue; return how many, at most 500."""
        return int(
            self._link.run(
                script("release_waiting"), self._keys.prefix, now_ms, subscription.name, subscription.queue, 500
            )
        )
