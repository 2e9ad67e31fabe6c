"""Which hooks a message is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import AgeLimit, Callbacks, Pipelines, ShutdownNotifications

from eventsys.broker.broker import EventBroker
from eventsys.broker.hooks import Hooks
from eventsys.broker.messages import Place, PlainMessage, Received
from eventsys.middleware import Correlation, default_middleware

HOOK = "after_process_message"


class Own(dramatiq.Middleware):
    """A middleware of the application."""

    def after_process_message(self, *_: Any, **__: Any) -> None:
        """Take it."""


class OwnCallbacks(Callbacks):
    """Dramatiq's, changed by the application: nobody knows what it looks at."""

    def after_process_message(self, *_: Any, **__: Any) -> None:
        """Take it."""


def message_with(options: dict[str, Any], actor_options: dict[str, Any]) -> PlainMessage:
    """Return a message of an actor."""
    place = Place("default", 5, "stream", "1-0", "holder")
    message = PlainMessage(place, actor_name="a", args=(), options=options, message_id="1")
    message.actor = Receiver(actor_options)  # type: ignore[assignment]
    return message


class Receiver:
    """An actor, as far as hooks look at it."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options


def called(middleware: list[Any], message: Received, hook: str = HOOK) -> list[str]:
    """Return the names of the middleware whose hook is called around the handler of a message."""
    hooks = Hooks(SimpleNamespace(middleware=middleware))  # type: ignore[arg-type]
    return [type(one).__name__ for one, _ in hooks._around_handler(hook, message)]


@pytest.mark.parametrize(
    ("options", "actor_options", "expected"),
    [
        ({}, {}, ["Own"]),
        ({"retries": 1}, {"max_retries": 3}, ["Own"]),
        ({"pipe_target": {}}, {}, ["ShutdownNotifications", "Callbacks", "Pipelines", "Own"]),
        ({}, {"on_success": "b"}, ["ShutdownNotifications", "Callbacks", "Pipelines", "Own"]),
    ],
)
def test_what_looks_at_options_only_is_told_of_messages_that_have_them(
    options: dict[str, Any], actor_options: dict[str, Any], expected: list[str]
) -> None:
    middleware = [AgeLimit(), ShutdownNotifications(), Callbacks(), Pipelines(), Own()]
    assert called(middleware, message_with(options, actor_options)) == expected


def test_what_looks_at_its_own_settings_too_is_told_of_every_message() -> None:
    middleware = [ShutdownNotifications(notify_shutdown=True), OwnCallbacks()]
    assert called(middleware, message_with({}, {})) == ["ShutdownNotifications", "OwnCallbacks"]


class OwnCorrelation(Correlation):
    """Ours, changed by the application."""


@pytest.mark.parametrize(
    ("hook", "options", "expected"),
    [
        ("before_process_message", {}, ["OwnCorrelation", "Outcome", "Timeout"]),
        (
            "before_process_message",
            {"chain": ["a", "b", 1]},
            ["Expiry", "Correlation", "OwnCorrelation", "Outcome", "Timeout"],
        ),
        ("after_process_message", {}, ["OwnCorrelation", "Outcome"]),
        ("after_process_message", {"tick_ms": 1}, ["Periodic", "Retries", "Correlation", "OwnCorrelation", "Outcome"]),
    ],
)
def test_what_does_nothing_for_messages_of_a_kind_is_told_of_those_with_options_only(
    hook: str, options: dict[str, Any], expected: list[str]
) -> None:
    middleware = default_middleware()
    middleware.insert(10, OwnCorrelation())
    assert called(middleware, message_with(options, {}), hook) == expected


def test_every_hook_is_told_of_a_failure() -> None:
    told: list[str] = []

    class Telling(Own):
        concerns = ()

        def after_process_message(self, *_: Any, **outcome: Any) -> None:
            told.append(next(iter(outcome)))

    hooks = Hooks(SimpleNamespace(middleware=[Telling()]))  # type: ignore[arg-type]
    hooks.after_message(message_with({}, {}), result=None)
    hooks.after_message(message_with({}, {}), exception=ValueError())
    assert told == ["exception"]


@pytest.mark.parametrize(
    ("more", "expected"), [([], False), ([Own()], True), ([OwnCallbacks()], True)], ids=["usual", "own", "subclass"]
)
def test_a_hook_of_others_around_a_handler_may_block(more: list[Any], expected: bool) -> None:
    hooks = Hooks(SimpleNamespace(middleware=[*default_middleware(), *more]))  # type: ignore[arg-type]
    assert hooks.may_block is expected


def test_a_worker_that_stops_waits_for_a_queue_that_is_being_declared(
    broker: EventBroker, start_worker: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dramatiq's knows the queue's thread before it has started it, and cannot join one that has not begun."""
    begins, goes_on = threading.Event(), threading.Event()
    start = dramatiq.worker.ConsumerThread.start

    def start_late(consumer: Any) -> None:
        begins.set()
        assert goes_on.wait(60)
        start(consumer)

    monkeypatch.setattr(dramatiq.worker.ConsumerThread, "start", start_late)
    worker = start_worker(broker, threads=1)
    with ThreadPoolExecutor(2) as threads:
        declaring = threads.submit(broker.declare_queue, "late")
        try:
            assert begins.wait(60)
            stopping = threads.submit(worker.stop)
            with pytest.raises(TimeoutError):
                stopping.result(0.5)
        finally:
            goes_on.set()
        declaring.result(60)
        stopping.result(60)
    assert not worker.consumers["late"].is_alive()
