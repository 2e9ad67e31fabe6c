"""The subscriptions of a bus, as every process sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from eventsys.errors import EventsysError, RedisUnavailableError, SubscriptionConflictError
from eventsys.model.priority import LANES
from eventsys.model.subscription import DECLARED, Subscription
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import read_or_pass_over, reply_of, text_of, texts_of, whole_number
from eventsys.store.scripts import script
from eventsys.store.subscription_set import SetRead, SubscriptionSet, standing, standing_of


class UnsettledError(EventsysError):
    """A subscription of this name has ended, and deliveries of it may be open: whoever declares it anew settles that.

    Attributes:
        queue: The queue that it had.
    """

    def __init__(self, name: str, queue: str) -> None:
        super().__init__(f"subscription {name!r} has ended and is not settled; settle it and declare it again")
        self.queue = queue


class RenamedError(EventsysError):
    """Newer code has given a subscription another name, and a living process hosts it: older code declares no more.

    Attributes:
        successor: The name that it has now.
        number: Its number.
    """

    def __init__(self, name: str, successor: str, number: int) -> None:
        super().__init__(f"subscription {name!r} is called {successor!r} now; declare it by that name")
        self.successor = successor
        self.number = number


class Saved(NamedTuple):
    """What came of a declaration.

    Attributes:
        number: The subscription's number.
        version: The version of the set since then.
        former: The former names that lead to it.
        replaced: The declaration that gave way to this one; None where there was none, or it was the same.
        led_to: What the name of one that code declares led to until now, and that stays; empty where there is none.
    """

    number: int
    version: str
    former: list[str]
    replaced: Subscription | None = None
    led_to: str = ""


class SubscriptionStore:
    """The set of subscriptions, and its version, which grows with every change.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._set = SubscriptionSet(link, keys)

    def save(
        self, subscription: Subscription, now_ms: int, *, host: str = "", taken_over: str = "", how: str = ""
    ) -> Saved:
        """Declare a subscription, and return what came of it.

        Nothing is written when the declaration is known already.

        Args:
            subscription: What is declared.
            now_ms: Real time, which leases are measured in.
            host: The process it lives as long as, one of perhaps several; empty when it outlives them all.
            taken_over: The queue of one of this name that has ended, if what runs of it may be the new one's.
            how: How a name that leads to another is declared: `again`, after a `RenamedError`, which is raised until
                nobody has hosted that other one for a while; `apart`, as one of its own whoever hosts that one. Or
                `absent`: only where nothing has its name, since it had given way to what may be there still.

        Raises:
            RenamedError: If the name leads to one that a living process hosts; nothing is written.
            UnsettledError: If one of this name has ended and may have open deliveries; nothing is written.
            SubscriptionConflictError: If it is made at run time, and is another one already; nothing is written.
        """
        declaring = self._declaring(subscription, now_ms, host, taken_over, how)
        return _saved(subscription, self._link.run(script("save_subscription"), *declaring))

    def save_some(self, declared: Sequence[tuple[Subscription, str, str]], now_ms: int) -> list[Saved | None]:
        """Declare subscriptions, each with its host and how, in one round trip, and return what `save` does of each.

        None stands where one is not declared, for whatever reason: `save` tells it.
        """
        sha = script("save_subscription").sha
        try:
            outcomes = self._link.pipeline(
                [("EVALSHA", sha, 1, *self._declaring(one, now_ms, host, how=how)) for one, host, how in declared]
            )
        except RedisUnavailableError:
            return [None] * len(declared)
        return [
            None if isinstance(outcome, Exception) or isinstance(outcome[0], bytes) else _saved(subscription, outcome)
            for (subscription, *_), outcome in zip(declared, outcomes, strict=True)
        ]

    def _declaring(
        self, subscription: Subscription, now_ms: int, host: str, taken_over: str = "", how: str = ""
    ) -> tuple[str | int, ...]:
        row = subscription.model_dump_json(exclude={"number", "revision", "state"}).removesuffix("}")
        name, declaration_hash = subscription.name, subscription.declaration_hash
        return (self._keys.prefix, name, declaration_hash, row, host, now_ms, taken_over, how, *subscription.was)

    def remove(self, name: str) -> bool:
        """End a subscription, and say whether there was one. `settle` cancels what is open."""
        return bool(self._link.run(script("remove_subscription"), self._keys.prefix, name, ""))

    def leave(self, name: str, host: str) -> bool:
        """Let a process host a subscription no longer, and say whether that ended it: no living process hosts it.

        One that is persistent by now stays.

        Args:
            name: The subscription.
            host: The process; "-" for nobody, to see only whether any host lives.
        """
        return bool(self._link.run(script("remove_subscription"), self._keys.prefix, name, host))

    def get(self, name: str) -> Subscription | None:
        """Return the subscription of this name, or None."""
        row, *states = self._link.read(
            [
                ("HGET", self._keys.subscriptions, name),
                ("HGET", self._keys.subscription_states, name),
                ("HGET", self._keys.open_breakers, name),
            ]
        )
        return None if row is None else standing(self._set.parsed(row), *states)

    def all(self) -> SetRead:
        """Return the version of the set, and the set as it was then or later; one read serves all until it changes."""
        return self._set.read()

    def forget(self) -> None:
        """Read the set anew: it is another bus's from now on, or Redis has lost data."""
        self._set.forget()

    def readable(self) -> list[Subscription]:
        """Return the set for somebody who looks at it: a row that cannot be read is passed over, with a warning.

        Whoever dispatches asks `all`, which raises: an event that passed over a subscription would never reach it.
        """
        rows, *kept_beside = self._link.read(
            [
                ("HGETALL", self._keys.subscriptions),
                ("HGETALL", self._keys.subscription_states),
                ("HGETALL", self._keys.open_breakers),
            ]
        )
        read = [
            read_or_pass_over(f"{self._keys.subscriptions}, field {text_of(name)}", self._set.parsed, row)
            for name, row in zip(rows[::2], rows[1::2], strict=True)
        ]
        return list(standing_of([one for one in read if one is not None], *kept_beside))

    def names(self) -> dict[int, str]:
        """Return the name behind every number ever given."""
        flat = self._link.call("HGETALL", self._keys.subscription_names)
        return {int(number): name for number, name in texts_of(flat).items() if number.isdecimal()}

    def version(self) -> str:
        """Return the version of the set."""
        return self.version_and_news()[0]

    def version_and_news(self) -> tuple[str, bytes]:
        """Return the version of the set, and what changes whenever an idle process has something to look at."""
        version, news = self._link.call("MGET", self._keys.subscriptions_version, self._keys.news)
        return text_of(version or b"0"), news or b""

    def living(self) -> set[bytes]:
        """Return the processes whose lease was not ended, by the names of their leases."""
        return set(self._link.call("ZRANGEBYSCORE", self._keys.processes, "(0", "+inf"))

    def unhosted(self, names: Sequence[str], living: set[bytes]) -> list[str]:
        """Return those that none of these processes hosts; not one whose hosts cannot be read."""
        replies = self._link.in_parts([("SMEMBERS", self._keys.hosts(name)) for name in names])
        hosts = [
            read_or_pass_over(self._keys.hosts(name), reply_of, reply)
            for name, reply in zip(names, replies, strict=True)
        ]
        return [
            name
            for name, hosting in zip(names, hosts, strict=True)
            if hosting is not None and living.isdisjoint(hosting)
        ]

    def opened(self) -> set[str]:
        """Return the subscriptions whose breaker is open, paused ones too."""
        return {text_of(name) for name in self._link.call("HKEYS", self._keys.open_breakers)}

    def ended(self) -> dict[str, str]:
        """Return the subscriptions that have ended and may have open deliveries, each with its queue."""
        flat = self._link.call("HGETALL", self._keys.subscriptions_ended)
        return texts_of(flat)

    def waiting(self) -> set[str]:
        """Return the subscriptions that have deliveries in their waiting room."""
        return {text_of(name) for name in self._link.call("SMEMBERS", self._keys.waiting)}

    def release_waiting(self, name: str, now_ms: int) -> int:
        """Put deliveries that waited back on their queue, as many as may run now; return how many, at most 500."""
        return int(self._link.run(script("release_waiting"), self._keys.prefix, now_ms, name))

    def set_state(self, name: str, state: str, now_ms: int) -> bool:
        """Pause a subscription (`paused`) or resume it (`active`); return False when there is none of this name."""
        return bool(self._link.run(script("set_subscription_state"), self._keys.prefix, now_ms, name, state) >= 0)

    def figures(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return for each subscription how many deliveries wait, since when, how many slots are taken, and how many
        dead letters it has.
        """
        per_name = 2 * len(LANES) + 2
        commands: list[tuple[Any, ...]] = []
        for name in names:
            rooms = [self._keys.room(name, lane) for lane in LANES]
            commands += [("XLEN", room) for room in rooms]
            commands += [("XRANGE", room, "-", "+", "COUNT", 1) for room in rooms]
            commands += [("ZCARD", self._keys.slots(name)), ("ZCARD", self._keys.letters_of(name))]
        replies = self._link.pipeline(commands) if commands else []
        found = {}
        for at, name in enumerate(names):
            own = replies[per_name * at : per_name * (at + 1)]
            found[name] = read_or_pass_over(f"the keys of subscription {name}", _figures, own) or _NO_FIGURES.copy()
        return found


def was_closed(link: Link, keys: Keys, name: str, first_ms: int, last_ms: int) -> bool:
    """Return whether a pause, or an open breaker, began to hold back a subscription between two moments.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        name: Its present name.
        first_ms: The first moment, in milliseconds since 1970.
        last_ms: The last one.
    """
    closings = link.call("HGET", keys.gate(name), "closings") or b""
    return any(first_ms <= (whole_number(closed_ms) or 0) <= last_ms for closed_ms in closings.split())


#: What is said of a subscription whose figures cannot be read.
_NO_FIGURES: dict[str, Any] = {"waiting": 0, "oldest_ms": None, "let_in": 0, "dead_letters": 0}


def _figures(replies: Sequence[Any]) -> dict[str, Any]:
    replies = [reply_of(reply) for reply in replies]
    lengths, heads = replies[: len(LANES)], replies[len(LANES) : 2 * len(LANES)]
    since = [int(entries[0][0].partition(b"-")[0]) for entries in heads if entries]
    let_in, dead_letters = replies[-2:]
    return {
        "waiting": sum(lengths), "oldest_ms": min(since, default=None), "let_in": let_in, "dead_letters": dead_letters,
    }  # fmt: skip


def _saved(subscription: Subscription, outcome: Sequence[Any]) -> Saved:
    if outcome[0] == b"unsettled":
        raise UnsettledError(subscription.name, outcome[1].decode())
    if outcome[0] == b"conflict":
        raise _conflict(subscription, Subscription.from_row(outcome[1]))
    if outcome[0] == b"renamed":
        raise RenamedError(subscription.name, outcome[1].decode(), int(outcome[2]))
    number, version, former, row, led_to = outcome
    place = f"the former row of {subscription.name}"
    replaced = read_or_pass_over(place, Subscription.from_row, row) if row else None
    return Saved(int(number), text_of(version), [name.decode() for name in former], replaced, led_to.decode())


def differing(one: Subscription, other: Subscription) -> list[str]:
    """Return in what two declarations of one subscription that are not the same differ."""
    said, there = one.model_dump(mode="json"), other.model_dump(mode="json")
    found = [field for field in DECLARED if said[field] != there[field]]
    return found or ["where"]  # 1 and 1.0 in a filter are equal here, and written differently


def _conflict(wanted: Subscription, present: Subscription) -> SubscriptionConflictError:
    differ = differing(wanted, present)
    whose = "code declares" if present.owner is None else f"the process {present.owner} subscribed"
    return SubscriptionConflictError(
        f"{wanted.name!r} is the name of a subscription that {whose} with another {', '.join(differ)}; give this one"
        f" another name, or the same options, or end that one: eventsys subs delete {wanted.name}",
        name=wanted.name, differ=tuple(differ),
    )  # fmt: skip
