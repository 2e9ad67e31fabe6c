"""Which processes host which subscriptions, and since when nobody does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from eventsys.store.keys import Keys
from eventsys.store.link import Link
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

    def say(self, process: str, numbers: Collection[int]) -> None:
        """Say which subscriptions, by number, a process hosts: it has their handlers, and reads their queues."""
        text = ",".join(str(number) for number in sorted(numbers))
        self._link.run(script("host_subscriptions"), self._keys.prefix, process, text)

    def hosts(self, now_ms: int) -> dict[int, list[Host]]:
        """Return the hosts of every subscription that has any, by its number.

        Args:
            now_ms: Real time, which leases are measured in.
        """
        return self.hosts_and_unhosted(now_ms)[0]

    def hosts_and_unhosted(self, now_ms: int) -> tuple[dict[int, list[Host]], dict[str, int]]:
        """Return what `hosts` and what `unhosted` does."""
        living, flat = self._link.read(
            [("ZRANGEBYSCORE", self._keys.processes, f"({now_ms}", "+inf"), ("HGETALL", self._keys.unhosted)]
        )
        names = [name.decode() for name in living]
        replies = self._link.read([("HMGET", self._keys.process(name), *_OF_A_HOST) for name in names])
        found: dict[int, list[Host]] = {}
        for name, (host, pid, numbers) in zip(names, replies, strict=True):
            for number in (numbers or b"").split(b",") if numbers else ():
                found.setdefault(int(number), []).append(Host(name, f"{host.decode()}:{pid.decode()}"))
        return found, _since(flat)

    def note_unhosted(self, now_ms: int, hosted: Collection[str], unhosted: Collection[str]) -> Mapping[str, int]:
        """Note which subscriptions somebody hosts and which nobody does; return since when, in ms, nobody does.

        Args:
            now_ms: The clock's time.
            hosted: Names of those that are hosted.
            unhosted: Names of those that are not.
        """
        known = self.unhosted()
        over, new = sorted(set(hosted) & set(known)), sorted(set(unhosted) - set(known))
        gone = sorted(set(known) - set(hosted) - set(unhosted))
        if over or new or gone:
            self._link.run(script("note_unhosted"), self._keys.prefix, now_ms, len(new), *new, *over, *gone)
        return {**dict.fromkeys(new, now_ms), **{name: known[name] for name in set(unhosted) & set(known)}}

    def unhosted(self) -> dict[str, int]:
        """Return the subscriptions that nobody hosted when somebody last looked, and since when, in ms."""
        return _since(self._link.call("HGETALL", self._keys.unhosted))


def _since(flat: Sequence[bytes]) -> dict[str, int]:
    return {name.decode(): int(since) for name, since in zip(flat[::2], flat[1::2], strict=True)}
