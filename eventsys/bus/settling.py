"""Cancelling what is open of a subscription that has ended."""

from __future__ import annotations

from eventsys.broker.broker import EventBroker
from eventsys.store.subscriptions import SubscriptionStore

#: How the queues of subscriptions made at run time begin.
OWN_QUEUE = "run."


def settle(broker: EventBroker, subscriptions: SubscriptionStore, name: str, queue: str) -> None:
    """Cancel the open deliveries of a subscription that has ended; any process may, and several at once.

    Until it is settled nobody can declare the name anew, and from then on nothing is cancelled any more: what a new
    subscription of this name is given is safe from whoever comes late. Deliveries on a queue that it shared with
    others are cancelled when a worker comes to them.

    Args:
        broker: The broker of this process.
        subscriptions: Where the set is stored.
        name: The subscription.
        queue: The queue it had.
    """
    own_queue = queue if is_own_queue(queue) else ""
    is_settled = False
    while not is_settled:
        if own_queue:
            broker.flush_ended(own_queue, name)
        subscriptions.cancel_waiting(name, broker.clock.now_ms(), broker.work.retention_ms)
        is_settled = subscriptions.settled(name, own_queue)


def is_own_queue(queue: str) -> bool:
    """Say whether a queue belongs to one subscription alone, made at run time."""
    return queue.startswith(OWN_QUEUE)
