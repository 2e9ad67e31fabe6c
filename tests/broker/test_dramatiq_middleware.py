"""Dramatiq's own middleware on our broker, with its worker and with ours."""

from __future__ import annotations

import gc
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.middleware import CurrentMessage, GroupCallbacks, Shutdown, prometheus
from dramatiq.rate_limits.backends import RedisBackend as BarrierBackend
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend as ResultBackend

from eventsys.broker.broker import EventBroker
from eventsys.broker.garbage import THRESHOLDS
from tests.broker.letters import letters_of
from tests.support.workers import worker_classes

Begin = Callable[[EventBroker], Any]


@pytest.fixture(params=worker_classes(), ids=lambda one: one.__module__)
def begin(request: pytest.FixtureRequest) -> Iterator[Begin]:
    """Start a worker of either kind; it is stopped after the test."""
    with ExitStack() as stack:

        def start(broker: EventBroker) -> Any:
            worker = request.param(broker, worker_threads=4, worker_timeout=50)
            worker.start()
            stack.callback(worker.stop)
            return worker

        yield start


@pytest.fixture
def results(redis_client: redis.Redis) -> Results:
    return Results(backend=ResultBackend(client=redis_client))


def test_results_are_stored_and_fetched(make_broker, begin, results) -> None:
    broker = make_broker(more=[results])

    @dramatiq.actor(store_results=True)
    def add(one, other):
        return one + other

    begin(broker)
    assert add.send(1, 2).get_result(block=True, timeout=60_000) == 3


def test_callbacks_hear_of_success_and_failure(make_broker, begin) -> None:
    broker = make_broker()
    heard: list[Any] = []

    @dramatiq.actor(max_retries=0, throws=ValueError)
    def divide(one, other):
        return one // other

    @dramatiq.actor
    def on_success(message, result):
        heard.append(("succeeded", message["args"], result))

    @dramatiq.actor
    def on_failure(message, error):
        heard.append(("failed", message["args"], error["type"]))

    begin(broker)
    for other in (2, 0):
        divide.send_with_options(args=(6, other), on_success=on_success, on_failure=on_failure)
    broker.join("default", timeout=60_000)
    assert sorted(heard) == [("failed", [6, 0], "ZeroDivisionError"), ("succeeded", [6, 2], 3)]


def test_a_pipeline_hands_each_result_to_the_next(make_broker, begin, results) -> None:
    broker = make_broker(more=[results])

    @dramatiq.actor(store_results=True)
    def add(one, other):
        return one + other

    begin(broker)
    line = dramatiq.pipeline([add.message(1, 1), add.message(10), add.message(100)]).run()
    assert line.get_result(block=True, timeout=60_000) == 112


def test_a_group_tells_once_when_all_of_it_is_done(make_broker, begin, results, redis_client) -> None:
    broker = make_broker(more=[results, GroupCallbacks(BarrierBackend(client=redis_client))])
    finished = []

    @dramatiq.actor(store_results=True)
    def double(number):
        return 2 * number

    @dramatiq.actor
    def tell():
        finished.append(True)

    begin(broker)
    group = dramatiq.group([double.message(number) for number in range(10)])
    group.add_completion_callback(tell.message())
    group.run()
    assert list(group.get_results(block=True, timeout=60_000)) == [2 * number for number in range(10)]
    broker.join("default", timeout=60_000)
    assert finished == [True]


def test_a_message_older_than_its_age_limit_does_not_run(make_broker, begin) -> None:
    broker = make_broker()
    ran = []

    @dramatiq.actor(max_age=3_600_000)
    def note(word):
        ran.append(word)

    old = note.message("old")
    broker.enqueue(old.copy(message_timestamp=int(time.time() * 1000) - 7_200_000))
    note.send("new")
    begin(broker)
    broker.join("default", timeout=60_000)
    assert ran == ["new"]


def test_a_handler_can_ask_for_its_message(make_broker, begin) -> None:
    broker = make_broker(more=[CurrentMessage()])
    seen = []

    @dramatiq.actor
    def note():
        seen.append(CurrentMessage.get_current_message().message_id)

    begin(broker)
    sent = [note.send().message_id for _ in range(5)]
    broker.join("default", timeout=60_000)
    assert sorted(seen) == sorted(sent)


def test_a_running_handler_is_told_of_the_shutdown_and_its_message_comes_back(make_broker, begin) -> None:
    broker = make_broker()
    running, told, running_again = threading.Event(), threading.Event(), threading.Event()

    @dramatiq.actor(notify_shutdown=True, max_retries=1, min_backoff=1)
    def note():
        if told.is_set():
            running_again.set()
            return
        running.set()
        try:
            while True:
                told.wait(0.01)
        except Shutdown:
            told.set()
            raise

    worker = begin(broker)
    note.send()
    assert running.wait(60)
    worker.stop()
    assert told.is_set()
    assert letters_of(broker) == []
    begin(broker)
    assert running_again.wait(60)


def test_a_process_that_boots_leaves_what_it_loaded_out_of_the_collectors_sight(make_broker, garbage_as_it_was) -> None:
    broker = make_broker()
    broker.emit_after("process_boot")
    assert (gc.get_freeze_count() > 0, gc.get_threshold()) == (True, THRESHOLDS)


def test_prometheus_counts_what_was_handled(make_broker, begin, monkeypatch, tmp_path, garbage_as_it_was) -> None:
    monkeypatch.setattr(prometheus, "DB_PATH", str(tmp_path))
    for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
        monkeypatch.setenv(name, "")  # it writes them, and they must not outlive the test
    counting = prometheus.Prometheus()
    broker = make_broker(more=[counting])
    name = f"note-{secrets.token_hex(4)}"  # the process counts on by name, whatever middleware counts

    @dramatiq.actor(actor_name=name, max_retries=0, throws=ValueError)
    def note(word):
        if word == "bad":
            raise ValueError(word)

    broker.emit_after("process_boot")
    begin(broker)
    for word in ("good", "good", "bad"):
        note.send(word)
    broker.join("default", timeout=60_000)
    assert [_count(one, name) for one in (counting.total_messages, counting.total_errored_messages)] == [3, 1]


def _count(counter: Any, actor_name: str) -> float:
    samples = [one for family in counter.collect() for one in family.samples]
    return sum(one.value for one in samples if one.name.endswith("_total") and one.labels["actor_name"] == actor_name)
