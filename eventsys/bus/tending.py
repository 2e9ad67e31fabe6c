"""What has to be looked after as long as a process lives: subscriptions that end, deliveries that wait for a host."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from dramatiq import Broker, Middleware
from dramatiq.middleware import MiddlewareError

from eventsys.broker.broker import EventBroker
from eventsys.bus.declarations import Declarations
from eventsys.bus.inline import InlineHandlers
from eventsys.errors import EventsysError, SettingsError
from eventsys.store.subscriptions import SubscriptionStore

#: Seconds between tries to declare subscriptions while Redis is away and a worker starts.
_RETRY_S = 0.5

logger = logging.getLogger(__name__)


class BootRefusedError(MiddlewareError, SettingsError):
    """A worker cannot work on this bus: it was written by a newer version."""


class Tending:
    """The round that every process with a lease makes every few seconds.

    Each part of it may be done by any process and any number of times, and is cheap when there is nothing to do.

    Args:
        broker: The broker of this process.
        subscriptions: Where the set is stored.
        declarations: What this process subscribed.
        inline: What runs handlers inside `publish`.

    Attributes:
        duties: What others have done in each round, at its end.
    """

    def __init__(
        self,
        broker: EventBroker,
        subscriptions: SubscriptionStore,
        declarations: Declarations,
        inline: InlineHandlers,
    ) -> None:
        self._broker = broker
        self._subscriptions = subscriptions
        self._declarations = declarations
        self._inline = inline
        self._name = ""
        self._version: str | None = None
        self._mortal: list[str] = []
        self.duties: list[Callable[[], None]] = []

    def forget(self) -> None:
        """Begin anew, on a bus that this process has not seen."""
        self._name, self._version, self._mortal = "", None, []

    def make_round(self) -> None:
        """Do what there is to do.

        Raises:
            RedisUnavailableError: If Redis does not answer; the next round goes on.
        """
        self._renew()
        self._declarations.complete()
        self._look_at_set()
        self._end_unhosted()
        self.settle_ended()
        self._inline.give_away_strays()
        self.release()
        for duty in self.duties:
            duty()

    def release(self) -> None:
        """Put deliveries that waited for a host back on their queue, where this process handles them."""
        presence = self._broker.presence
        hosted = {
            actor.actor_name: actor
            for actor in self._declarations.hosted()
            if presence.reads(actor.queue_name) and self._declarations.is_declared(actor)
        }
        for name in self._subscriptions.waiting(list(hosted)):
            while self._subscriptions.release_waiting(hosted[name].subscription, self._broker.clock.now_ms()):
                pass

    def settle(self, name: str, queue: str) -> None:
        """Cancel the open deliveries of a subscription that has ended.

        Those on a queue that it shares with others are cancelled when a worker comes to them.
        """
        if is_own_queue(queue):
            self._broker.flush(queue)
        self._subscriptions.cancel_waiting(name, self._broker.clock.now_ms(), self._broker.work.retention_ms)
        self._subscriptions.settled(name)

    def settle_ended(self) -> None:
        """Cancel the open deliveries of every subscription that has ended."""
        for name, queue in self._subscriptions.ended().items():
            self.settle(name, queue)

    def _renew(self) -> None:
        name = self._broker.presence.name
        if name != self._name:
            self._name = name
            self._declarations.renew()

    def _look_at_set(self) -> None:
        """When the set changed, see which subscriptions end with their hosts, and stop hosting what has ended."""
        version = self._subscriptions.version()
        if version == self._version:
            return
        self._version, subscriptions = self._subscriptions.all()
        self._mortal = [one.name for one in subscriptions if not one.persistent]
        names = {one.name for one in subscriptions}
        for actor in self._declarations.hosted():
            if actor.actor_name not in names and self._declarations.is_declared(actor):
                logger.info("%s was unsubscribed elsewhere", actor.actor_name, extra={"action": "subscription_ended"})
                self._declarations.drop(actor.actor_name)

    def _end_unhosted(self) -> None:
        if not self._mortal:
            return
        now_ms = self._broker.clock.real_ms()
        for name in self._subscriptions.unhosted(self._mortal, now_ms):
            if self._subscriptions.leave(name, "-", now_ms):
                logger.warning("%s ended with its last host", name, extra={"action": "subscription_ended"})


class TendingMiddleware(Middleware):
    """Declares the subscriptions of a worker before it begins to work, and returns waiting deliveries it can run.

    Args:
        declarations: What the process subscribed.
        tending: What is done in every round.
    """

    def __init__(self, declarations: Declarations, tending: Tending) -> None:
        self._declarations = declarations
        self._tending = tending

    def before_worker_boot(self, broker: Broker, worker: object) -> None:  # noqa: ARG002
        """Declare what the process hosts; wait for Redis if need be.

        Raises:
            BootRefusedError: If the bus was written by a newer version.
        """
        self._declarations.host_all()
        while not self._is_declared():
            threading.Event().wait(_RETRY_S)

    def _is_declared(self) -> bool:
        try:
            self._declarations.complete()
        except SettingsError as error:
            raise BootRefusedError(str(error)) from error
        except EventsysError as error:
            logger.warning("this worker waits for Redis: %s", error, extra={"action": "worker_waits"})
            return False
        return True


def is_own_queue(queue: str) -> bool:
    """Say whether a queue belongs to one subscription alone, made at run time."""
    return queue.startswith(OWN_QUEUE)


#: How the queues of subscriptions made at run time begin.
OWN_QUEUE = "run."
