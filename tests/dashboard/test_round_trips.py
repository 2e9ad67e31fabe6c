"""How often a page asks Redis: so often at most, and no more where there is more to show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import redis
from starlette.testclient import TestClient

from eventsys import Event, EventService, Reject
from eventsys.store import redis_time
from eventsys.store.channel import Channel
from eventsys.testing import EventHarness
from tests.dashboard.browser import HTML

#: The pages, each with the most round trips that it may take.
MOST = {
    "/": 23, "/events": 6, "/events/{event}": 14, "/tail": 0, "/delayed": 8, "/delayed-many/cancel": 6,
    "/dead-letters": 4, "/dead-letters/{letter}": 6, "/dead-letters/confirm/purge": 3, "/cron": 3, "/cron/tidy-0": 4,
    "/cron-form?name=tidy-0": 2, "/subscriptions": 8, "/subscriptions/takes.s0": 9, "/replays": 2,
    "/replays/confirm?subscription=takes.s0": 8, "/workers": 5, "/types": 6, "/types/made.t0": 12, "/alerts": 6,
    "/metrics": 13,
}  # fmt: skip


class Busy:
    """A bus that comes to have more of everything.

    Args:
        events: Its service.
        harness: What runs its handlers.
    """

    def __init__(self, events: EventService, harness: EventHarness) -> None:
        self._events = events
        self._harness = harness
        self._rounds = 0
        self.one_event = ""

    def grow(self) -> None:
        """Add types, subscriptions, events in chains, dead letters, delayed events and cron tasks."""
        events, first = self._events, 4 * self._rounds
        self._rounds += 1
        for number in range(first, first + 4):
            events.on(f"made.t{number}", name=f"takes.s{number}", queue=f"q{number}")(self._follow)
            events.on("made.*", name=f"fails.s{number}")(_fail)
            events.cron.create(f"tidy-{number}", "0 0 1 1 *", "made.tidy")
            events.schedule(f"made.t{number}", {"n": number}, delay=timedelta(days=1 + number))
        for number in range(first, first + 4):
            event = events.publish(f"made.t{number}", {"n": number})
            self.one_event = self.one_event or event.id
        self._harness.run()

    def _follow(self, event: Event) -> None:
        self._events.publish("made.next", {"n": event.payload["n"]})

    def places(self) -> dict[str, str]:
        """Return the pages, by how they are called in `MOST`."""
        letter = self._events.dead_letters.list().items[0].id
        return {page: page.format(event=self.one_event, letter=letter) for page in MOST}


def _fail(event: Event) -> None:
    raise Reject("it cannot be")


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Count the round trips on every connection meanwhile, but those that begin one."""
    trips: list[int] = []
    send = Channel._send

    def counting(self: Channel, *sent: Any) -> Any:
        trips.append(1)
        return send(self, *sent)

    with monkeypatch.context() as patched:
        patched.setattr(Channel, "_send", counting)
        yield trips


def test_the_list_of_tasks_reads_nothing_of_what_they_hand_over(
    events: EventService, client: TestClient, redis_client: redis.Redis
) -> None:
    for number in range(20):
        events.cron.create(f"task-{number:02}", "0 0 1 1 *", "made.tidy", {"text": "x" * 100_000})
    assert client.get("/cron", headers=HTML).text.count("0 0 1 1 *") == 20
    before = redis_client.info("stats")["total_net_output_bytes"]
    client.get("/cron", headers=HTML)
    assert redis_client.info("stats")["total_net_output_bytes"] - before < 100_000


def test_a_page_takes_few_round_trips_and_no_more_where_there_is_more(
    events: EventService, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_time, "_PROMPT_S", 60.0)  # on a busy machine the clock is read again
    found: list[dict[str, int]] = []
    with EventHarness(events) as harness:
        bus = Busy(events, harness)
        for _ in range(2):
            bus.grow()
            trips: dict[str, int] = {}
            for page, place in bus.places().items():
                with counted(monkeypatch) as counts:
                    assert client.get(place, headers=HTML).status_code == 200, place
                trips[page] = len(counts)
            found.append(trips)
    little, much = found
    assert {page: count for page, count in much.items() if count > MOST[page]} == {}
    assert {page: (little[page], much[page]) for page in MOST if much[page] > little[page]} == {}
