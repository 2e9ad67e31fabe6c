"""Which hooks a message is told to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import AgeLimit, Callbacks, Pipelines, ShutdownNotifications

from eventsys.broker.hooks import Hooks
from eventsys.broker.messages import Place, PlainMessage
from eventsys.middleware import default_middleware

HOOK = "after_process_message"


class Own(dramatiq.Middleware):
    """A middleware of the application."""

    def after_process_message(self, *_: Any, **__: Any) -> None:
        """Take it."""


class OwnCallbacks(Callbacks):
    """Dramatiq's, changed by the application: nobody knows what it looks at."""

    def after_process_message(self, *_: Any, **__: Any) -> None:
        """Take it."""


def called(middleware: list[Any], options: dict[str, Any], actor_options: dict[str, Any]) -> list[str]:
    """Return the names of the middleware whose hook is called after a message."""
    hooks = Hooks(SimpleNamespace(middleware=middleware))  # type: ignore[arg-type]
    place = Place("default", 5, "stream", "1-0", "holder")
    message = PlainMessage(place, actor_name="a", args=(), options=options, message_id="1")
    message.actor = SimpleNamespace(options=actor_options)  # type: ignore[assignment]
    hooks._of(HOOK)
    return [type(one).__name__ for one, _ in hooks._called(HOOK, (message,))]


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
    assert called(middleware, options, actor_options) == expected


def test_what_looks_at_its_own_settings_too_is_told_of_every_message() -> None:
    middleware = [ShutdownNotifications(notify_shutdown=True), OwnCallbacks()]
    assert called(middleware, {}, {}) == ["ShutdownNotifications", "OwnCallbacks"]


@pytest.mark.parametrize(
    ("more", "expected"), [([], False), ([Own()], True), ([OwnCallbacks()], True)], ids=["usual", "own", "subclass"]
)
def test_a_hook_of_others_around_a_handler_may_block(more: list[Any], expected: bool) -> None:
    hooks = Hooks(SimpleNamespace(middleware=[*default_middleware(), *more]))  # type: ignore[arg-type]
    assert hooks.may_block is expected
