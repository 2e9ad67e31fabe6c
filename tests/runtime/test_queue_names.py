"""Queues that nobody reads are known: what waits there is seen, and told of."""

from __future__ import annotations

from typing import Any

import dramatiq
import pytest
from dramatiq import Message

from eventsys import Event, EventService, EventStatus
from eventsys.broker.worker import Worker
from eventsys.model.diagnosis import Severity
from eventsys.model.machinery import QueueState
from eventsys.runtime.worker_process import read_undeclared
from eventsys.store.channel import Channel
from eventsys.store.keys import LOG_QUEUE
from tests.runtime.findings import finding
from tests.support.services import Services
from tests.support.waiting import eventually


def queue(events: EventService, name: str) -> QueueState:
    [found] = [one for one in events.machinery.queues() if one.name == name]
    return found


@pytest.mark.redis62
def test_a_queue_that_nobody_ever_read_is_seen_with_what_waits_there(services: Services) -> None:
    sender = services.make()
    other = services.make(name=sender.settings.name)

    @dramatiq.actor(broker=sender.broker, queue_name="lettres")
    def write(text: str) -> None:
        """Write a letter."""

    write.send("hello")
    write.send_with_options(args=("later",), delay=3_600_000)
    found = queue(other, "lettres")
    assert (found.waiting, found.delayed, found.readers) == (1, 1, [])
    told = finding(other, "queue.readers")
    assert told.severity is Severity.PROBLEM
    assert "1 message waits on queue lettres and no process reads it" in told.said


def test_a_worker_tells_of_the_queues_of_its_actors_that_it_does_not_read(services: Services) -> None:
    events = services.make()

    @dramatiq.actor(broker=events.broker, queue_name="reports")
    def report() -> None:
        """Make a report."""

    services.work(events, queues={"eventsys.log"})
    eventually(lambda: [one.readers for one in events.machinery.queues() if one.name == "reports"] == [[]])


def test_a_queue_that_only_a_handler_sends_to_is_seen_with_what_waits_there(services: Services) -> None:
    events = services.make()

    @events.on("order.paid", name="pay")
    def pay(event: Event) -> None:
        letter: Message[Any] = Message(queue_name="lettres", actor_name="write", args=(), kwargs={}, options={})
        events.broker.enqueue(letter)

    services.work(events)
    events.wait(events.publish("order.paid", {}).id, "60s")
    assert queue(events, "lettres").waiting == 1


def test_a_queue_that_only_a_cron_task_sends_to_is_seen_with_what_waits_there(services: Services) -> None:
    events = services.make()
    events.cron.create("by-hand", "@yearly", actor="tidy", queue="brooms")
    events.cron.create("often", "* * * * * *", actor="tidy", queue="mops", max_runs=1)
    events.cron.run_now("by-hand")
    assert queue(events, "brooms").waiting == 1
    services.work(events)
    eventually(lambda: [one.waiting for one in events.machinery.queues() if one.name == "mops"] == [1])


def test_a_queue_of_a_subscription_that_nobody_ever_hosted_is_seen_with_what_waits_there(services: Services) -> None:
    declaring = services.make(app="billing")
    declaring.on("order.paid", name="bill")(lambda event: None)
    declaring.bus.prepare()
    events = services.make(name=declaring.settings.name)
    events.on("order.paid", name="mail")(lambda event: None)
    services.work(events)
    events.publish("order.paid", {})
    eventually(lambda: [one.waiting for one in events.machinery.queues() if one.name == "billing"] == [1])
    assert "1 message waits on queue billing and no process reads it" in finding(events, "queue.readers").said


def test_what_waits_on_a_queue_that_a_handler_had_before_is_handled_where_that_is_asked_for(services: Services) -> None:
    """A deploy with another `queue=`: what was dispatched before, and retries of it, come to the former one."""
    before = services.make(app="slow")
    before.on("order.paid", name="ship")(lambda event: None)
    services.work(before, queues={LOG_QUEUE})
    event = before.publish("order.paid", {})
    eventually(lambda: [one.waiting for one in before.machinery.queues() if one.name == "slow"] == [1])
    after = services.make(app="fast", name=before.settings.name)
    after.on("order.paid", name="ship")(lambda event: None)
    asked_for = ["slow", "misspelt"]
    worker = services.work(after, Worker, queues=asked_for)
    read_undeclared(after.broker, asked_for)
    assert after.wait(event.id, "60s").status is EventStatus.DELIVERED
    assert set(worker.consumers) == {"slow"}
    assert "misspelt" not in {one.name for one in after.machinery.queues()}


def test_a_queue_is_told_of_once_a_process(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    events = services.make()

    @dramatiq.actor(broker=events.broker, queue_name="letters")
    def write() -> None:
        """Write a letter."""

    write.send()
    trips: list[int] = []
    send = Channel._send

    def counting(channel: Channel, *sent: Any) -> Any:
        trips.append(1)
        return send(channel, *sent)

    monkeypatch.setattr(Channel, "_send", counting)
    write.send()
    assert len(trips) == 1
