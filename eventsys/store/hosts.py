"""Which processes host which subscriptions, and since when nobody does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from eventsys.model.machinery import Displaced
from eventsys.store.channel import Command
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import numbers_of, read_or_pass_over, reply_of, text_of, whole_number
from eventsys.store.scripts import script

_OF_A_HOST = ("host", "pid", "subscriptions")


class Host(NamedTuple):
    """A living process that hosts a subscription.

    Attributes:
        process: Its lease name.
        address: `host:pid`.
    """

    process: str
    address: str


class HostStore:
    """What each living process says it hosts.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def say(self, process: str, numbers: Collection[int], displaced: Sequence[Displaced] = ()) -> None:
        """Say which subscriptions a process hosts, and which it would, had nobody declared them otherwise.

        Args:
            process: Its lease name.
            numbers: Of those it hosts: it has their handlers, and reads their queues.
            displaced: Those of its declarations that do not hold.
        """
        text = ",".join(str(number) for number in sorted(numbers))
        others = msgspec.json.encode([one.model_dump() for one in displaced]) if displaced else b""
        self._link.run(script("host_subscriptions"), self._keys.prefix, process, text, others)

    def is_read(self, queue: str, now_ms: int) -> bool:
        """Say whether a living process reads a queue.

        Args:
            queue: The queue.
            now_ms: Real time, which leases are measured in; 0: those that are overdue count as long as none ended them.
        """
        living = self._link.call("ZRANGEBYSCORE", self._keys.processes, f"({now_ms}", "+inf")
        commands = [("HGET", self._keys.process(text_of(name)), "queues") for name in living]
        replies = self._link.pipeline(commands) if commands else []
        return any(queue in text_of(reply_of(reply) or b"").split(",") for reply in replies)

    def is_hosted_as_declared(self, name: str, now_ms: int) -> bool:
        """Say whether a living process hosts a subscription by the declaration that holds.

        Args:
            name: The subscription.
            now_ms: Real time, which leases are measured in.
        """
        living = ("ZRANGEBYSCORE", self._keys.processes, f"({now_ms}", "+inf")
        number, processes = self._link.read([("HGET", self._keys.subscription_numbers, name), living])
        keys = [self._keys.process(text_of(process)) for process in processes] if number is not None else []
        replies = self._link.pipeline([("HMGET", key, "subscriptions", "displaced") for key in keys]) if keys else []
        return any(
            read_or_pass_over(key, _hosts_as_declared, name, number, reply)
            for key, reply in zip(keys, replies, strict=True)
        )

    def hosted_numbers(self, now_ms: int) -> set[int]:
        """Return the numbers of the subscriptions that a living process hosts.

        Args:
            now_ms: Real time, which leases are measured in.
        """
        living = self._link.call("ZRANGEBYSCORE", self._keys.processes, f"({now_ms}", "+inf")
        keys = [self._keys.process(text_of(name)) for name in living]
        replies = self._link.pipeline([("HGET", key, "subscriptions") for key in keys]) if keys else []
        said = {read_or_pass_over(key, reply_of, reply): key for key, reply in zip(keys, replies, strict=True)}
        return {number for text, key in said.items() for number in read_or_pass_over(key, _numbers, text) or ()}

    def hosts_and_unhosted(self, now_ms: int) -> tuple[dict[int, list[Host]], dict[str, int]]:
        """Return the hosts of every subscription that has any, by its number, and what `unhosted` does.

        Args:
            now_ms: Real time, which leases are measured in.
        """
        processes, flat = self._living(now_ms, ("HGETALL", self._keys.unhosted))
        found: dict[int, list[Host]] = {}
        for name, reply in processes:
            for number, host in read_or_pass_over(self._keys.process(name), _hosted, name, reply) or ():
                found.setdefault(number, []).append(host)
        return found, numbers_of(self._keys.unhosted, flat)

    def hosts_of(self, subscription: str, number: int, now_ms: int) -> tuple[list[Host], int | None]:
        """Return the hosts of one subscription, and since when, in ms, nobody hosted it when somebody last looked.

        Args:
            subscription: Its name.
            number: Its number.
            now_ms: Real time, which leases are measured in.
        """
        processes, since = self._living(now_ms, ("HGET", self._keys.unhosted, subscription))
        found = [
            read_or_pass_over(self._keys.process(name), _host_of, name, str(number).encode(), reply)
            for name, reply in processes
        ]
        return [host for host in found if host is not None], whole_number(since)

    def _living(self, now_ms: int, also: Command) -> tuple[list[tuple[str, Any]], Any]:
        """Return what each living process says of itself, by its lease name; and the reply to another command."""
        living, answer = self._link.read([("ZRANGEBYSCORE", self._keys.processes, f"({now_ms}", "+inf"), also])
        names = [text_of(name) for name in living]
        commands = [("HMGET", self._keys.process(name), *_OF_A_HOST) for name in names]
        return list(zip(names, self._link.pipeline(commands) if commands else [], strict=True)), answer

    def note_unhosted(self, now_ms: int, hosted: Collection[str], unhosted: Collection[str]) -> Mapping[str, int]:
        """Note which subscriptions somebody hosts and which nobody does; return since when, in ms, nobody does.

        A time that lies ahead was noted before the clock was set back, and counts from now on.

        Args:
            now_ms: The clock's time.
            hosted: Names of those that are hosted.
            unhosted: Names of those that are not.
        """
        known = self.unhosted()
        past = {name for name, since_ms in known.items() if since_ms <= now_ms}
        over, new = sorted(set(hosted) & set(known)), sorted(set(unhosted) - past)
        gone = sorted(set(known) - set(hosted) - set(unhosted))
        if over or new or gone:
            self._link.run(script("note_unhosted"), self._keys.prefix, now_ms, len(new), *new, *over, *gone)
        return {**dict.fromkeys(new, now_ms), **{name: known[name] for name in set(unhosted) & past}}

    def unhosted(self) -> dict[str, int]:
        """Return the subscriptions that nobody hosted when somebody last looked, and since when, in ms."""
        return numbers_of(self._keys.unhosted, self._link.call("HGETALL", self._keys.unhosted))


def _hosted(process: str, reply: Any) -> list[tuple[int, Host]]:
    """Return the numbers of the subscriptions that a process says it hosts, each with that process."""
    host, pid, numbers = reply_of(reply)
    own = _host(process, host, pid)
    return [(number, own) for number in _numbers(numbers)]


def _host_of(process: str, number: bytes, reply: Any) -> Host | None:
    """Return a process if it says that it hosts the subscription of a number."""
    host, pid, numbers = reply_of(reply)
    return _host(process, host, pid) if number in (numbers or b"").split(b",") else None


def _host(process: str, host: bytes | None, pid: bytes | None) -> Host:
    return Host(process, f"{text_of(host or b'')}:{text_of(pid or b'')}")


def _numbers(said: bytes | None) -> list[int]:
    """Return the numbers of subscriptions that stand there by comma."""
    return [int(number) for number in said.split(b",")] if said else []


def _hosts_as_declared(name: str, number: bytes, reply: Any) -> bool:
    numbers, displaced = reply_of(reply)
    if number not in (numbers or b"").split(b","):
        return False
    return all(one["subscription"] != name for one in msgspec.json.decode(displaced or b"[]"))
