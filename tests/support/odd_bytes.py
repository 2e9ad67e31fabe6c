"""A bus with something under every family of keys, what its keys are replaced by, and all that reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis

from eventsys import Event, EventFilter, EventService, EventsysError, Priority, Reject
from eventsys.model.dead_letter import DeadLetterFilter
from eventsys.model.status import EventStatus
from eventsys.runtime.doctor import examine
from eventsys.runtime.exposition import prometheus_text
from eventsys.testing import EventHarness

KEYS_PAGE = Path(__file__).parents[2] / "docs" / "keys.md"

#: Families that this bus has nothing under: nobody reads them but scripts, or they are there for a moment only.
ABSENT = {
    "cron:declared", "delayed:failed", "delayed:flush:<queue>", "metrics:aside", "names:gone", "periodic:doubled",
    "periodic:specs", "periodic:ticks", "releases", "scratch", "settling", "settling:<subscription>",
    "subscriptions:ended", "subscriptions:hosts:<name>", "wake",
}  # fmt: skip

Store = redis.Redis


class BankDownError(Exception):
    """What a handler fails with."""


def fill(events: EventService, harness: EventHarness) -> None:
    """Let something happen of every kind, twice where one odd row could hide another."""

    @events.on("odd.#", name="all.takes")
    def take(event: Event) -> None:
        if event.type == "odd.first":
            events.publish("odd.next", {"n": 2})

    @events.on("odd.first", name="all.fails")
    def fail(event: Event) -> None:
        raise Reject("it cannot be")

    @events.on("odd.retried", name="all.retries", max_retries=3, retry_delay="1h")
    def retry(event: Event) -> None:
        raise BankDownError("closed")

    @events.on("odd.tidy", name="all.tidies")
    def tidy(event: Event) -> None:
        pass

    @events.on("odd.held", name="all.held", rate="100/s", concurrency=2)
    def hold(event: Event) -> None:
        with events.once(event, "step") as is_due:
            assert is_due

    events.bus.prepare()
    for number in range(2):
        events.cron.create(f"tidy-{number}", "*/5 * * * *", "odd.tidy")
        events.schedule("odd.later", {"n": number}, delay="10m", key=f"near-{number}", correlation_id="chain")
        events.schedule("odd.later", {"n": number}, delay="3d", key=f"far-{number}", correlation_id="chain")
        events.publish("odd.first", {"n": number}, idempotency_key=f"once-{number}", priority=Priority.HIGH)
        events.publish("odd.retried", {"n": number})
        events.publish("odd.held", {"n": number})
        events.publish("odd.late", {"n": number}, expire_after="1d")
    harness.advance(minutes=6)
    events.cancel(events.schedule("odd.never", {}, delay="1h").id)
    events.subscriptions.pause("all.held")
    events.subscriptions.pause("all.tidies")
    events.publish("odd.held", {"n": 3}, expire_after="1d")
    for number in range(2):
        events.cron.run_now(f"tidy-{number}")
    for _ in range(2):
        events.replays.replay("all.takes", EventFilter(types=("odd.next",)))
    harness.run()
    events.bus.system.warn("something", "goes wrong", rule="test")
    events.bus.system.warn("something-else", "goes wrong", rule="test")
    assert events.bus.system.flush(60)
    events.machinery.control.pause("tests")
    events.sweeps.run_all()
    _by_hand(events)


def _by_hand(events: EventService) -> None:
    """Store what only accidents leave, as docs/keys.md says that it looks."""
    call, prefix = events.broker.link.call, events.broker.keys.prefix
    call("HSET", f"{prefix}:crashes", f"{prefix}:queue:tests:5|1795480641690-1", 1)
    call("HSET", f"{prefix}:subscriptions:renamed", "all.took", "all.takes")
    call("HSET", f"{prefix}:subscriptions:open", "all.fails", 1795480641690)
    call("HSET", f"{prefix}:subscriptions:unhosted", "all.retries", 1795480641690)
    call("ZADD", f"{prefix}:slots:all.held", 1795480641690, f"{prefix}:queue:tests:5|1795480641690-1")
    call("HSET", f"{prefix}:periodic:last", "ticks", 1795480641690)
    call("SET", f"{prefix}:poller", "1795480641690 nobody")


def documented() -> list[str]:
    """Return every family of keys, as docs/keys.md names it."""
    rows = re.findall(
        r"^\| (`[^|]*`) \| (?:string|hash|list|set|sorted set|stream|channel|) ?\|", KEYS_PAGE.read_text(), re.M
    )
    return sorted({name for row in rows for name in re.findall(r"`([^`]+)`", row)})


def families(store: Store, prefix: str) -> dict[str, list[bytes]]:
    """Return the keys there are, by the family that docs/keys.md names."""
    keys = sorted(store.scan_iter(match=prefix.replace("[", "?") + ":*"))
    names = sorted(documented(), key=lambda name: (name.count("<"), -len(name)))
    found: dict[str, list[bytes]] = {}
    for key in keys:
        short = key.decode("utf-8", "replace").removeprefix(f"{prefix}:")
        family = next((name for name in names if _pattern(name).fullmatch(short)), None)
        if family is not None:
            found.setdefault(family, []).append(key)
    return found


def _pattern(family: str) -> re.Pattern[str]:
    text = re.escape(family).replace("<lane>", "(10|8|5|1)").replace("<class>", "(system|cron)")
    return re.compile(re.sub(r"<[^>]+>", ".+", text), re.DOTALL)


class Snapshot:
    """What a store has, to be put back."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        keys = sorted(store.scan_iter(match=f"{prefix}:*"))
        self._kept = {key: store.dump(key) for key in keys}

    def put_back(self) -> None:
        with self._store.pipeline(transaction=False) as pipe:
            pipe.flushdb()
            for key, dump in self._kept.items():
                pipe.restore(key, 0, dump)
            pipe.execute()


def _another_kind(store: Store, key: bytes) -> None:
    is_text = store.type(key) == b"string"
    store.delete(key)
    if is_text:
        store.rpush(key, b"a list")
    else:
        store.set(key, b"\xff a string")


def _values(store: Store, key: bytes, value: bytes, *, name: bytes, score: float) -> None:
    """Replace all that is stored under a key, where it keeps its kind, and add something of an odd name."""
    kind = store.type(key).decode()
    if kind == "string":
        store.set(key, value)
    elif kind == "hash":
        store.hset(key, mapping={**dict.fromkeys(store.hkeys(key), value), name: value})
    elif kind == "list":
        length = store.llen(key)
        store.delete(key)
        store.rpush(key, *[value] * length, name)
    elif kind == "set":
        store.sadd(key, name)
    elif kind == "zset":
        store.zadd(key, {**dict.fromkeys(store.zrange(key, 0, -1), score), name: score})
    elif kind == "stream":
        entries = store.xrange(key)
        newest = entries[-1][0].partition(b"-")[0] if entries else b"1"
        store.xadd(key, {name: value}, id=newest + b"-9999999")


def _without_fields(store: Store, key: bytes) -> None:
    kind = store.type(key)
    if kind != b"hash":
        _values(store, key, b"", name=b"", score=0.0)
        return
    first, *others = store.hkeys(key)
    if others:
        store.hdel(key, first, *others[: len(others) // 2])


#: What becomes of a key.
DAMAGE: Mapping[str, Callable[[Store, bytes], None]] = {
    "another kind": _another_kind,
    "no text": lambda store, key: _values(store, key, b"\xff\xfe\x00\x80", name=b"\xff\x80", score=float("inf")),
    "no JSON": lambda store, key: _values(store, key, b"nonsense", name=b"nonsense", score=-1.5),
    "JSON of another shape": lambda store, key: _values(store, key, b'{"format":1,"a":[]}', name=b"[]", score=0.5),
    "huge numbers": lambda store, key: _values(store, key, b"9" * 5000, name=b"9" * 30, score=1e300),
    "infinite numbers": lambda store, key: _values(store, key, b"1e999", name=b"inf", score=float("-inf")),
    "missing fields": _without_fields,
}


def readers(events: EventService, ids: list[str], letters: list[str]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Give all that reads what is stored, by name."""
    store, delayed = events.store, events.delayed
    for at, one in enumerate(ids):
        yield f"get_event {at}", lambda one=one: events.get_event(one)
        yield f"status_of {at}", lambda one=one: store.status_of(one)
        yield f"get_delayed_event {at}", lambda one=one: events.get_delayed_event(one)
    filters = {
        "all": EventFilter(), "second page": EventFilter(page=2, page_size=2), "oldest": EventFilter(order="oldest"),
        "ids": EventFilter(ids=tuple(ids)), "types": EventFilter(types=("odd.#",)), "text": EventFilter(text="n"),
        "chain": EventFilter(correlation_id=ids[0]), "subscription": EventFilter(subscription="all.takes"),
        **{str(status): EventFilter(status=status) for status in EventStatus},
    }  # fmt: skip
    for name, wanted in filters.items():
        yield f"get_event_records {name}", lambda wanted=wanted: events.get_event_records(wanted)
    for name in ("all", "ids", "types", "text", "chain", "cancelled", "delivered"):
        wanted = filters[name]
        yield f"get_delayed_events {name}", lambda wanted=wanted: events.get_delayed_events(wanted)
    yield "trace", lambda: store.trace(ids[0])
    yield "export", lambda: list(store.export())
    yield "get_waiting_retries", delayed.get_waiting_retries
    yield "get_waiting_retries of one", lambda: delayed.get_waiting_retries("all.retries")
    yield "get_pending_count", delayed.get_pending_count
    yield "get_ready_events", store.get_ready_events
    yield "get_metrics", events.get_metrics
    yield "get_metrics by type", lambda: events.get_metrics("type")
    yield "get_metrics by subscription", lambda: events.get_metrics("subscription")
    yield "prometheus", lambda: prometheus_text(events)
    yield "dead_letters.list", events.dead_letters.list
    yield "dead_letters.list of type", lambda: events.dead_letters.list(DeadLetterFilter(types=("odd.#",)))
    yield "dead_letters.count", events.dead_letters.count
    yield "dead_letters.redrive_all", lambda: events.dead_letters.redrive_all(dry_run=True)
    for at, one in enumerate(letters):
        yield f"dead_letters.show {at}", lambda one=one: events.dead_letters.show(one)
    yield "subscriptions.list", events.subscriptions.list
    yield "subscriptions.get", lambda: events.subscriptions.get("all.takes")
    yield from (("cron.list", events.cron.list), ("cron.lines", events.cron.lines))
    yield "cron.get", lambda: events.cron.get("tidy-0")
    yield "cron.history", lambda: events.cron.history("tidy-0")
    yield "cron.newest_runs", lambda: events.cron.newest_runs(["tidy-0", "tidy-1"])
    yield "replays.list", events.replays.list
    for at, one in enumerate(events.replays.list()):
        yield f"replays.get {at}", lambda one=one: events.replays.get(one.id)
    yield "machinery.processes", events.machinery.processes
    yield "machinery.queues", events.machinery.queues
    yield "machinery.in_hand", events.machinery.in_hand
    yield "queues paused", events.machinery.control.paused
    yield "sweeps.states", events.sweeps.states
    yield "troubles", events.bus.system.troubles
    yield "history size", events.bus.housekeeping.retention.size
    yield "doctor", lambda: examine(events)


def touched(store: Store, reads: Iterator[tuple[str, Callable[[], Any]]]) -> dict[str, set[str]]:
    """Let all readers read, and return for each the words of what Redis was asked, by scripts too: keys among them."""
    found: dict[str, set[str]] = {}
    with store.monitor() as monitor:
        for name, read in reads:
            with suppress(EventsysError):
                read()
            store.echo(f"end of {name}")
            asked = found[name] = set()
            while f"end of {name}" not in (command := monitor.next_command()["command"]):
                asked.update(command.split())
    return found
