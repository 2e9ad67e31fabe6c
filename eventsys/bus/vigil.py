"""Telling a person of subscriptions that stand still: those whose breaker opened, and those nobody hosts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from eventsys.bus.system_events import SystemEvents
from eventsys.clock import Clock
from eventsys.model.subscription import Subscription, SubscriptionState
from eventsys.store.hosts import HostStore
from eventsys.store.subscriptions import SubscriptionStore

#: Milliseconds that a persistent subscription may be without a host before a person is told: a deploy takes less.
UNHOSTED_MS = 3_600_000

#: Milliseconds between two looks at who hosts what, of each process.
_LOOK_MS = 60_000

#: What the keys of the troubles begin with; the name of the subscription follows.
_BREAKER, _UNHOSTED = "breaker:", "unhosted:"


class Vigil:
    """Reports, as troubles, what keeps deliveries from running; every process may, since a trouble begins once.

    Args:
        hosts: Who hosts what.
        subscriptions: Whose breakers are open.
        system: What publishes troubles.
        clock: The time.
    """

    def __init__(self, hosts: HostStore, subscriptions: SubscriptionStore, system: SystemEvents, clock: Clock) -> None:
        self._hosts = hosts
        self._subscriptions = subscriptions
        self._system = system
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Begin anew, on a bus that this process has not seen."""
        self._open: set[str] = set()
        self._looked_ms: int | None = None

    def watch_breakers(self, subscriptions: Sequence[Subscription]) -> None:
        """Report breakers that opened, and those that closed again.

        One that is paused does not say whether its breaker is open: `look` finds out.

        Args:
            subscriptions: All there are, as they stand now.
        """
        present = {one.name: one for one in subscriptions}
        opened = {one.name for one in subscriptions if one.state is SubscriptionState.OPEN}
        unsaid = {name for name in self._open if name in present and present[name].state is SubscriptionState.PAUSED}
        for name in sorted(self._open - opened - unsaid):
            self._system.over(f"{_BREAKER}{name}", _closed(name, present.get(name)))
        for name in sorted(opened):
            one = present[name]
            self._system.warn(
                f"{_BREAKER}{name}",
                f"{one.breaker} attempts of {name} failed in a row, so its deliveries wait; one is let through every"
                f" {one.breaker_wait_ms / 1000:g} s until it succeeds",
                details={"subscription": name, "failures": one.breaker},
            )
        self._open = opened | unsaid

    def look(self, subscriptions: Sequence[Subscription]) -> None:
        """Once a minute, report persistent subscriptions that nobody has hosted for an hour, and end what is over.

        That is found among what was told, by whichever process: of a subscription that ended, or has another name,
        nothing else is left, and the process that told of it may be gone.

        Args:
            subscriptions: All there are, as they stand now.
        """
        now_ms = self._clock.now_ms()
        # A look that lies ahead was taken before the clock was set back.
        if self._looked_ms is not None and self._looked_ms <= now_ms < self._looked_ms + _LOOK_MS:
            return
        self._looked_ms = now_ms
        # Read before what it is compared with: what another process tells from here on is newer than that.
        told = [trouble.key for trouble in self._system.troubles()]
        present = {one.name: one for one in subscriptions}
        self._end_breakers(_names(told, _BREAKER), present)
        self._watch_hosts(_names(told, _UNHOSTED), present, now_ms)

    def _end_breakers(self, told: set[str], present: Mapping[str, Subscription]) -> None:
        if not told:
            return
        for name in sorted(told - self._subscriptions.opened()):
            self._system.over(f"{_BREAKER}{name}", _closed(name, present.get(name)))

    def _watch_hosts(self, told: set[str], present: Mapping[str, Subscription], now_ms: int) -> None:
        hosted_numbers = self._hosts.hosted_numbers(self._clock.real_ms())
        lasting = [one for one in present.values() if one.persistent]
        hosted = {one.name for one in lasting if one.number in hosted_numbers}
        since = self._hosts.note_unhosted(now_ms, hosted, {one.name for one in lasting} - hosted)
        for name in sorted(told - set(since)):
            message = f"{name} is hosted again" if name in present else _gone(name)
            self._system.over(f"{_UNHOSTED}{name}", message)
        for name, since_ms in sorted(since.items()):
            if now_ms - since_ms >= UNHOSTED_MS:
                self._system.warn(
                    f"{_UNHOSTED}{name}",
                    f"no worker has had the handler of {name} for {(now_ms - since_ms) // 60_000} minutes, and its"
                    " deliveries gather; deploy it, or end it with subscriptions.delete()",
                    details={"subscription": name},
                )


def _names(keys: Iterable[str], rule: str) -> set[str]:
    """Return the subscriptions that the troubles of one rule are about."""
    return {key.removeprefix(rule) for key in keys if key.startswith(rule)}


def _closed(name: str, one: Subscription | None) -> str:
    if one is None:
        return _gone(name)
    state = "it is paused" if one.state is SubscriptionState.PAUSED else "its deliveries run"
    return f"the breaker of {name} is closed again; {state}"


def _gone(name: str) -> str:
    return f"{name} has ended, or has another name now"
