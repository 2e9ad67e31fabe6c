"""What has to be looked after as long as a process lives: subscriptions that end, deliveries that wait for a host."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from typing import Any

from dramatiq import Broker, Middleware
from dramatiq.middleware import MiddlewareError

from eventsys.broker.actor import HandlerActor
from eventsys.broker.broker import EventBroker
from eventsys.bus.declarations import Declarations
from eventsys.bus.displacing import Displacements
from eventsys.bus.inline import InlineHandlers
from eventsys.bus.settling import settle
from eventsys.bus.settling_turns import SettlingTurns
from eventsys.bus.vigil import Vigil
from eventsys.errors import EventsysError, SettingsError, SubscriptionConflictError
from eventsys.forking import begins_anew_in_children
from eventsys.model.subscription import Subscription
from eventsys.store.hosts import HostStore
from eventsys.store.set_version import begin_era, has_lost_data, newest_of
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
        hosts: Where every process says what it hosts.
        vigil: What tells a person of subscriptions that stand still.

    Attributes:
        duties: What others have done in each round, at its end; each says whether the next is to come soon.
    """

    def __init__(
        self,
        broker: EventBroker,
        subscriptions: SubscriptionStore,
        declarations: Declarations,
        inline: InlineHandlers,
        hosts: HostStore,
        vigil: Vigil,
    ) -> None:
        self._broker = broker
        self._subscriptions = subscriptions
        self._declarations = declarations
        self._inline = inline
        self._hosts = hosts
        self._vigil = vigil
        self._settling = SettlingTurns(broker, subscriptions)
        self.duties: list[Callable[[], bool]] = []
        self.forget()
        self.forget_process()
        begins_anew_in_children(self)

    def forget(self) -> None:
        """Begin anew, on a bus that this process has not seen."""
        self._name = ""
        self._version: str | None = None
        self._news = b""
        self._known: tuple[Subscription, ...] = ()
        self._hosted: tuple[tuple[Subscription, ...], set[bytes]] | None = None  # all had a host then, or were ended
        self._rows: dict[str, Subscription] = {}
        self._gave_way: list[HandlerActor] = []
        self._displacements = Displacements()
        self._said: tuple[Any, ...] | None = None
        self._vigil.forget()

    def forget_process(self) -> None:
        """In a forked child: whoever looks just now does so in the parent."""
        self._looking = threading.RLock()

    def make_round(self) -> None:
        """Do what there is to do.

        Raises:
            RedisUnavailableError: If Redis does not answer; the next round goes on.
        """
        self._renew()
        self._complete()
        self._declarations.try_again()
        self.look()
        self._end_unhosted()
        goes_on = self._settling.go_on()
        self._inline.give_away_strays()
        goes_on = self.release() or goes_on
        self._vigil.look(self._known)
        for duty in self.duties:
            goes_on = duty() or goes_on
        if goes_on:
            self._broker.presence.go_on()

    def release(self) -> bool:
        """Put deliveries that waited for a host back on their queue, where this process handles them; say if any did.

        Some of each; whoever lets go what is due goes on with the rest. What another application declared otherwise is
        not handled here unless its queue is read, whatever queue it has in the declaration of this process.
        """
        presence, rows = self._broker.presence, self._rows
        own = [actor.subscription for actor in self._declared()]
        hosted = {one.name: one.number for one in own if presence.reads(rows.get(one.name, one).queue)}
        displaced = self._displacements.among([one for one in own if presence.reads(one.queue)], rows)
        said = (presence.name, frozenset(hosted.values()), displaced)
        if said != self._said:
            self._hosts.say(*said)
            self._said = said
        waiting = self._subscriptions.waiting() & set(hosted)
        # Closed ones too: an open breaker lets none try while Redis was told that nobody here has the handler.
        for name in sorted(waiting):
            self._subscriptions.release_waiting(name, self._broker.clock.now_ms())
        return bool(waiting - self._broker.work.gates.closed)

    def settle(self, name: str, queue: str) -> bool:
        """Cancel the open deliveries of a subscription that has ended, but for what runs; say whether that was all."""
        return settle(self._broker, name, queue)

    def settle_ended(self, first: Collection[str]) -> None:
        """Cancel the open deliveries of what has ended, for a few seconds, of these first: this process ends."""
        self._settling.go_on_at_last(first)

    def _renew(self) -> bool:
        """Declare anew what lives as long as this process, where it counted as dead meanwhile, and say whether so."""
        presence = self._broker.presence
        if presence.may_have_ended:
            presence.beat()
        if presence.name == self._name:
            return False
        self._name = presence.name
        self._declarations.renew()
        return True

    def _complete(self) -> None:
        try:
            self._declarations.complete()
        except SubscriptionConflictError as error:
            # Made by another process while this one counted as dead.
            logger.warning(
                "this process hosts %s no longer: %s", error.name, error, extra={"action": "subscription_ended"}
            )

    def look(self) -> None:
        """When the set changed, see how the subscriptions stand, and stop hosting what has ended.

        Where that changed, or anything else that a round looks after, the next round is made at once.
        """
        with self._looking:
            # Before Redis is asked: another thread may declare something at any moment.
            newest = newest_of(self._declarations.version, self._version or "")
            version, news = self._subscriptions.version_and_news()
            if (version, news) != (self._version, self._news):
                self._news = news
                self._broker.presence.stir()
            self._look(version, newest)

    def _look(self, version: str, newest: str) -> None:
        """Look at the set where its version is another one, or where data was lost since the `newest` known."""
        if version == self._version and not has_lost_data(version, newest):
            return
        # Before the set is read: what another thread declares meanwhile may not be in what was read.
        successors = self._broker.work.successors
        formers = list(successors)
        declared, (version, rows) = self._declared(), self._subscriptions.all()
        if has_lost_data(version, newest):
            self._declare_again(declared, newest)
            declared, (version, rows), newest = self._declared(), self._subscriptions.all(), ""
        self._version, self._known = version, rows
        self._rows = {one.name: one for one in self._known}
        self._gave_way = [actor for actor in declared if _differs(self._rows.get(actor.actor_name), actor)]
        for former in formers:
            if former in self._rows:  # a subscription of its own again, whose deliveries are not this process's
                successors.pop(former, None)
        self._broker.work.gates.learn(self._version, self._known)
        self._vigil.watch_breakers(self._known)
        gone, known = [actor for actor in declared if actor.actor_name not in self._rows], self._version
        self._version = None if gone else known  # what cannot be done now, the next look sees to
        if gone and self._renew():  # they ended because this process was away for longer than its lease
            self._complete()
            self._look(self._subscriptions.version(), newest)
            return
        for actor in gone:
            logger.info("%s was unsubscribed elsewhere", actor.actor_name, extra={"action": "subscription_ended"})
            self._declarations.drop(actor.actor_name, only=actor)  # meanwhile it may have been declared anew
        self._version = known

    def _declare_again(self, declared: list[HandlerActor], newest: str) -> None:
        """Declare again what this process hosts: Redis has lost data since that version of the set, the newest known.

        What had given way to the declaration of another process stays so, unless that one is lost as well. It is Redis
        that tells then: others may declare theirs at this moment.
        """
        logger.warning(
            "Redis has lost data, as after a failover or when a backup is restored; this process declares again what it"
            " hosts", extra={"action": "data_lost"},
        )  # fmt: skip
        begin_era(self._broker.link, self._broker.keys, newest, self._broker.clock.real_ms())
        self._broker.presence.say_again()  # what lives as long as its hosts needs one that lives
        self._broker.work.forgetful.forget_lost()
        self._vigil.forget()
        self._said = None
        self._declarations.declare_again(declared, self._gave_way)
        self._version = None  # from here on the next round makes up for what fails
        self._complete()

    def _declared(self) -> list[HandlerActor]:
        """Return the handlers of this process that Redis was told of."""
        return [actor for actor in self._declarations.hosted() if self._declarations.is_declared(actor)]

    def _end_unhosted(self) -> None:
        """End what lives as long as its hosts and has none left.

        A host that leaves one ends it itself if it was the last. So one may have none only where it was declared since,
        or a process has ended: where neither is so, no hosts are read.
        """
        known = self._known
        mortal = [one.name for one in known if not one.persistent]
        if not mortal:
            return
        living = self._subscriptions.living()
        if self._hosted is not None and self._hosted[0] is known and self._hosted[1] == living:
            return
        for name in self._subscriptions.unhosted(mortal, living):
            if self._subscriptions.leave(name, "-"):
                logger.warning("%s ended with its last host", name, extra={"action": "subscription_ended"})
        self._hosted = known, living


def _differs(row: Subscription | None, actor: HandlerActor) -> bool:
    return row is not None and row.declaration_hash != actor.subscription.declaration_hash


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
            self._tending.look()
        except SettingsError as error:
            raise BootRefusedError(str(error)) from error
        except EventsysError as error:
            logger.warning("this worker waits for Redis: %s", error, extra={"action": "worker_waits"})
            return False
        return True
