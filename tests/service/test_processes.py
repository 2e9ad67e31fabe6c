"""Limits, pauses and redrives over real processes, of which some are killed."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from eventsys import DeadLetterFilter, DeliveryStatus, Event, EventService, EventStatus, SubscriptionState
from tests.service import limits_app
from tests.support.services import Services
from tests.support.waiting import eventually

Start = Callable[..., subprocess.Popen]


@pytest.fixture
def app(redis_url: str) -> Iterator[EventService]:
    """The application of `limits_app` on a new bus, for publishing and looking."""
    events = limits_app.make(redis_url, f"t{secrets.token_hex(4)}")
    yield events
    events.stop()


@pytest.fixture
def start(redis_url: str, app: EventService) -> Iterator[Start]:
    """Start worker processes of it; they are ended after the test."""
    started: list[subprocess.Popen] = []

    def begin(threads: int = 4) -> subprocess.Popen:
        command = [sys.executable, "-m", "tests.service.limits_app", redis_url, app.settings.name, str(threads)]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def _begun(app: EventService) -> int:
    return int(app.broker.link.call("HLEN", f"{app.settings.name}:begun"))


def test_the_slots_of_a_killed_process_are_free_again(app: EventService, start: Start) -> None:
    """Both slots are held when their process dies; who takes the entries over goes on in the same slots."""
    link, bus = app.broker.link, app.settings.name
    process = start()
    held = [app.publish("job.done", {"holds": True}) for _ in range(2)]
    eventually(lambda: _begun(app) == 2)
    others = [app.publish("job.done", {}) for _ in range(30)]
    eventually(lambda: app.subscriptions.get("limited").waiting == 30)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    link.call("SET", f"{bus}:running", 0)
    link.call("SET", f"{bus}:go-on", 1)
    start()
    start()
    for event in (*held, *others):
        assert app.wait(event.id, "90s").status is EventStatus.DELIVERED
    assert int(link.call("ZSCORE", f"{bus}:most", "running")) == 2
    standing = eventually(lambda: (now := app.subscriptions.get("limited")).let_in == 0 and now)
    assert standing.waiting == 0


def test_a_slot_whose_entry_is_gone_is_found(app: EventService, start: Start) -> None:
    """As after a queue was purged: nothing would free those slots, and nothing could run for ever."""
    link, keys = app.broker.link, app.broker.keys
    app.bus.prepare()
    for number in (1, 2):
        link.call("ZADD", keys.slots("limited"), 1, f"{keys.lane('limits', 5)}|1-{number}")
    start()
    event = app.publish("job.done", {})
    assert app.wait(event.id, "90s").status is EventStatus.DELIVERED
    eventually(lambda: app.subscriptions.get("limited").let_in == 0)


def test_a_pause_holds_in_running_processes_and_loses_nothing(app: EventService, start: Start) -> None:
    start()
    start()
    published = app.publish_many([("job.done", {})] * 100)
    eventually(lambda: _begun(app) >= 10)
    app.subscriptions.pause("limited")
    assert app.subscriptions.get("limited").state is SubscriptionState.PAUSED
    published += app.publish_many([("job.done", {})] * 100)

    def rests() -> bool:
        standing = app.subscriptions.get("limited")
        return standing.let_in == 0 and standing.waiting + _begun(app) == 200

    eventually(rests)
    begun = _begun(app)
    assert begun < 200
    app.subscriptions.resume("limited")
    for event in published:
        [delivery] = app.wait(event.id, "90s").deliveries
        assert (delivery.status, delivery.attempts) == (DeliveryStatus.SUCCEEDED, 1)
    assert set(app.broker.link.call("HVALS", f"{app.settings.name}:begun")) == {b"1"}


@pytest.fixture
def quiet() -> Iterator[None]:
    """Log nothing: ten thousand tracebacks take longer than the test."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(600)
def test_ten_thousand_letters_are_redriven_at_a_rate_while_workers_run(services: Services, quiet: None) -> None:
    """One call spreads them over ten seconds of the bus's clock, which is turned; events go on meanwhile."""
    events = services.make()
    is_broken, handled = [True], list[str]()

    def handler(event: Event) -> None:
        if is_broken[0]:
            raise ValueError("no")
        handled.append(event.id)

    events.on("a.b", name="h", max_retries=0)(handler)
    clock = events.broker.clock
    services.work(events, limits_app.Worker, threads=4)
    ids = [event.id for _ in range(20) for event in events.publish_many([("a.b", {})] * 500)]
    eventually(lambda: events.dead_letters.list().total == 10_000, timeout_s=240)
    is_broken[0] = False
    start = clock.now_ms()
    clock.turn_to(start)
    wanted = DeadLetterFilter(subscription="h", types=("a.*",), reason="failed")
    assert events.dead_letters.redrive_all(wanted, rate="1000/s", dry_run=True).takes_s == 10
    result = events.dead_letters.redrive_all(wanted, rate="1000/s")
    assert (result.matched, result.redriven, result.refused) == (10_000, 10_000, {})
    for second in range(1, 11):
        clock.turn_to(start + 1_000 * second - 1)
        eventually(lambda second=second: len(handled) == 1_000 * second)
        assert events.wait(events.publish("c.d", {}).id).status is EventStatus.DELIVERED
    assert sorted(handled) == sorted(ids)
    eventually(lambda: events.get_metrics().pending_events == 0)
    assert events.dead_letters.list().total == 0
