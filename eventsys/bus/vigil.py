"""Telling a person of subscriptions that stand still: those whose breaker opened, and those nobody hosts."""

from __future__ import annotations

from collections.abc import Sequence

from eventsys.bus.system_events import SystemEvents
from eventsys.clock import Clock
from eventsys.model.subscription import Subscription, SubscriptionState
from eventsys.store.hosts import HostStore

#: Milliseconds that a persistent subscription may be without a host before a person is told: a deploy takes less.
UNHOSTED_MS = 3_600_000

#: Milliseconds between two looks at who hosts what, of each process.
_LOOK_MS = 60_000


class Vigil:
    """Reports, as troubles, what keeps deliveries from running; every process may, since a trouble begins once.

    Args:
        hosts: Who hosts what.
        system: What publishes troubles.
        clock: The time.
    """

    def __init__(self, hosts: HostStore, system: SystemEvents, clock: Clock) -> None:
        self._hosts = hosts
        self._system = system
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Begin anew, on a bus that this process has not seen."""
        self._open: set[str] | None = None
        self._looked_ms: int | None = None

    def watch_breakers(self, subscriptions: Sequence[Subscription]) -> None:
        """Report breakers that opened, and those that closed again.

        Args:
            subscriptions: All there are, as they stand now.
        """
        opened = {one.name: one for one in subscriptions if one.state is SubscriptionState.OPEN}
        if self._open is None:
            # What closed before this process began may have been reported by one that is gone.
            self._open = {one.name for one in subscriptions if one.breaker is not None}
        for name in sorted(self._open - set(opened)):
            self._system.over(f"breaker:{name}", f"the breaker of {name} is closed again; its deliveries run")
        for name, one in opened.items():
            self._system.warn(
                f"breaker:{name}",
                f"{one.breaker} attempts of {name} failed in a row, so its deliveries wait; one is let through every"
                f" {one.breaker_wait_ms / 1000:g} s until it succeeds",
                details={"subscription": name, "failures": one.breaker},
            )
        self._open = set(opened)

    def watch_hosts(self, subscriptions: Sequence[Subscription]) -> None:
        """Once a minute, note which persistent subscriptions nobody hosts; report those that stay so for an hour."""
        now_ms = self._clock.now_ms()
        # A look that lies ahead was taken before the clock was set back.
        if self._looked_ms is not None and self._looked_ms <= now_ms < self._looked_ms + _LOOK_MS:
            return
        self._looked_ms = now_ms
        hosted_numbers = self._hosts.hosts(self._clock.real_ms())
        lasting = [one for one in subscriptions if one.persistent]
        hosted = {one.name for one in lasting if one.number in hosted_numbers}
        before = self._hosts.unhosted()
        since = self._hosts.note_unhosted(now_ms, hosted, {one.name for one in lasting} - hosted)
        for name in sorted(set(before) - set(since)):
            self._system.over(f"unhosted:{name}", f"{name} is hosted again, or has ended")
        for name, since_ms in sorted(since.items()):
            if now_ms - since_ms >= UNHOSTED_MS:
                self._system.warn(
                    f"unhosted:{name}",
                    f"no worker has had the handler of {name} for {(now_ms - since_ms) // 60_000} minutes, and its"
                    " deliveries gather; deploy it, or end it with subscriptions.delete()",
                    details={"subscription": name},
                )
