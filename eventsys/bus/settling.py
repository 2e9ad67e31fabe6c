"""Cancelling what is open of a subscription that has ended."""

from __future__ import annotations

import hashlib
import re

from eventsys.broker.broker import EventBroker
from eventsys.store.subscriptions import SubscriptionStore

#: How the queues of subscriptions made at run time begin.
OWN_QUEUE = "run."

#: Times that everything is looked through in one go, before it is left to the next round: others add to it meanwhile.
_MOST_PASSES = 3


def settle(
    broker: EventBroker, subscriptions: SubscriptionStore, name: str, queue: str, *, spares: bool = True
) -> bool:
    """Cancel the open deliveries of a subscription that has ended; any process may, and several at once.

    What runs is spared: it goes on to its end, and what it publishes goes out if it succeeds. So is what a living
    process has fetched for that; once it is handed back, or tried in vain, it is cancelled by who settles again.

    Until it is settled nobody can declare the name anew, and from then on nothing is cancelled any more: what a new
    subscription of this name is given is safe from whoever comes late. Deliveries on a queue that it shared with
    others are cancelled when a worker comes to them.

    Args:
        broker: The broker of this process.
        subscriptions: Where the set is stored.
        name: The subscription.
        queue: The queue it had.
        spares: Whether what living processes hold is left to them.

    Returns:
        Whether it is settled; else living processes hold some of it still, or something is left.
    """
    own_queue = queue if is_own_queue(queue) else ""
    for _ in range(_MOST_PASSES):
        is_any_spared = own_queue and broker.flush_ended(own_queue, name, spares=spares)
        subscriptions.cancel_waiting(name, broker.clock.now_ms(), broker.work.retention_ms)
        if is_any_spared:
            return False
        if subscriptions.settled(name, own_queue):
            return True
    return False


def is_own_queue(queue: str) -> bool:
    """Say whether a queue belongs to one subscription alone, made at run time."""
    return queue.startswith(OWN_QUEUE)


def own_queue_of(name: str) -> str:
    """Return the queue of a subscription made at run time: the same in every process that hosts it."""
    plain = re.sub(r"[^a-zA-Z0-9._-]+", "-", name)[-80:]
    return f"{OWN_QUEUE}{plain}.{hashlib.sha256(name.encode()).hexdigest()[:8]}"
