"""What is recorded of an attempt that ran too long."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import TimeLimitExceeded

from eventsys import DeadLetterFilter, Event, EventService
from eventsys.broker.time_limits import name_limit
from tests.worker.batching import kinds

#: What the error of such an attempt says.
SAID = (
    "TimeLimitExceeded: ran longer than its timeout of {}; raise the timeout of the subscription, or do less in one"
    " attempt"
)


@kinds
def test_an_attempt_that_ran_too_long_names_its_limit_everywhere(
    events: EventService, start_worker: Callable[..., Any], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    if kind == "coroutine":

        @events.on("tick", name="slow", timeout="50ms", max_retries=0)
        async def slow_coroutine(event: Event) -> None:
            await asyncio.Event().wait()
    else:

        @events.on("tick", name="slow", timeout="50ms", max_retries=0)
        def slow(event: Event) -> None:
            until = time.monotonic() + 20
            while time.monotonic() < until:
                pass

    start_worker(events.broker)
    with caplog.at_level(logging.ERROR):
        record = events.wait(events.publish("tick").id, "60s")
    [letter] = events.dead_letters.list(DeadLetterFilter()).items
    said = SAID.format("50 ms")
    assert record.deliveries[0].error == letter.error == said
    assert [attempt.status for attempt in record.deliveries[0].history] == ["timeout"]
    assert [str(one.exc_info[1]) for one in caplog.records if one.exc_info] == [
        said.removeprefix("TimeLimitExceeded: ")
    ]


class _Message:
    """As much of the message of a plain actor as is looked at."""

    def __init__(self, actor: Any, **options: Any) -> None:
        self.actor, self.options = actor, options


@pytest.mark.parametrize(("limit", "shown"), [(1500, " of 1.5 s"), (None, ""), ("soon", ""), (1e300, " of 1e+300 ms")])
def test_the_limit_of_a_plain_actor_is_named_as_far_as_it_was_said(limit: Any, shown: str) -> None:
    error = TimeLimitExceeded()
    name_limit(_Message(None, time_limit=limit), error)  # type: ignore[arg-type]
    remedy = "give the actor a longer time_limit, or do less in one attempt"
    assert str(error) == f"ran longer than its time limit{shown}; {remedy}"


@pytest.mark.parametrize("error", [TimeLimitExceeded("its own words"), dramatiq.Retry("again"), ValueError()])
def test_an_error_of_another_kind_or_with_its_own_words_stays(error: BaseException) -> None:
    args = error.args
    name_limit(_Message(None, time_limit=5), error)  # type: ignore[arg-type]
    assert error.args == args
