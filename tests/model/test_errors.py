"""Errors on their way to another process: a pool sends what leaves a function back to whoever called it."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing import Pipe
from typing import Any

import pytest

from eventsys import BatchError, Event, Reject, Retry, errors
from eventsys.bus.tending import BootRefusedError
from eventsys.store.subscriptions import UnsettledError


def made_with_facts() -> Iterator[BaseException]:
    """Make one of each class of `errors`; what it asks for besides its message is a fact of that name."""
    event = Event(id="1", type="a.b", time=datetime(2026, 1, 1, tzinfo=UTC), payload={"n": 1})
    facts: dict[str, Any] = {"event": event, "published": [event], "refused": [], "differ": ("queue",)}
    for kind in vars(errors).values():
        if inspect.isclass(kind) and issubclass(kind, errors.EventsysError) and kind not in {BatchError, Retry, Reject}:
            asked = inspect.signature(kind.__init__).parameters.values()
            names = [one.name for one in asked if one.kind is inspect.Parameter.KEYWORD_ONLY]
            yield kind("what failed", **{name: facts.get(name, "it") for name in names})


MADE = [
    *made_with_facts(), Retry("later", delay="5s"), Reject("never"), BatchError({"1": Retry("later", delay=2)}),
    UnsettledError("handler", "queue"), BootRefusedError("newer"),
]  # fmt: skip


def sent(error: BaseException) -> Any:
    """Return an error as it comes out of what pools of processes send it through."""
    there, here = Pipe()
    with there, here:
        there.send(error)
        return here.recv()


@pytest.mark.parametrize("again", [sent, copy.copy])
@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
def test_an_error_keeps_its_message_and_its_facts(error: BaseException, again: Callable[[Any], Any]) -> None:
    error.add_note("a note")
    other = again(error)
    assert type(other) is type(error)
    assert (str(other), other.args) == (str(error), error.args)
    assert repr(vars(other)) == repr(vars(error))  # errors among the facts are equal to themselves alone
