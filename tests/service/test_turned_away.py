"""What is left of a subscription that has ended: what is turned away late, and what waits for its next try."""

from __future__ import annotations

import pytest

from eventsys import Event, EventService, EventStatus
from eventsys.store.commit_batch import CommitBatch
from eventsys.store.keys import GROUP, LOG_QUEUE
from eventsys.store.scripts import script
from tests.support.services import Services
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("rounds_by_hand")


def _handle(event: Event) -> None:
    """Do nothing."""


@pytest.mark.redis62
def test_what_comes_to_the_waiting_room_of_what_has_ended_is_cancelled(services: Services) -> None:
    events = services.make()
    services.work(services.make(name=events.settings.name), queues={LOG_QUEUE})
    events.on("a.b", name="h", queue="shared")(_handle)
    events.bus.prepare()
    events.broker.presence.appear()
    event = events.publish("a.b", {})
    stream = events.broker.keys.lane("shared", 5)
    eventually(lambda: int(events.broker.link.call("XLEN", stream)) == 1)

    ending, entry = _fetched(events, stream)
    events.unsubscribe("a.b", "h")
    events.bus.tending.make_round()
    assert events.bus.subscriptions.ended() == {}, "it is settled, since others may use its queue too"
    _commit(events, CommitBatch([(stream, entry, ending, [], None)]))

    events.bus.tending.make_round()
    record = events.get_event(event.id)
    assert (record.status, events.bus.subscriptions.ended()) == (EventStatus.CANCELLED, {})


def test_what_waits_for_its_next_try_keeps_what_has_ended_from_being_settled(services: Services) -> None:
    events = services.make()
    keys, link = events.broker.keys, events.broker.link
    events.subscribe("a.b", _handle, name="mine")
    queue = events.broker.actors["mine"].queue_name
    events.unsubscribe("a.b", "mine")
    link.call("HSET", keys.delayed_queues, queue, 1)
    link.call("HSET", keys.subscriptions_ended, "mine", queue)
    assert not events.bus.tending.settle("mine", queue), "a look that passed one over is made again"
    link.call("HDEL", keys.delayed_queues, queue)
    assert events.bus.tending.settle("mine", queue)


def _fetched(events: EventService, stream: str) -> tuple[tuple[object, ...], str]:
    """Fetch the delivery, and return how it ends when it is turned away, and its entry."""
    events.broker.link.run(script("create_groups"), events.broker.keys.prefix, stream)
    reply = events.broker.link.call(
        "XREADGROUP", "GROUP", GROUP, events.broker.presence.name, "COUNT", 1, "STREAMS", stream, ">"
    )
    [(entry, fields)] = reply[0][1]
    return ("waiting", "h", 5, [one.decode() for one in fields], True), entry.decode()


def _commit(events: EventService, batch: CommitBatch) -> None:
    prefix, now_ms = events.broker.keys.prefix, events.broker.clock.now_ms()
    arguments = (events.broker.presence.name, events.broker.work.retention_ms, *batch.arguments())
    events.broker.link.run(script("commit"), prefix, now_ms, *arguments)
