"""Stored bytes that none of ours wrote: every reader says so in an error of ours, or goes on without them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from starlette.testclient import TestClient
from typer.testing import CliRunner

from eventsys import EventService, EventsysError
from eventsys.cli.commands import app as commands
from eventsys.dashboard import dashboard
from eventsys.testing import EventHarness, SessionRedis
from tests.support.odd_bytes import ABSENT, DAMAGE, Snapshot, documented, families, fill, readers, touched


class Bus:
    """A bus with something under every family of keys.

    Args:
        harness: What it was filled with.
    """

    def __init__(self, harness: EventHarness) -> None:
        events = harness.events
        self.events, self.url = events, harness._url
        self.store = redis.Redis.from_url(self.url)
        prefix = events.broker.keys.prefix
        fill(events, harness)
        ids = [one.id for one in events.get_event_records().items]
        waiting = [one.id for one in events.get_delayed_events().items]
        letters = [one.id for one in events.dead_letters.list().items]
        readers_of_all = [
            *readers(events, [*ids[:4], *waiting[:2]], letters),
            *_pages(events, ids[0], waiting[0], letters[0]),
            *_commands(ids[0], letters[0]),
        ]
        self.snapshot = Snapshot(self.store, prefix)
        self.families = families(self.store, prefix)
        asked = touched(self.store, iter(readers_of_all))
        self.snapshot.put_back()
        self.readers = {
            key: [(name, read) for name, read in readers_of_all if key.decode() in asked[name]]
            for keys in self.families.values()
            for key in keys
        }

    def damage(self, kind: str, family: str) -> list[tuple[str, Callable[[], Any]]]:
        """Put back all there was, let one key of a family be odd, and return what reads it."""
        self.snapshot.put_back()
        key = max(self.families[family], key=lambda one: len(self.readers[one]))
        DAMAGE[kind](self.store, key)
        return self.readers[key]


def _pages(events: EventService, event: str, delayed: str, letter: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Give the pages of the dashboard."""
    client = TestClient(
        dashboard(events), base_url="http://127.0.0.1:8765", client=("127.0.0.1", 40000),
        raise_server_exceptions=False, headers={"accept": "text/html"},
    )  # fmt: skip
    places = [
        "/", "/events", f"/events/{event}", "/delayed", f"/delayed/{delayed}", "/dead-letters",
        f"/dead-letters/{letter}", "/cron", "/cron/tidy-0", "/subscriptions", "/subscriptions/all.takes", "/replays",
        "/workers", "/types", "/types/odd.first", "/alerts", "/metrics",
    ]  # fmt: skip

    def ask(place: str) -> None:
        answer = client.get(place)
        assert "something went wrong here" not in answer.text, answer.status_code

    for place in places:
        yield f"page {place}", lambda place=place: ask(place)


def _commands(event: str, letter: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Give the commands that tell how a bus stands."""
    lines = [
        ("doctor",), ("metrics",), ("health",), ("workers",), ("events", "ls"), ("events", "show", event),
        ("events", "trace", event), ("delayed", "ls"), ("delayed", "ls", "--retries"), ("dead", "ls"),
        ("dead", "show", letter), ("subs", "ls"), ("cron", "ls"), ("cron", "show", "tidy-0"),
        ("cron", "history", "tidy-0"), ("replays", "ls"), ("queue", "ls"),
    ]  # fmt: skip

    def run(line: tuple[str, ...]) -> None:
        result = CliRunner().invoke(commands, list(line))
        assert isinstance(result.exception, SystemExit | None), result.exception
        assert "--debug shows where" not in result.stderr, result.stderr

    for line in lines:
        yield f"eventsys {' '.join(line)}", lambda line=line: run(line)


@pytest.fixture(scope="module")
def bus(harness_redis: SessionRedis) -> Iterator[Bus]:
    service = EventService(redis_url="redis://127.0.0.1:1/0", app="tests")
    with EventHarness(service, redis=harness_redis) as harness, pytest.MonkeyPatch.context() as patched:
        patched.setenv("EVENTSYS_REDIS_URL", harness._url)
        yield Bus(harness)


def test_the_bus_has_something_under_every_family_of_keys(bus: Bus) -> None:
    assert set(documented()) - set(bus.families) <= ABSENT


#: Let every reader meet every kind, which takes two minutes; else each meets one, and pages and commands fewer.
WHOLE = bool(os.environ.get("ODD_BYTES"))


@pytest.mark.parametrize("kind", DAMAGE)
def test_every_reader_says_in_an_error_of_ours_what_is_odd(bus: Bus, kind: str) -> None:
    bare, turn = [], list(DAMAGE).index(kind)
    for at, family in enumerate(bus.families):
        for number, (name, read) in enumerate(bus.damage(kind, family)):
            rounds = len(DAMAGE) * (4 if name.startswith(("page", "eventsys")) else 1)
            if not WHOLE and (at + number + turn) % rounds:
                continue
            try:
                read()
            except EventsysError:
                continue
            except Exception as error:
                bare.append(f"{family}: {name}: {type(error).__name__}: {str(error)[:100]}")
    bus.snapshot.put_back()
    assert not bare


@pytest.mark.parametrize("kind", DAMAGE)
def test_one_odd_row_does_not_hide_the_others(bus: Bus, kind: str) -> None:
    """Of each list one row is made odd; all others are listed as before."""
    events = bus.events
    lists: dict[str, Callable[[], set[str]]] = {
        "event:<id>": lambda: {one.id for one in events.get_event_records().items},
        "dead:<letter id>": lambda: {one.id for one in events.dead_letters.list().items},
        "replay:<id>": lambda: {one.id for one in events.replays.list()},
        "cron:task:<name>": lambda: {one.name for one in events.cron.list().items},
        "process:<lease name>": lambda: {one.name for one in events.machinery.processes()},
        "sweep:<name>": lambda: {one["name"] for one in events.sweeps.states()},
    }
    for family, names in lists.items():
        bus.snapshot.put_back()
        before = names()
        key = bus.families[family][0]
        DAMAGE[kind](bus.store, key)
        odd = key.decode().partition(f":{family.partition('<')[0]}")[2]
        assert before - {odd} <= names(), (family, kind)
    bus.snapshot.put_back()


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("subscriptions", lambda events: {one.name for one in events.subscriptions.list()}),
        ("troubles", lambda events: {one.key for one in events.bus.system.troubles()}),
        ("cron:history:<name>", lambda events: {one.run_id for one in events.cron.history("tidy-0").items}),
        ("cron:open:<name>", lambda events: {one.run_id for one in events.cron.history("tidy-0").items}),
        ("delayed:bodies", lambda events: {one.id for one in events.get_delayed_events().items}),
        ("delayed:far:bodies", lambda events: {one.id for one in events.get_delayed_events().items}),
    ],
)
def test_one_odd_row_of_a_key_does_not_hide_the_others(bus: Bus, family: str, names: Callable[[Any], set[str]]) -> None:
    for value in (b"\xff\xfe", b"nonsense", b"[]", b"{}", b"9" * 5000, b'{"format":1}'):
        bus.snapshot.put_back()
        before, key = names(bus.events), bus.families[family][0]
        if bus.store.type(key) == b"list":
            bus.store.lset(key, 0, value)
        else:
            bus.store.hset(key, bus.store.hkeys(key)[0], value)
        assert len(before - names(bus.events)) <= 1, value
    bus.snapshot.put_back()
