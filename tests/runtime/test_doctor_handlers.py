"""The doctor says which handlers do not cope, and why: each state is made as it comes to be in life."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import dramatiq
import pytest
import redis
from dramatiq import Message

from eventsys import Event, EventService
from eventsys.broker.worker import Worker
from eventsys.model.diagnosis import Severity
from eventsys.model.subscription import SubscriptionState
from eventsys.runtime.doctor import handler_checks
from eventsys.store.keys import GROUP, LOG_QUEUE, SUSPECTS
from tests.runtime.findings import finding
from tests.support.services import Services
from tests.support.waiting import eventually


def test_a_handler_that_fails_again_and_again_is_named_with_its_error(services: Services, events: EventService) -> None:
    @events.on("order.paid", name="ship", max_retries=1, retry_delay="10m")
    def ship(event: Event) -> None:
        raise RuntimeError("no parcels left")

    @events.on("order.paid", name="bill")
    def bill(event: Event) -> None:
        pass

    assert finding(events, "attempts").severity is Severity.OK
    services.work(events)
    for _ in range(25):
        events.publish("order.paid", {})
    eventually(lambda: events.delayed.get_waiting_retries("ship").total == 25)
    found = finding(events, "attempts")
    assert found.severity is Severity.WARNING
    assert found.said == "25 of the last 25 attempts of ship failed: RuntimeError: no parcels left"
    assert "eventsys subs pause ship" in (found.remedy or "")


def test_a_storm_of_retries_is_told_with_its_queue(services: Services, events: EventService) -> None:
    @events.on("order.paid", name="ship", max_retries=1, retry_delay="10m")
    def ship(event: Event) -> None:
        raise RuntimeError("no parcels left")

    services.work(events, threads=8)
    events.publish_many([("order.paid", {})] * 1_000)
    eventually(lambda: events.delayed.get_waiting_retries("ship").total == 1_000)
    found = finding(events, "retries")
    assert found.severity is Severity.WARNING
    assert found.said == "1,000 retries and delayed messages wait, most of queue tests: a retry storm"
    assert "eventsys delayed ls --retries" in (found.remedy or "")


def test_ticks_of_cron_tasks_are_no_storm_of_retries(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler_checks, "MANY_RETRIES", 3)
    for number in range(3):
        events.cron.create(f"report-{number}", "@daily", "report.due")
    found = finding(events, "retries")
    assert found.severity is Severity.OK
    assert found.said.startswith("0 retries")


def test_an_open_breaker_is_told_with_what_closes_it(services: Services, events: EventService) -> None:
    @events.on("order.paid", name="ship", breaker=2, breaker_wait="1h", max_retries=0)
    def ship(event: Event) -> None:
        raise ConnectionError("the carrier is down")

    services.work(events)
    eventually(lambda: events.subscriptions.get("ship").hosts)
    for _ in range(2):
        events.wait(events.publish("order.paid", {}).id, "60s")
    found = finding(events, "subscriptions")
    assert found.severity is Severity.WARNING
    assert found.said == "the breaker of ship is open: its attempts kept failing"
    assert "each breaker_wait one delivery tries" in (found.remedy or "")
    assert "resume" not in (found.remedy or ""), "that ends a pause, and closes no breaker"
    assert events.subscriptions.resume("ship").state is SubscriptionState.OPEN


def test_an_open_breaker_whose_handler_no_worker_has_is_a_problem(services: Services, events: EventService) -> None:
    """No delivery tries then, so the breaker stays open for as long as nobody deploys the handler."""

    @events.on("order.paid", name="ship", breaker=1, breaker_wait="1h", max_retries=0)
    def ship(event: Event) -> None:
        raise ConnectionError("the carrier is down")

    worker = services.work(events)
    events.wait(events.publish("order.paid", {}).id, "60s")
    events.publish("order.paid", {})
    eventually(lambda: events.subscriptions.get("ship").waiting == 1)
    worker.stop()
    events.broker.presence.leave()
    found = finding(events, "subscriptions")
    assert found.severity is Severity.PROBLEM
    assert found.said == "no living worker has the handler of ship and reads tests; 1 delivery waits for one"


def test_a_queue_that_is_behind_names_its_slowest_handler(services: Services, events: EventService) -> None:
    running, go_on = threading.Event(), threading.Event()

    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        if event.payload.get("waits"):
            running.set()
            go_on.wait(200)

    services.work(events, Worker, threads=1)
    events.wait(events.publish("order.paid", {}).id, "60s")
    events.publish("order.paid", {"waits": True})
    assert running.wait(60)
    for _ in range(50):  # more than a process with one thread fetches
        events.publish("order.paid", {})
    eventually(lambda: events.get_metrics(by="subscription")["ship"].backlog == 51)
    later = services.make(name=events.settings.name)
    later.broker.clock.turn_to(events.broker.clock.now_ms() + 120_000)
    found = finding(later, "queue.backlog")
    go_on.set()
    assert found.severity is Severity.WARNING
    assert re.match(
        r"\d+ messages wait on queue tests, the oldest for 1\d\d s; the slowest handler is ship: its p99 is",
        found.said,
    )
    assert "EVENTSYS_BUS__WORKER_COUNT, here 10" in (found.remedy or "")


def test_a_queue_that_no_worker_reads_any_more_is_a_problem(services: Services, events: EventService) -> None:
    """A worker dispatches, and none reads the queue of the handler: as `--queues` with a slip in it does."""

    @events.on("report.due", name="report", queue="reports")
    def report(event: Event) -> None:
        pass

    services.work(events, queues={LOG_QUEUE})
    first = events.publish("report.due", {})
    eventually(lambda: events.get_event(first.id).deliveries)
    found = finding(events, "subscriptions")
    assert found.severity is Severity.PROBLEM
    assert found.said == "no living worker has the handler of report and reads reports; 1 delivery waits for one"
    assert "see its --queues" in (found.remedy or "")


def test_messages_of_plain_actors_on_a_queue_without_a_consumer_are_a_problem(
    services: Services, events: EventService
) -> None:
    tidied = threading.Event()
    host = services.make(name=events.settings.name)
    dramatiq.actor(tidied.set, broker=host.broker, actor_name="tidy", queue_name="tidying").send()
    worker = services.work(host)
    assert tidied.wait(60)
    worker.stop()
    host.stop()
    services.work(events)  # of another application on the same bus
    dramatiq.actor(
        tidied.set, broker=services.make(name=events.settings.name).broker, actor_name="tidy", queue_name="tidying"
    ).send()
    found = finding(events, "queue.readers")
    assert found.severity is Severity.PROBLEM
    assert found.said == "1 message waits on queue tidying and no process reads it"
    assert "--queues tidying" in (found.remedy or "")


def test_suspects_on_a_queue_that_no_process_reads_are_a_problem(events: EventService) -> None:
    link, lane = events.broker.link, events.broker.keys.lane("plain", 5)
    events.broker.enqueue(Message(queue_name="plain", actor_name="note", args=(), kwargs={}, options={}))
    link.call("XGROUP", "CREATE", lane, GROUP, "0", "MKSTREAM")
    link.call("XREADGROUP", "GROUP", GROUP, SUSPECTS, "STREAMS", lane, ">")
    found = finding(events, "queue.readers")
    assert found.severity is Severity.PROBLEM
    assert found.said == "1 message waits on queue plain and no process reads it"


APPLICATION = """
import os, signal
import redis
from eventsys import Event, EventService

client = redis.Redis.from_url(os.environ["EVENTSYS_REDIS_URL"], socket_timeout=None)
events = EventService(app="shop", announce=False)

@events.on("order.paid", name="ship", timeout=None)
def ship(event: Event) -> None:
    if client.incr("begun") <= event.payload["deaths"]:
        os.kill(os.getpid(), signal.SIGKILL)
    client.rpush("waiting", os.getpid())
    client.blpop("go on", 200)
"""


@pytest.fixture
def patient_client(redis_url: str) -> Iterator[redis.Redis]:
    """A client that waits for as long as it says."""
    with redis.Redis.from_url(redis_url, socket_timeout=None) as client:
        yield client


@pytest.fixture
def shop(redis_url: str, redis_client: redis.Redis, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start `eventsys worker` for an application whose handler kills its process."""
    (tmp_path / "shop.py").write_text(APPLICATION)
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        environ = {**os.environ, "EVENTSYS_REDIS_URL": redis_url, "PYTHONPATH": f"{tmp_path}:{Path.cwd()}"}
        command = [sys.executable, "-m", "eventsys", "worker", "shop", "--processes", "1"]
        started.append(
            subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        return started[-1]

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        redis_client.rpush("go on", *["go"] * 10)
        process.wait(120)


def test_a_message_that_kills_its_process_is_told_with_its_handler_and_then_as_a_dead_letter(
    services: Services, patient_client: redis.Redis, shop: Callable[[], subprocess.Popen[bytes]]
) -> None:
    events = services.make(name="default", app="shop")
    assert finding(events, "crashes").severity is Severity.OK
    shop()
    events.publish("order.paid", {"deaths": 2})
    assert patient_client.blpop("waiting", 120), "it did not survive its third beginning"
    found = finding(events, "crashes")
    assert found.severity is Severity.WARNING
    assert found.said == "1 message was in hand when a process died, of ship; 2 times the same one"
    patient_client.rpush("go on", "go")
    eventually(lambda: finding(events, "crashes").severity is Severity.OK)

    patient_client.delete("begun")
    events.wait(events.publish("order.paid", {"deaths": 1_000}).id, "200s")
    found = finding(events, "dead")
    assert found.severity is Severity.WARNING
    assert "the newest is ship's: crash_loop: the process died 5 times while it handled this message" in found.said
    assert finding(events, "crashes").severity is Severity.OK


def test_messages_that_a_dead_process_held_are_told_while_they_wait_for_their_turn(
    services: Services, patient_client: redis.Redis, shop: Callable[[], subprocess.Popen[bytes]]
) -> None:
    events = services.make(name="default", app="shop")
    worker = shop()
    events.publish("order.paid", {"deaths": 0})
    assert patient_client.blpop("waiting", 120)
    for _ in range(9):
        events.publish("order.paid", {"deaths": 0})
    for _ in range(9):
        assert patient_client.blpop("waiting", 120)
    patient_client.delete("waiting")
    [process] = [one for one in events.machinery.processes() if one.is_alive]
    os.kill(process.pid, signal.SIGKILL)
    assert patient_client.blpop("waiting", 120), "no suspect was begun"
    found = finding(events, "queue.suspects")
    assert found.severity is Severity.WARNING
    assert found.said == "9 messages on queue shop held by processes that died; each runs alone"
    assert worker.poll() is None
