"""How an entry of the delayed store is kept: short where its envelope says the rest, and read back whole."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from eventsys.store.delayed_entries import read_entry
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.scripts import script
from eventsys.store.steps import delayed_step, event_step, message_step, packed

NOW_MS = 1_700_000_000_000
KEYS = Keys("default")


def _envelope(event_id: str, event_type: str) -> str:
    return f'{{"id":"{event_id}","type":"{event_type}","time":"2026-11-25T12:00:00Z","payload":{{}}}}'


STEPS: list[Any] = [
    event_step("one", "order.due", 5, _envelope("one", "order.due")),
    event_step("one", "order.due", 10, _envelope("one", "order.due"), key="once", window_ms=5, expire_after_ms=7),
    event_step("one", "order.due", 5, _envelope("one", "order.due"), chain="a chain"),
    event_step('q"uote', "order.due", 5, '{"id":"q\\"uote","type":"order.due","time":"2026-11-25T12:00:00Z"}'),
    event_step("one", "order.due", 5, '{"type":"order.due","id":"one"}'),
    event_step("one", "order.due", 5, _envelope("other", "order.due")),
    event_step("one", "order.due", 5, _envelope("one", "order.other")),
    message_step("default", 5, {"m": "{}"}),
]


@pytest.mark.redis62
@pytest.mark.parametrize("facts", [{}, {"created_ms": 1, "key": "mine"}], ids=["no facts", "facts"])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: str(step[-1]))
def test_what_is_kept_reads_back_as_it_was_given(
    redis_client: redis.Redis, redis_url: str, step: Any, facts: dict[str, Any]
) -> None:
    link, entry_id = Link(redis_url), step[1] if step[0] == "event" else "a message"
    given = delayed_step(entry_id, NOW_MS + 1_000, 5, step, queue="" if step[0] == "event" else "default", facts=facts)
    link.run(script("add"), KEYS.prefix, NOW_MS, packed(given))
    [body] = link.call("HVALS", KEYS.delayed_bodies)
    entry = read_entry(body, NOW_MS + 1_000)
    kept = [*step[:6], step[6] if step[5] else 0, *step[7:]] if step[0] == "event" else list(step)
    assert (entry.id, entry.step, entry.facts) == (entry_id, kept, facts)
    # The scripts read it back too: what is let go is what was kept.
    link.run(script("claim_due"), KEYS.prefix, NOW_MS + 1_000, 10, 3, 1_000)
    stream = KEYS.log(step[3]) if step[0] == "event" else KEYS.lane("default", 5)
    [(_, fields)] = link.call("XRANGE", stream, "-", "+")
    assert fields[:2] == ([b"e", step[4].encode()] if step[0] == "event" else [b"m", b"{}"])


def test_an_event_of_the_usual_kind_is_kept_in_little_more_than_its_envelope(
    redis_client: redis.Redis, redis_url: str
) -> None:
    link, step = Link(redis_url), STEPS[0]
    link.run(script("add"), KEYS.prefix, NOW_MS, packed(delayed_step("one", NOW_MS + 1_000, 5, step)))
    [body] = link.call("HVALS", KEYS.delayed_bodies)
    assert len(body) < len(step[4]) + 8
