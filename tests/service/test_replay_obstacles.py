"""Events in the way of a replay that cannot be judged: they hold back no other replay, nor their own for ever."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from eventsys import EventFilter, EventService, ReplayState
from eventsys.bus.drafting import Drafter
from eventsys.model.catalog import Catalog
from eventsys.model.cipher import Cipher
from eventsys.model.keyring import read_keys
from tests.support.histories import Historian
from tests.support.services import Services
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("rounds_by_hand")


@pytest.fixture
def historian(events: EventService) -> Historian:
    """History for `plain`, which wants everything, and `filtered`, which looks at payloads."""
    events.on("a.b", name="plain")(lambda event: None)
    events.on("#", name="filtered", where={"payload.n": [2]})(lambda event: None)
    events.bus.prepare()
    return Historian(events)


def _dispatch(events: EventService, historian: Historian) -> None:
    number = historian.link.call("HGET", historian.keys.subscription_numbers, "plain").decode()
    historian.dispatch(events.broker.clock.now_ms(), targets=[number, "plain", "elsewhere", 0])


def test_a_payload_that_no_key_opens_leaves_its_replay_to_who_has_one_and_lets_others_go_on(
    services: Services, events: EventService, historian: Historian, caplog: pytest.LogCaptureFixture
) -> None:
    key = Cipher(read_keys("e9:a-secret-that-another-process-has"))
    drafter = Drafter(events.settings, events.broker.clock, Catalog(), events.broker.work.seal, key)
    encrypted = drafter.draft("c.d", {"n": 2})
    events.store.carry_out(events.broker.clock.now_ms(), [encrypted.step])
    historian.store("a.b", events.broker.clock.now_ms())
    _dispatch(events, historian)
    blind = events.replays.replay("filtered", EventFilter(types=("a.*", "c.*")))
    other = events.replays.replay("plain")

    assert [events.replays.step() for _ in range(3)] == [1, 0, 0]
    assert events.replays.get(other.id).state is ReplayState.COMPLETED
    assert events.replays.get(blind.id).state is ReplayState.RUNNING
    [told] = [one for one in caplog.records if getattr(one, "action", "") == "replay_failed"]
    assert (vars(told)["replay_id"], told.levelno) == (blind.id, logging.WARNING)
    assert "encrypted with the key 'e9'" in told.getMessage()
    eventually(lambda: [one.key for one in events.bus.system.troubles()] == ["encryption_keys"])

    key.lend()
    knowing = services.make(name=events.settings.name)
    assert [knowing.replays.step() for _ in range(2)] == [1, 0]
    ended = knowing.replays.get(blind.id)
    assert (ended.state, ended.delivered, ended.scanned) == (ReplayState.COMPLETED, 1, 2)


@pytest.mark.parametrize("payload", [b"[1]", b"null", b'"text"'])
def test_an_event_that_no_filter_can_judge_is_passed_over(
    events: EventService, historian: Historian, payload: bytes
) -> None:
    now_ms = events.broker.clock.now_ms()
    for stored in (b'{"n":2}', payload, b'{"n":3}', b'{"n":2}'):
        historian.store("a.b", now_ms, payload=stored)
    _dispatch(events, historian)
    assert events.replays.count("filtered").events == 2
    replay = events.replays.replay("filtered", EventFilter(types=("a.b",)))
    assert [events.replays.step() for _ in range(2)] == [2, 0]
    ended: Any = events.replays.get(replay.id)
    assert (ended.state, ended.delivered, ended.scanned) == (ReplayState.COMPLETED, 2, 4)
