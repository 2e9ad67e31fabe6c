"""The example application, run by every command that can run it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest

from eventsys import EventService
from tests.acceptance.processes import Command, wait_for
from tests.conftest import FreshRedis
from tests.quality.tree import ROOT

Start = Callable[..., Command]

WORKERS = {
    "eventsys worker": ["-m", "eventsys", "worker", "actors", "--processes", "1", "--threads", "2"],
    "dramatiq": ["-m", "dramatiq", "actors", "--processes", "1", "--threads", "2", "--path", str(ROOT)],
}


@pytest.fixture
def events(fresh_redis: Callable[[], FreshRedis]) -> Iterator[EventService]:
    """A publisher of the application's bus, on a Redis of the test's own."""
    before = dramatiq.get_broker()
    service = EventService(redis_url=fresh_redis().url)
    yield service
    service.stop()
    dramatiq.set_broker(before)


def url_of(events: EventService) -> str:
    assert events.settings.redis_url is not None
    return events.settings.redis_url.get_secret_value()


@pytest.mark.parametrize("name", WORKERS)
def test_the_application_handles_events_and_ends_with_its_command(
    name: str, events: EventService, start: Start
) -> None:
    """Ours, and the stock command of Dramatiq: `actors/__init__.py` is all that either of them needs."""
    worker = start(*WORKERS[name], EVENTSYS_REDIS_URL=url_of(events))
    login = events.publish("user.login", {"user_id": "1", "ip": "10.0.0.1"}, source="auth-service")
    record = events.wait(login.id, "180s")
    assert {one.subscription: str(one.status) for one in record.deliveries} == dict.fromkeys(
        ("sessions.open", "notifications.login", "audit.trail"), "succeeded"
    )
    worker.process.send_signal(signal.SIGTERM)
    code, _, stderr = worker.finish()
    assert code == 0, stderr
    assert worker.left_processes() == []


def test_a_second_worker_of_the_same_bus_goes_on_where_the_first_ended(events: EventService, start: Start) -> None:
    for user_id in ("1", "2"):
        worker = start(*WORKERS["eventsys worker"], EVENTSYS_REDIS_URL=url_of(events))
        logout = events.publish("user.logout", {"user_id": user_id})
        assert events.wait(logout.id, "180s").status == "delivered"
        worker.process.send_signal(signal.SIGINT)
        assert worker.finish()[0] == 0


def test_a_welcome_is_scheduled_by_the_handler_of_a_registration(events: EventService, start: Start) -> None:
    start(*WORKERS["eventsys worker"], EVENTSYS_REDIS_URL=url_of(events))
    events.wait(events.publish("user.registered", {"user_id": "1"}).id, "180s")
    assert events.get_metrics().pending_events == 1


def test_what_the_command_publishes_a_worker_handles(events: EventService, start: Start) -> None:
    start(*WORKERS["eventsys worker"], EVENTSYS_REDIS_URL=url_of(events))
    publish = ["-m", "eventsys", "publish", "data.deleted", '{"table_name": "t", "conditions": {}, "action": "delete"}']
    code, stdout, stderr = start(*publish, "--json", "--redis-url", url_of(events)).finish()
    assert code == 0, stderr
    event: dict[str, Any] = json.loads(stdout)
    assert "cleanup.delete" in {one.subscription for one in events.wait(event["id"], "180s").deliveries}


def test_one_process_may_dispatch_and_another_handle(events: EventService, start: Start) -> None:
    command, url = WORKERS["eventsys worker"], url_of(events)
    login = events.publish("user.login", {"user_id": "1"})
    start(*command, "--queues", "eventsys.log", EVENTSYS_REDIS_URL=url)
    wait_for(lambda: len(events.get_event(login.id).deliveries) == 3, "the dispatch")
    assert {one.attempts for one in events.get_event(login.id).deliveries} == {0}
    start(*command, "--queues", "actors", EVENTSYS_REDIS_URL=url)
    assert events.wait(login.id, "180s").status == "delivered"


#: An application whose handler goes on for longer than a worker waits for it.
HELD = """
import threading
from eventsys import EventService

events = EventService(app="held")

@events.on("job.begun", name="hold", timeout=None)
def hold(event):
    threading.Event().wait(300)
"""


def assert_it_ends_by_many(number: signal.Signals, worker: Command, expected: int) -> None:
    """Tell a command to end up to its very end: no signal strikes that."""
    while worker.process.poll() is None:
        worker.process.send_signal(number)
        time.sleep(0.002)
    code, _, stderr = worker.finish()
    assert (code, "Traceback" in stderr) == (expected, False), stderr
    assert worker.left_processes() == []


def test_a_worker_that_is_told_to_end_again_and_again_ends_in_order(events: EventService, start: Start) -> None:
    worker = start(*WORKERS["eventsys worker"], EVENTSYS_REDIS_URL=url_of(events))
    events.wait(events.publish("user.logout", {"user_id": "1"}).id, "180s")
    assert_it_ends_by_many(signal.SIGTERM, worker, 0)


def test_a_second_ctrl_c_ends_everything_now_which_is_no_clean_end(events: EventService, start: Start) -> None:
    worker = start(
        "-m", "eventsys", "worker", "held", "--processes", "1",
        prepare=lambda directory: (directory / "held.py").write_text(HELD), EVENTSYS_REDIS_URL=url_of(events),
    )  # fmt: skip
    events.publish("job.begun")
    wait_for(lambda: "hold" in {one.handler for one in events.machinery.in_hand()}, "the handler")
    assert_it_ends_by_many(signal.SIGINT, worker, 1)


def test_a_queue_that_no_handler_uses_is_told_with_those_that_are(events: EventService, start: Start) -> None:
    worker = start(*WORKERS["eventsys worker"], "--queues", "actor", EVENTSYS_REDIS_URL=url_of(events))
    assert worker.process.stderr is not None
    told = next(line for line in worker.process.stderr if "WARNING" in line)
    assert "queue 'actor' is to be read and no handler uses it; those that are used: actors, eventsys." in told


def test_a_module_without_a_service_ends_the_worker_in_sentences_and_with_debug_in_tracebacks(
    events: EventService, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "nothing.py").write_text("x = 1\n")
    environ = {"EVENTSYS_REDIS_URL": url_of(events), "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    code, _, stderr = start("-m", "eventsys", "worker", "nothing", "-p", "1", **environ).finish()
    assert code == 1
    assert "no EventService is in nothing; write `events = EventService()`" in stderr.splitlines()[-1]
    assert "Traceback" not in stderr
    code, _, stderr = start("-m", "eventsys", "worker", "nothing", "-p", "1", "--debug", **environ).finish()
    assert code == 1
    assert "Traceback" in stderr


def test_a_module_that_cannot_be_imported_ends_the_worker_with_its_reason(
    events: EventService, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    worker = start(
        "-m", "eventsys", "worker", "broken", EVENTSYS_REDIS_URL=url_of(events), PYTHONPATH=f"{ROOT}:{tmp_path}"
    )  # fmt: skip
    code, _, stderr = worker.finish()
    assert code == 1
    assert "No module named 'no_such_module'" in stderr.splitlines()[-1]
