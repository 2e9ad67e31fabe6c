"""Cancelling what is open of a subscription that has ended."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from eventsys.broker.broker import EventBroker
from eventsys.broker.joining import flush
from eventsys.store.hosts import HostStore
from eventsys.store.settlement import Settlement

#: How the queues of subscriptions made at run time begin.
OWN_QUEUE = "run."

#: Times that everything is looked through in one go, before it is left to the next round: others add to it meanwhile.
_MOST_PASSES = 3


def _go_on() -> None:
    """Do nothing: there is no end to how long it may take."""


def settle(
    broker: EventBroker,
    name: str,
    queue: str,
    *,
    spares: bool = True,
    is_declared_anew: bool = False,
    between: Callable[[], None] = _go_on,
) -> bool:
    """Cancel the open deliveries of a subscription that has ended; any process may, and several at once.

    What runs is spared: it goes on to its end, and what it publishes goes out if it succeeds. So is what a living
    process has fetched for that; once it is handed back, or tried in vain, it is cancelled by who settles again.

    Until it is settled nobody can declare the name anew, and from then on nothing is cancelled any more: what a new
    subscription of this name is given is safe from whoever comes late. Deliveries on a queue that it shared with
    others are cancelled here where no living process reads that, as when its application is retired; else when a worker
    comes to them.

    There may be millions, which takes minutes: `between` is for whoever has something else to do in time.

    Args:
        broker: The broker of this process.
        name: The subscription.
        queue: The queue it had.
        spares: Whether what living processes hold is left to them.
        is_declared_anew: Whether the caller declares the name anew, and waits for this. With `spares` it is to read the
            same queue, and what is there is left to it.
        between: Called after each script that perhaps left something. What it raises ends this call there, and the next
            one goes on.

    Returns:
        Whether it is settled; else living processes hold some of it still, or something is left, or it shows when a
        lease is over whether somebody reads the queue. The next round is soon enough to look again.
    """
    own_queue, settlement = queue if is_own_queue(queue) else "", Settlement(broker.link, broker.keys)
    for _ in range(_MOST_PASSES):
        is_any_spared = own_queue and _flush(broker, own_queue, name, spares, between)
        while settlement.cancel_waiting(name, broker.clock.now_ms(), broker.work.retention_ms):
            between()
        if is_any_spared:
            return False
        is_shared = queue and not own_queue and not (is_declared_anew and spares)
        if is_shared and not _cancel_unread(broker, settlement, name, queue, between, decides_now=is_declared_anew):
            return False
        if settlement.note_settled(name, own_queue):
            return True
    return False


def _flush(broker: EventBroker, queue: str, name: str, spares: bool, between: Callable[[], None]) -> bool:
    now_ms, real_ms = broker.clock.now_ms(), broker.clock.real_ms() if spares else 0
    return flush(
        broker.link, broker.keys, queue, now_ms=now_ms, retention_ms=broker.work.retention_ms, ended=name,
        real_ms=real_ms, between=between,
    )  # fmt: skip


def _cancel_unread(
    broker: EventBroker,
    settlement: Settlement,
    name: str,
    queue: str,
    between: Callable[[], None],
    *,
    decides_now: bool,
) -> bool:
    """Cancel what a subscription has on a queue that nobody reads; say whether that is done, or left to who reads it.

    While Redis was away every lease became overdue: whose it is may run something of it, until another ends its lease.
    Who `decides_now` takes it for gone, and spares what it holds all the same.
    """
    clock, hosts = broker.clock, HostStore(broker.link, broker.keys)
    if decides_now and hosts.is_read(queue, clock.real_ms()):
        return True
    if not decides_now and hosts.is_read(queue, 0):
        return hosts.is_read(queue, clock.real_ms())
    while settlement.cancel_shared(name, queue, clock.now_ms(), broker.work.retention_ms):
        between()
    return True


def is_own_queue(queue: str) -> bool:
    """Say whether a queue belongs to one subscription alone, made at run time."""
    return queue.startswith(OWN_QUEUE)


def own_queue_of(name: str) -> str:
    """Return the queue of a subscription made at run time: the same in every process that hosts it."""
    plain = re.sub(r"[^a-zA-Z0-9._-]+", "-", name)[-80:]
    return f"{OWN_QUEUE}{plain}.{hashlib.sha256(name.encode()).hexdigest()[:8]}"
