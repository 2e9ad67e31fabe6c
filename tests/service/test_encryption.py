"""Encryption of payloads: everything works with it, and Redis holds nothing to read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import redis

from eventsys import DelayedEvent, Event, EventFilter, EventService, EventStatus
from eventsys.bus.drafting import Drafter
from eventsys.model.catalog import Catalog
from eventsys.model.cipher import Cipher
from eventsys.model.keyring import read_keys
from tests.support.fixtures import SEALED
from tests.support.services import Services
from tests.support.waiting import eventually

Work = Callable[..., Any]
KEYS = "e2:a-secret-for-payloads-of-some-length,e1:the-secret-that-was-before"
CANARY = "canary-4111111111111111"


@pytest.fixture
def sealing() -> dict[str, str]:
    return {**SEALED, "encryption_keys": KEYS}


def everything_in(client: redis.Redis) -> bytes:
    """Return all keys and values of a Redis, one after the other."""
    parts: list[bytes] = []
    for key in client.scan_iter(count=1_000):
        parts += [key, client.dump(key) or b""]  # it may be gone by now
        kind = client.type(key)
        if kind == b"stream":
            parts += [value for _, fields in client.xrange(key) for value in fields.values()]
        elif kind == b"hash":
            parts += client.hvals(key)
    return b"\n".join(parts)


def test_no_payload_stands_in_redis_whatever_happens_to_its_event(
    redis_client: redis.Redis, events: EventService, quick_work: Work
) -> None:
    """Published, delayed, retried, dead, redriven and replayed: the stored form goes along."""
    got: list[Any] = []
    fails = [True]

    @events.on("a.b", name="h", max_retries=1, retry_delay="10ms")
    def handle(event: Event) -> None:
        got.append(event.payload)
        if fails[0]:
            raise ValueError("no")

    events.on("a.b", name="filtered", where={"payload.card": [{"prefix": "canary"}]})(
        lambda event: got.append("filtered")
    )
    quick_work()
    event = events.publish("a.b", {"card": CANARY})
    events.schedule("a.c", {"card": CANARY}, delay="1h")
    now = events.broker.clock.now()
    draft = events.bus.drafter.draft("a.d", {"card": CANARY}).event
    later = DelayedEvent(**draft.model_dump(), delay_until=now.replace(year=2090), created_at=now, updated_at=now)
    events.store.store_delayed_event(later)
    assert events.wait(event.id).status is EventStatus.FAILED
    assert events.dead_letters.show(f"{event.id}:h").event.payload == {"card": CANARY}
    assert CANARY.encode() not in everything_in(redis_client)
    fails[0] = False
    events.dead_letters.redrive(f"{event.id}:h")
    assert events.wait(event.id).status is EventStatus.DELIVERED
    events.replays.replay("h", EventFilter(types=("a.b",)))
    eventually(lambda: got.count({"card": CANARY}) == 4)
    assert got.count("filtered") == 1
    assert events.get_event(event.id).payload == {"card": CANARY}
    assert events.get_delayed_event(later.id).payload == {"card": CANARY}
    assert events.get_event_records(EventFilter(text=CANARY)).items[0].id == event.id
    assert events.publish("a.b", {"card": CANARY}, id=event.id).duplicate
    assert CANARY.encode() not in everything_in(redis_client)


def test_history_without_the_key_says_so(events: EventService, redis_url: str) -> None:
    event = events.publish("a.b", {"card": CANARY})
    shown = subprocess.run(
        [sys.executable, "-m", "eventsys", "events", "show", event.id],
        env={**os.environ, "EVENTSYS_REDIS_URL": redis_url, "EVENTSYS_NAME": events.settings.name},
        capture_output=True, text=True, check=True, timeout=110,
    )  # fmt: skip
    assert "encryption_keys" in shown.stdout
    assert "Traceback" not in shown.stderr
    assert CANARY not in shown.stdout


def test_without_the_key_nothing_is_lost(events: EventService, quick_work: Work) -> None:
    """A handler's attempt fails and is tried again; a dispatcher that cannot judge a filter hands the event back."""
    key = Cipher(read_keys("e9:a-secret-that-comes-too-late"))
    drafter = Drafter(events.settings, events.broker.clock, Catalog(), events.broker.work.seal, key)
    got: list[Any] = []
    events.on("a.b", name="plain", max_retries=0)(lambda event: got.append(event.payload))
    events.on("c.d", name="filtered", where={"payload.n": [2]})(lambda event: got.append(event.payload))
    quick_work()
    plain, filtered = drafter.draft("a.b", {"n": 1}), drafter.draft("c.d", {"n": 2})
    events.bus.prepare()
    events.store.carry_out(events.broker.clock.now_ms(), [plain.step, filtered.step])
    assert events.wait(plain.event.id).status is EventStatus.FAILED
    letter = events.dead_letters.show(f"{plain.event.id}:plain")
    assert "encrypted with the key 'e9'" in letter.error
    assert list(letter.event.payload) == ["$encrypted"]
    eventually(lambda: events.get_event_records(EventFilter(types=("system.error",))).items)
    assert got == []
    key.lend()
    assert events.wait(filtered.event.id).status is EventStatus.DELIVERED
    events.dead_letters.redrive(letter.id)
    assert events.wait(plain.event.id).status is EventStatus.DELIVERED
    assert got == [{"n": 2}, {"n": 1}]


def test_the_keys_are_not_shown(services: Services) -> None:
    service = services.make()
    assert "a-secret-for" not in repr(service.settings)
    assert "a-secret-for" not in service.settings.model_dump_json()
