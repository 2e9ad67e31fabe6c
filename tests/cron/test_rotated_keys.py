"""Cron tasks outlive the key that signed them, if the next one comes before that is dropped."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from eventsys import EventService
from eventsys.store.delayed_entries import bucket_of
from eventsys.store.steps import packed
from tests.cron.rig import Rig, published
from tests.support.services import Services

OLD, NEW = "k1:the-secret-that-was-before", "k2:a-secret-of-some-length"


@pytest.fixture
def sealing() -> dict[str, str]:
    return {"signing_keys": OLD}


def rotate(rig: Rig, services: Services) -> Rig:
    """Have the hour pass in which both keys are known, and return a process that knows the new one only."""
    both = _process(rig, services, f"{NEW},{OLD}")
    assert both.events.sweeps.run("cron-signatures") is not None
    return _process(rig, services, NEW)


def _process(rig: Rig, services: Services, keys: str) -> Rig:
    return Rig(services.make(name=rig.events.settings.name, signing_keys=keys), rig.now)


def test_a_task_runs_at_its_tick_after_the_key_that_signed_it_was_dropped(rig: Rig, services: Services) -> None:
    rig.events.cron.create("reports", "*/10 * * * *", "report.due", {"n": 1}, jitter="1m")
    rig.work()  # what tells of it is dispatched while its key is known
    before = rig.events.cron.get("reports")
    after = rotate(rig, services)
    task = after.events.cron.get("reports")
    assert task.model_copy(update={"revision": before.revision}) == before
    assert [one.name for one in after.events.cron.lines().items] == ["reports"]
    after.advance(minutes=21)
    ticks = [event.headers["cron-tick"] for event in published(after.events, "report.due")]
    assert ticks == [datetime(2026, 11, 25, 12, minute, tzinfo=UTC).isoformat() for minute in (10, 20)]
    assert after.events.dead_letters.list().items == []


def test_a_tick_is_signed_anew_that_an_older_key_signed_after_its_task_was(rig: Rig, services: Services) -> None:
    """While the new key is put first in one process after the other, the next tick is armed by any of them."""
    rig.events.cron.create("reports", "0 * * * *", "report.due")
    rig.work()
    rotate(rig, services)
    late = _process(rig, services, f"{OLD},{NEW}")
    late.advance(hours=1)
    after = rotate(late, services)
    after.advance(hours=2)
    assert len(published(after.events, "report.due")) == 3
    assert after.events.dead_letters.list().items == []


def test_a_tick_that_cannot_be_read_keeps_no_other_from_being_signed(rig: Rig, services: Services) -> None:
    for name in ("damaged", "odd", "reports"):
        rig.events.cron.create(name, "0 * * * *", "report.due")
    rig.work()
    rotate(rig, services)
    late = _process(rig, services, f"{OLD},{NEW}")
    late.advance(hours=1)
    link, keys = late.events.broker.link, late.events.broker.keys
    for name, body in (("damaged", b"?"), ("odd", packed(("cron-tick:odd", "", ["event", 1], {})))):
        [member] = link.read([("HGET", keys.delayed_ids(bucket_of(f"cron-tick:{name}")), f"cron-tick:{name}")])
        link.call("HSET", keys.delayed_bodies, member, body)
    before = _armed(late.events)
    rotate(late, services)
    assert _armed(late.events) != before


def test_a_paused_task_is_signed_anew_too_and_stays_paused(rig: Rig, services: Services) -> None:
    rig.events.cron.create("reports", "*/10 * * * *", "report.due")
    rig.events.cron.pause("reports", reason="audit")
    cron = rotate(rig, services).events.cron
    assert (str(cron.get("reports").state), cron.get("reports").reason) == ("paused", "audit")
    assert str(cron.resume("reports").state) == "active"


def test_a_tick_that_is_on_its_way_is_left_alone(rig: Rig, services: Services) -> None:
    rig.events.cron.create("reports", "* * * * *", "report.due")
    rig.now_ms += 30_000
    rig._poller.let_go(rig.now_ms)
    armed = _armed(rig.events)
    rotate(rig, services)
    assert _armed(rig.events) == armed


def test_what_a_newer_version_says_of_a_task_is_signed_as_it_is(rig: Rig, services: Services) -> None:
    rig.events.cron.create("reports", "* * * * *", "report.due")
    link, key, seal = rig.events.broker.link, rig.events.broker.keys.cron_task("reports"), rig.events.broker.work.seal
    assert seal is not None
    written = json.loads(seal.body_of("cron task", link.call("HGET", key, "definition").decode()))
    link.call("HSET", key, "definition", seal.signed("cron task", json.dumps({**written, "colour": "red"})))
    rotate(rig, services)
    assert json.loads(link.call("HGET", key, "definition"))["colour"] == "red"


def test_what_is_signed_with_the_first_key_and_what_no_key_signed_is_left_as_it_is(
    rig: Rig, services: Services
) -> None:
    for name in ("forged", "reports"):
        rig.events.cron.create(name, "* * * * *", "report.due")
    both = _process(rig, services, f"{NEW},{OLD}").events
    link, key = both.broker.link, both.broker.keys.cron_task("forged")
    link.call("HSET", key, "definition", link.call("HGET", key, "definition").replace(b"report.due", b"report.not"))
    before = link.call("HGETALL", key)
    sign_anew = both.cron._declarations.sign_anew
    assert [sign_anew(rig.now_ms), sign_anew(rig.now_ms)] == [1, 0]
    assert link.call("HGETALL", key) == before
    assert rig.events.cron._declarations.sign_anew(rig.now_ms) == 0


def _armed(events: EventService) -> bytes:
    found: bytes = events.broker.link.call("HGET", events.broker.keys.cron_task("reports"), "armed")
    return found
