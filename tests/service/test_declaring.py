"""What `@events.on` refuses: options that will not do, in one sentence of ours."""

from __future__ import annotations

from typing import Any

import pytest

from eventsys import Event, EventService, EventsysError, InvalidPatternError, SubscriptionError, SubscriptionOptions
from eventsys.errors import InvalidDurationError
from eventsys.testing import EventHarness
from tests.support.services import Services


@pytest.mark.parametrize(
    ("option", "error", "says"),
    [
        ({"max_retries": -1}, SubscriptionError, "max_retries=-1 will not do: Input should be greater than"),
        ({"priority": 3}, SubscriptionError, "priority=3 will not do: Input should be 1, 5, 8 or 10"),
        ({"backoff": "linear"}, SubscriptionError, "backoff='linear' will not do"),
        ({"rate": "fast"}, SubscriptionError, "rate 'fast' is not of the form"),
        ({"queue": "a b"}, SubscriptionError, "'a b' cannot name a queue"),
        ({"was": ".."}, SubscriptionError, "the name '..' means a folder where an address ends with it"),
        ({"timeout": 0}, SubscriptionError, "timeout=.* will not do: it is 0, and must be some time"),
        ({"breaker": 1, "breaker_wait": "0s"}, SubscriptionError, "breaker_wait='0s' will not do: it is 0"),
        ({"batch_size": 0}, SubscriptionError, "batch_size=0 will not do"),
        ({"was": "a b"}, SubscriptionError, "the name 'a b' has whitespace"),
        ({"where": {"payload.x": {"above": 1}}}, InvalidPatternError, "unknown operator 'above'"),
        ({"where": "payload.x"}, SubscriptionError, "where='payload.x' will not do: Input should be a valid dict"),
        ({"retry_delay": "soon"}, InvalidDurationError, "retry_delay will not do: 'soon' is not a duration"),
        ({"timeout": "0.5ms"}, InvalidDurationError, "timeout will not do: '500us' is shorter than a millisecond"),
        ({"retry_delay": 1e-7}, InvalidDurationError, "retry_delay will not do: 1e-07 is shorter than a microsecond"),
        ({"batch_size": 2, "batch_wait": 0.0009}, InvalidDurationError, "batch_wait will not do: '900us' is shorter"),
        ({"retry_on": 3}, SubscriptionError, "retry_on takes exception types, not 3"),
        ({"give_up_on": ["TimeoutError"]}, SubscriptionError, "give_up_on takes exception types, not 'TimeoutError'"),
    ],
    ids=str,
)
def test_an_option_that_will_not_do_is_refused_in_one_sentence(
    events: EventService, option: dict[str, Any], error: type[EventsysError], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        events.on("a.b", name="h", **option)(lambda event: None)
    assert "\n" not in str(caught.value)
    events.on("a.b", name="h")(lambda event: None)  # nothing of it is left behind


def test_exception_types_may_stand_in_a_list(harness: EventHarness) -> None:
    seen: list[str] = []

    @harness.events.on("a.b", name="h", max_retries=1, retry_on=[TimeoutError, OSError])
    def handle(event: Event) -> None:
        seen.append(event.id)
        raise OSError("no")

    harness.events.publish("a.b")
    harness.advance(hours=1)
    assert len(seen) == 2


def patience(events: EventService) -> dict[str, tuple[int, int, int | None]]:
    known = [one.subscription for one in events.subscriptions.list()]
    return {one.name: (one.max_retries, one.retry_delay_ms, one.timeout_ms) for one in known}


def test_what_a_declaration_leaves_open_the_settings_decide(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTSYS_SUBSCRIPTION__TIMEOUT", "none")
    monkeypatch.setenv("EVENTSYS_SUBSCRIPTION__RETRY_DELAY", "1m")
    events = services.make(subscription={"max_retries": 7})
    events.on("a.b", name="open")(lambda event: None)
    events.on("a.b", name="said", max_retries=3, retry_delay="5s", timeout="30s")(lambda event: None)
    events.subscribe("a.b", lambda event: None, name="late")
    events.subscribe("a.b", lambda event: None, SubscriptionOptions(timeout=2), name="late-said")
    assert patience(events) == {
        "open": (7, 60_000, None), "late": (7, 60_000, None),
        "said": (3, 5_000, 30_000), "late-said": (7, 60_000, 2_000),
    }  # fmt: skip


def test_without_settings_a_handler_is_tried_four_times_for_half_a_minute_each(services: Services) -> None:
    events = services.make()
    events.on("a.b", name="h")(lambda event: None)
    events.bus.prepare()
    assert patience(events) == {"h": (3, 5_000, 30_000)}
