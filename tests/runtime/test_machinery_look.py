"""What a look at the machinery shows where processes died."""

from __future__ import annotations

import pytest
from dramatiq import Message

from eventsys import EventService
from eventsys.store.keys import GROUP, RETURNED, SUSPECTS
from tests.support.services import Services


def send(events: EventService, count: int) -> str:
    """Send plain messages, and return the lane they are in."""
    for _ in range(count):
        events.broker.enqueue(Message(queue_name="plain", actor_name="note", args=(), kwargs={}, options={}))
    return events.broker.keys.lane("plain", 5)


@pytest.mark.redis62
@pytest.mark.parametrize("holder", [RETURNED, SUSPECTS])
def test_what_a_process_holds_is_seen_behind_much_that_waits_to_be_given_again(services: Services, holder: str) -> None:
    events = services.make()
    lane, link = send(events, 22), events.broker.link
    link.call("XGROUP", "CREATE", lane, GROUP, "0", "MKSTREAM")
    link.call("XREADGROUP", "GROUP", GROUP, holder, "COUNT", 20, "STREAMS", lane, ">")
    for process in ("one", "two"):
        link.call("XREADGROUP", "GROUP", GROUP, process, "COUNT", 1, "STREAMS", lane, ">")
    held = events.machinery.in_hand()
    assert sorted((one.process, one.handler, one.queue) for one in held) == [
        ("one", "note", "plain"), ("two", "note", "plain"),
    ]  # fmt: skip


def test_a_process_that_beats_no_more_reads_nothing(services: Services) -> None:
    events = services.make()
    send(events, 1)
    link, keys = events.broker.link, events.broker.keys
    link.call("ZADD", keys.processes, 1, "gone")
    link.call("HSET", keys.process("gone"), "host", "h", "pid", 1, "number", 7, "queues", "plain", "started_ms", 1)
    [process] = events.machinery.processes()
    assert (process.name, process.is_alive, process.queues) == ("gone", False, ["plain"])
    [plain] = [one for one in events.machinery.queues() if one.name == "plain"]
    assert plain.readers == []
