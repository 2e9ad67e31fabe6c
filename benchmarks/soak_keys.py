"""What a bus holds in Redis, by families of keys: how many keys, how much in them, and how many bytes they take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

#: How the names of keys begin that there are many of, one an event, a type, a minute and so on.
_MANY = (
    "type:cron.", "type:system.", "type:", "chain:cron:", "chain:", "event:", "effects:", "once:", "status:", "queue:",
    "waiting:", "gate:", "slots:", "metrics:minute:", "metrics:type:", "metrics:delivery:", "metrics:times:",
    "delayed:ids:", "delayed:keys:", "delayed:chain:", "dead:", "letters:", "replay:", "cron:task:", "cron:open:",
    "cron:history:", "process:", "sweep:", "subscriptions:hosts:",
)  # fmt: skip

#: What bounds a family, in a soak; the rest is bounded by how many types, subscriptions, tasks and processes there are.
BOUNDS = {
    "log:10": "retention", "log:8": "retention", "log:5": "retention", "log:1": "retention",
    "log:cron": "10,000 events, reached in five minutes", "log:system": "10,000 events",
    "type:*": "retention", "type:cron.*": "as log:cron", "type:system.*": "as log:system",
    "chain:*": "retention", "chain:cron:*": "as log:cron", "event:*": "as the logs",
    "status:*": "retention", "effects:*": "twice the time that steps are remembered, here 2 min",
    "metrics:minute:*": "two hours", "periodic:ticks": "a day", "cron:history:*": "100 runs a task",
    "pending": "what is open", "expiring": "what is open", "queue:*": "what is open", "delayed:due": "what waits",
    "delayed:bodies": "what waits", "delayed:ids:*": "what waits", "delayed:chain:*": "what waits",
    "metrics:journal": "ten seconds", "metrics:aside": "ten seconds",
}  # fmt: skip

_LENGTHS = {b"stream": "XLEN", b"hash": "HLEN", b"zset": "ZCARD", b"set": "SCARD", b"list": "LLEN"}

_AT_ONCE = 200


class Family(NamedTuple):
    """Keys whose names begin alike.

    Attributes:
        keys: How many there are.
        entries: Entries, fields or members in them together; a string is one.
        bytes: What Redis says that they take.
    """

    keys: int
    entries: int
    bytes: int

    def plus(self, other: Family) -> Family:
        """Return both together."""
        return Family(*(one + another for one, another in zip(self, other, strict=True)))


NONE = Family(0, 0, 0)


@dataclass(frozen=True)
class Look:
    """What Redis holds at one moment.

    Attributes:
        at_s: Seconds since the beginning.
        families: What the keys of the bus take, by family.
        others: Bytes that Redis needs for all else, by what for.
        used_bytes: All that it uses.
    """

    at_s: float
    families: Mapping[str, Family]
    others: Mapping[str, int]
    used_bytes: int


def look_into(client: Any, prefix: str, at_s: float) -> Look:
    """Return what a bus holds now, key by key: some 20 µs of Redis's time for each, in small pieces."""
    families: dict[str, Family] = {}
    cursor = 0
    while True:
        cursor, keys = client.scan(cursor, match=f"{prefix}:*", count=_AT_ONCE)
        for key, found in _families_of(client, keys):
            name = family_of(key.decode(errors="replace").removeprefix(f"{prefix}:"))
            families[name] = families.get(name, NONE).plus(found)
        if cursor == 0:
            break
    stats = client.memory_stats()
    return Look(at_s, families, _others_in(stats), stats["total.allocated"])


def family_of(name: str) -> str:
    """Return the family of a key whose name is given without the prefix of the bus."""
    for beginning in _MANY:
        if name.startswith(beginning):
            return f"{beginning}*"
    return name


def _families_of(client: Any, keys: list[bytes]) -> list[tuple[bytes, Family]]:
    facts = client.pipeline(transaction=False)
    for key in keys:
        facts.type(key)
        facts.memory_usage(key, samples=0)
    told = facts.execute()
    kinds = dict(zip(keys, zip(told[::2], told[1::2], strict=True), strict=True))
    lengths = client.pipeline(transaction=False)
    for key, (kind, _) in kinds.items():
        lengths.execute_command(_LENGTHS.get(kind, "EXISTS"), key)
    return [
        (key, Family(1, entries, size))
        for (key, (_, size)), entries in zip(kinds.items(), lengths.execute(), strict=True)
        if size is not None  # it went meanwhile
    ]


def _others_in(stats: Mapping[str, Any]) -> dict[str, int]:
    tables = [table for name, table in stats.items() if name.startswith("db.")]
    return {
        "Redis itself, empty": stats["startup.allocated"],
        "clients": stats["clients.normal"],
        "buffer of the append-only file": stats["aof.buffer"],
        "scripts": stats.get("lua.caches", 0),
        "tables of keys": sum(size for table in tables for name, size in table.items() if "hashtable" in name),
    }
