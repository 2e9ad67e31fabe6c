"""Subscriptions, for whoever operates them: list, pause, resume, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from eventsys.broker.broker import EventBroker
from eventsys.bus.event_bus import EventBus
from eventsys.clock import from_ms
from eventsys.errors import NotFoundError
from eventsys.model.standing import SubscriptionStanding
from eventsys.model.subscription import Subscription, SubscriptionState
from eventsys.store.hosts import Host
from eventsys.store.metrics_look import MetricsLook
from eventsys.store.subscriptions import SubscriptionStore

Standings: TypeAlias = list[SubscriptionStanding]
Declarations: TypeAlias = list[Subscription]


class Subscriptions:
    """What stands between events and handlers, and how to hold it back; from any process of the bus.

    Args:
        bus: The bus.
    """

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._broker: EventBroker = bus.broker
        self._store: SubscriptionStore = bus.subscriptions

    def list(self, look: MetricsLook | None = None) -> Standings:
        """Return every subscription, by name, and how it stands now.

        Args:
            look: Figures that were read already, for the backlogs; None: they are read now.
        """
        subscriptions = self.declared()
        hosts, unhosted = self._bus.hosts.hosts_and_unhosted(self._broker.clock.real_ms())
        backlogs = (look or self._bus.store.metrics.look()).backlogs()
        figures = self._store.figures([one.name for one in subscriptions])
        return [
            self._standing(
                one,
                hosts.get(one.number, []),
                unhosted.get(one.name),
                {**figures[one.name], "backlog": backlogs.get(one.name, 0)},
            )
            for one in subscriptions
        ]

    def declared(self) -> Declarations:
        """Return every subscription that can be read, by name, and nothing of how it stands: one question, not six."""
        return sorted(self._store.readable(), key=lambda one: one.name)

    def get(self, name: str, look: MetricsLook | None = None) -> SubscriptionStanding:
        """Return one subscription, and how it stands now; `look` is as for `list`.

        Raises:
            NotFoundError: If there is none of this name.
        """
        found = self._store.get(name)
        if found is None:
            raise self._unknown(name)
        hosts, since_ms = self._bus.hosts.hosts_of(name, found.number, self._broker.clock.real_ms())
        backlog = look.backlogs().get(name, 0) if look else self._bus.store.metrics.look().backlog_of(name)
        return self._standing(found, hosts, since_ms, {**self._store.figures([name])[name], "backlog": backlog})

    def pause(self, name: str) -> SubscriptionStanding:
        """Hold back a subscription: within a second nothing of it begins any more, and what comes waits.

        What runs goes on. The pause outlives processes and deploys; only `resume` ends it.

        Raises:
            NotFoundError: If there is none of this name.
        """
        return self._set(name, "paused")

    def resume(self, name: str) -> SubscriptionStanding:
        """Let a paused subscription go on: what waits first, in the order it came, then what is new.

        Raises:
            NotFoundError: If there is none of this name.
        """
        return self._set(name, "active")

    def delete(self, name: str) -> None:
        """End a subscription, whether or not it is persistent; its open deliveries end as cancelled, but for what runs.

        Those on a queue that it shares with others, and those that wait for their next attempt there, end now where no
        living process reads that queue, else when a worker comes to them; declared anew by then, the subscription
        handles them. It may take minutes where there are millions. A process that still has its handler does not
        declare it again until it starts anew. Its dead letters stay.

        Raises:
            NotFoundError: If there is none of this name.
        """
        self._bus.prepare()
        known = self._store.get(name)
        if known is None:
            raise self._unknown(name)
        self._bus.unsubscribe(known.pattern, name)

    def _set(self, name: str, state: str) -> SubscriptionStanding:
        self._bus.prepare()
        if not self._store.set_state(name, state, self._broker.clock.now_ms()):
            raise self._unknown(name)
        self._bus.tending.look()
        return self.get(name)

    @staticmethod
    def _standing(
        subscription: Subscription, hosts: Sequence[Host], since_ms: int | None, figures: dict[str, Any]
    ) -> SubscriptionStanding:
        state = subscription.state
        if not hosts and state is not SubscriptionState.PAUSED:
            state = SubscriptionState.UNHOSTED
        oldest_ms = figures.pop("oldest_ms")
        return SubscriptionStanding(
            name=subscription.name,
            state=state,
            hosts=tuple(host.address for host in hosts),
            unhosted_since=None if hosts or since_ms is None else from_ms(since_ms),
            oldest_waiting=None if oldest_ms is None else from_ms(oldest_ms),
            subscription=subscription,
            **figures,
        )

    def _unknown(self, name: str) -> NotFoundError:
        return NotFoundError(f"no subscription is named {name!r}; eventsys subs ls shows all")
