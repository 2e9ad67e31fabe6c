"""Telling Redis what this process subscribed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from eventsys.broker.actor import HandlerActor
from eventsys.broker.broker import EventBroker
from eventsys.broker.staging import current_staging
from eventsys.bus.displacing import tell_of_both, tell_of_renamed, tell_of_replaced
from eventsys.bus.settling import settle
from eventsys.errors import SubscriptionConflictError, SubscriptionError
from eventsys.forking import begins_anew_in_children
from eventsys.model.subscription import Subscription
from eventsys.store.bus_format import check_bus_format
from eventsys.store.keys import FORMAT
from eventsys.store.subscriptions import RenamedError, Saved, SubscriptionStore, UnsettledError

#: Handlers that Redis is told of in one round trip.
_AT_ONCE = 100


class Declarations:
    """The subscriptions of this process, and which of them Redis does not know yet.

    They are made in memory, when modules are imported, and declared by the first use. A subscription that is not
    persistent lives as long as the processes that host it, so it is declared only where it is hosted: by a process
    that runs a worker, that runs the handler inside `publish`, or that subscribed it at run time.

    Args:
        broker: What the handlers are declared on.
        subscriptions: Where the set is stored.
        when_changed: Called after a handler has come or gone.
        when_dropped: Called with a handler that has gone; it must wait for nothing.

    Attributes:
        version: The version of the set that the last declaration was answered with; empty: there was none.
    """

    def __init__(
        self,
        broker: EventBroker,
        subscriptions: SubscriptionStore,
        when_changed: Callable[[], None] = lambda: None,
        *,
        when_dropped: Callable[[HandlerActor], None] = lambda _: None,
    ) -> None:
        self._broker = broker
        self._when_changed, self._when_dropped = when_changed, when_dropped
        self._subscriptions = subscriptions
        self._undeclared: list[HandlerActor] = []
        self._unhosted: list[HandlerActor] = []
        self._mortal: dict[str, HandlerActor] = {}
        self._renamed: dict[str, HandlerActor] = {}
        self._yielding: set[HandlerActor] = set()
        self._successors: dict[str, str] = {}
        self._works = False
        self._left: list[HandlerActor] = []
        self._is_checked, self.version = False, ""
        self.forget_process()
        begins_anew_in_children(self)

    def add(self, actor: HandlerActor) -> None:
        """Note a handler that Redis has to be told of; not one that is only staged.

        Raises:
            SubscriptionError: If it was what another handler of this process is, or the other way round.
        """
        if current_staging() is not None:
            return
        self._check_former_names(actor)
        with self._lock:
            is_hosted = actor.subscription.persistent or not actor.subscription.is_async
            (self._undeclared if is_hosted or actor.subscription.owner else self._unhosted).append(actor)
        self._when_changed()

    def _check_former_names(self, actor: HandlerActor) -> None:
        name, actors = actor.actor_name, self._broker.actors
        clashes = [(name, former) for former in actor.subscription.was if former in actors]
        successor = self._successors.get(name)
        if successor in actors and successor != name:
            clashes.append((successor, name))
        for present, former in clashes:
            actors.pop(name, None)
            raise SubscriptionError(
                f"{present!r} was {former!r}, which another handler of this process is; give that one another name, or"
                " leave out was="
            )
        self._successors.update(dict.fromkeys(actor.subscription.was, name))

    def adopt(self, actors: Iterable[HandlerActor]) -> None:
        """Tell Redis of handlers that are about to take the place of others, and host them.

        Raises:
            RedisUnavailableError: If Redis does not answer; those told of so far are declared twice at worst.
        """
        with self._lock:
            for actor in actors:
                self._save(actor)
                name = actor.actor_name
                self._undeclared = [one for one in self._undeclared if one.actor_name != name]
                self._unhosted = [one for one in self._unhosted if one.actor_name != name]

    def drop(self, name: str, *, only: HandlerActor | None = None) -> None:
        """Forget a handler; `only` that one, if the name is another's by now."""
        with self._lock:
            if only is not None and self._broker.actors.get(name) is not only:
                return
            dropped = self._broker.actors.pop(name, None)
            self._mortal.pop(name, None)
            self._renamed.pop(name, None)
            self._yielding = {actor for actor in self._yielding if actor.actor_name != name}
            self._undeclared = [actor for actor in self._undeclared if actor.actor_name != name]
            self._unhosted = [actor for actor in self._unhosted if actor.actor_name != name]
        self._when_changed()
        if isinstance(dropped, HandlerActor):
            self._when_dropped(dropped)

    @property
    def is_complete(self) -> bool:
        """Whether Redis knows everything that this process subscribed."""
        return self._is_checked and not self._undeclared

    def complete(self) -> None:
        """Declare what Redis does not know yet; the first time, check the stored format.

        Raises:
            RedisUnavailableError: If Redis does not answer; the next use tries again.
            SettingsError: If the bus was written by a newer version.
            SubscriptionConflictError: If one made at run time has the name of another; this process forgets it.
        """
        with self._lock:
            if not self._is_checked:
                self._check_format()
                self._is_checked = True
            while self._undeclared:
                some = self._undeclared[:_AT_ONCE]
                for actor, saved in zip(some, self._save_some(some), strict=True):
                    try:
                        self._save(actor, saved)
                    except SubscriptionConflictError:
                        self.drop(actor.actor_name)
                        raise
                del self._undeclared[: len(some)]

    def forget(self) -> None:
        """Know of nothing that Redis was told: it is another one from now on."""
        with self._lock:
            actors, self._is_checked, self.version = self.hosted(), False, ""
            self._undeclared, self._unhosted, self._mortal, self._renamed, self._yielding = [], [], {}, {}, set()
            for actor in actors:
                self.add(actor)

    def forget_process(self) -> None:
        """In a forked child: whoever declares just now does so in the parent."""
        self._lock = threading.RLock()

    def host_all(self) -> None:
        """Host the subscriptions that are not persistent too: this process runs a worker."""
        with self._lock:
            self._works = True
            self._undeclared += self._unhosted
            self._unhosted = []

    def renew(self) -> None:
        """Declare again what lives as long as its hosts: while this process was away it counted as dead."""
        with self._lock:
            self._undeclared += [actor for actor in self._mortal.values() if actor not in self._undeclared]

    def try_again(self) -> None:
        """Declare what newer code had given another name, should nobody have hosted that for a while.

        Raises:
            RedisUnavailableError: If Redis does not answer; the next round tries again.
        """
        with self._lock:
            for actor in list(self._renamed.values()):
                self._save(actor)

    def declare_again(self, actors: Iterable[HandlerActor], gave_way: Iterable[HandlerActor] = ()) -> None:
        """Have the next use declare these handlers again, as far as this process has them still: Redis lost data.

        Args:
            actors: What Redis was told of.
            gave_way: Those of them which others had declared otherwise since: what is there stays so.
        """
        with self._lock:
            self._is_checked, self.version, present = False, "", self._broker.actors
            hosted = [actor for actor in actors if present.get(actor.actor_name) is actor]
            self._yielding.update(set(gave_way) & set(hosted))
            self._undeclared += [actor for actor in hosted if actor not in self._undeclared]

    def leave(self, actors: Iterable[HandlerActor]) -> None:
        """Host these handlers no longer; what no other process hosts ends, unless code made it persistent meanwhile."""
        for actor in actors:
            self.drop(actor.actor_name)
            if actor.subscription.owner is None:
                self._left.append(actor)
            self._subscriptions.leave(actor.actor_name, self._broker.presence.name)

    def come_back(self) -> None:
        """Have what code declares, and this process left, declared by the next use; after its lease has ended."""
        with self._lock:
            left, self._left = self._left, []
            for actor in left:
                if self._broker.actors.setdefault(actor.actor_name, actor) is actor:
                    self.add(actor)

    def hosted(self) -> list[HandlerActor]:
        """Return the handlers of this process."""
        return [actor for actor in list(self._broker.actors.values()) if isinstance(actor, HandlerActor)]

    def mortal(self) -> list[HandlerActor]:
        """Return those whose subscriptions end with their hosts, this process being one."""
        with self._lock:
            return list(self._mortal.values())

    def is_declared(self, actor: HandlerActor) -> bool:
        """Say whether Redis was told of a handler of this process, and knows its subscription by that name."""
        with self._lock:
            is_known = actor.subscription.number > 0 and self._renamed.get(actor.actor_name) is not actor
            return is_known and actor not in self._undeclared and actor not in self._unhosted

    def _save_some(self, actors: Sequence[HandlerActor]) -> Sequence[Saved | None]:
        """Declare handlers in one round trip, and return what came of each; None where it has to be tried by itself."""
        if len(actors) == 1:
            return [None]
        declared = [(actor.subscription, self._host_of(actor), self._how(actor)) for actor in actors]
        return self._subscriptions.save_some(declared, self._broker.clock.real_ms())

    def _host_of(self, actor: HandlerActor) -> str:
        """Return the process that is noted as a host of a handler's subscription: this one, or none.

        Else that is said in the next round only. A subscription that is not persistent must not end before that, nor
        may older code that starts meanwhile find a renamed one without a host.
        """
        subscription = actor.subscription
        is_noted = not subscription.persistent or (self._works and bool(subscription.was))
        # The lease comes first: a host without one counts as dead, as does whoever subscribed something at run time.
        if subscription.owner is not None or is_noted:
            self._broker.presence.appear()
        if not subscription.persistent:
            self._mortal[actor.actor_name] = actor
        return self._broker.presence.name if is_noted else ""

    def _save(self, actor: HandlerActor, saved: Saved | None = None) -> None:
        subscription = actor.subscription
        if saved is None:
            try:
                saved = self._declared(subscription, self._host_of(actor), self._how(actor))
            except RenamedError as renamed:
                self._stand_back(actor, renamed)
                return
        self._renamed.pop(actor.actor_name, None)
        self._yielding.discard(actor)
        self.version = saved.version
        self._broker.work.successors.update(dict.fromkeys(saved.former, actor))
        actor.subscription = subscription.model_copy(update={"number": saved.number})
        if saved.replaced is not None:
            tell_of_replaced(saved.replaced, subscription)
        if saved.led_to and saved.led_to not in self._broker.actors:
            tell_of_both(subscription.name, saved.led_to)

    def _stand_back(self, actor: HandlerActor, renamed: RenamedError) -> None:
        """Host nothing of a subscription that newer code has renamed, but what comes under the former name still."""
        name = actor.actor_name
        actor.subscription = actor.subscription.model_copy(update={"number": renamed.number})
        self._mortal.pop(name, None)
        if name not in self._renamed:
            tell_of_renamed(name, renamed.successor)
        self._renamed[name] = actor

    def _how(self, actor: HandlerActor) -> str:
        if actor.actor_name in self._renamed:
            return "again"
        return "absent" if actor in self._yielding else ""

    def _declared(self, subscription: Subscription, host: str, how: str) -> Saved:
        """Declare a subscription; where one of this name has ended and is not settled, that comes first.

        What still runs of that one is the new one's where it has the same queue, and is cancelled where it has not.

        Raises:
            RenamedError: If its name leads to another, which living processes host and this one does not know.
        """
        taken_over = ""
        while True:
            now_ms = self._broker.clock.real_ms()
            try:
                return self._subscriptions.save(subscription, now_ms, host=host, taken_over=taken_over, how=how)
            except RenamedError as renamed:
                if renamed.successor not in self._broker.actors:
                    raise
                how = "apart"
            except UnsettledError as ended:
                is_same = ended.queue == subscription.queue
                name = subscription.name
                # Meanwhile the thread that beats may wait for the lock, or be this one.
                beat = self._broker.presence.beat_if_due
                is_settled = settle(
                    self._broker, name, ended.queue, spares=is_same, is_declared_anew=True, between=beat
                )
                if not is_settled:
                    taken_over = ended.queue

    def _check_format(self) -> None:
        link, key = self._broker.link, self._broker.keys.format
        # Read before it is written: at its memory limit Redis refuses to write, and workers must start all the same.
        stored = link.call("GET", key)
        check_bus_format(stored)
        if stored is None:
            link.call("SET", key, FORMAT, "NX")
