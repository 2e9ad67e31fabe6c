"""What stays of a message that is over."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from weakref import ref

import pytest

from eventsys.broker.attempt import Attempt
from eventsys.broker.messages import Place, PlainMessage


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Let nothing go but what nothing refers to."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_a_message_and_its_payload_go_with_the_last_who_looks_at_it() -> None:
    place = Place("default", 5, "stream", "1-0", "holder")
    message = PlainMessage(place, actor_name="a", args=("payload",), options={}, message_id="1")
    message.attempt = attempt = Attempt(message, takes_sends=True)
    was = ref(message)
    del message
    assert (was(), attempt.message, attempt.message_id) == (None, None, "1")
