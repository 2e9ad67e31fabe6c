"""A page stays small whatever is stored, and says what it cut and which command shows all."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import pytest
from pydantic import create_model
from starlette.testclient import TestClient

from eventsys import Event, EventService
from eventsys.dashboard.room import MOST_OF_ALL, MOST_OF_ONE, Room, brief
from eventsys.model.event import Attempt, DeliveryRecord
from eventsys.model.status import DeliveryStatus
from eventsys.readable import visible
from tests.dashboard.browser import HTML, Elements

#: What the pages promise.
MOST_BYTES = 150 * 1024

#: Letters that take five times their room on a page, and one that is an escape there.
WORST = "<&\u202e"


def test_one_text_gets_a_third_of_a_page_at_most_and_all_of_them_one_page() -> None:
    room = Room()
    sizes = [len(room.cut("x" * 100_000)) for _ in range(4)]
    assert sizes == [MOST_OF_ONE, MOST_OF_ONE, MOST_OF_ALL - 2 * MOST_OF_ONE, 0]


@pytest.mark.parametrize(("letter", "size"), [("x", 1), ("<", 4), ('"', 5), ("é", 2), ("😀", 4)])
def test_room_is_counted_in_bytes_as_they_are_sent(letter: str, size: int) -> None:
    assert len(Room().cut(letter * 50_000)) == MOST_OF_ONE // size
    assert Room().cut(letter * 10) == letter * 10


def test_what_is_cut_in_a_row_ends_in_dots() -> None:
    assert (brief("x" * 160), brief("x" * 161)) == ("x" * 160, "x" * 159 + "…")


def test_a_large_event_with_many_deliveries_is_cut_and_says_so(
    client: TestClient, events: EventService, quick_work: Callable[..., Any]
) -> None:
    for number in range(12):
        events.on("order.paid", name=f"fails-{number}", max_retries=0)(_fail)
    quick_work()
    event = events.publish("order.paid", {"text": WORST * 20_000}, id="large$one")
    events.wait(event.id)
    text = _page(client, "/events/large$one")
    said = "eventsys events show &#39;large$one&#39; --json shows all"
    assert text.count(said) >= 5
    assert "… cut here, of 60," in text
    letter = events.dead_letters.list().items[0]
    text = _page(client, f"/dead-letters/{letter.id}")
    assert text.count(" --json shows all") == 2
    assert "eventsys dead show " in text
    assert _page(client, "/dead-letters").count("…") >= 12


def test_more_deliveries_and_attempts_than_there_is_room_for_are_counted(
    client: TestClient, events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = events.publish("order.paid", {})
    attempts = [
        Attempt(number=number, status="failed", error="<" * 1_000, traceback="", started_at=event.time)
        for number in range(1, 31)
    ]
    deliveries = [
        DeliveryRecord(subscription=f"many-{number}", status=DeliveryStatus.DEAD, attempts=30, history=attempts)
        for number in range(40)
    ]
    record = events.get_event(event.id).model_copy(update={"deliveries": deliveries})
    monkeypatch.setattr(EventService, "get_event", lambda *_: record)
    text = _page(client, f"/events/{event.id}")
    assert "the last 20 of 30 attempts: <code>eventsys events show" in text
    assert "the first 4 of 40 deliveries: <code>eventsys events show" in text


def test_the_payload_of_a_cron_task_is_cut(client: TestClient, events: EventService) -> None:
    events.cron.create("reports", "@daily", "report.due", {"text": WORST * 20_000})
    assert "eventsys cron show reports --json shows all" in _page(client, "/cron/reports")


def test_the_schema_of_a_type_is_cut(client: TestClient, events: EventService) -> None:
    model: Any = create_model("Wide", **{f"field_{number}": (int, ...) for number in range(500)})
    events.type("wide.sent", model)
    assert "eventsys schema export MODULE shows all" in client.get("/types/wide.sent").text


def test_a_source_is_cut_in_every_list_and_whole_beside_its_event(client: TestClient, events: EventService) -> None:
    source, key = WORST * 160, WORST * 160
    for number in range(20):
        events.publish("order.paid", {}, source=f"{number}{source}", id=f"one-{number}")
        events.schedule("order.due", {}, delay="1h", source=source, key=f"{number}{key}")
    for path in ("/events", "/types/order.paid", "/delayed"):
        assert "…" in _page(client, path)
    assert f"<dt>source</dt><dd>{escape(visible(f'1{source}'))}</dd>" in _page(client, "/events/one-1")


def test_alerts_of_the_past_are_cut(client: TestClient, events: EventService) -> None:
    for _ in range(10):
        events.publish("system.warning", {"message": "<" * 50_000, "key": "k"})
    assert _page(client, "/alerts").count("…") >= 10


def _fail(event: Event) -> None:
    raise RuntimeError("<" * 20_000)


def _page(client: TestClient, path: str) -> str:
    answer = client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 200
    assert len(answer.content) < MOST_BYTES
    return answer.text


def test_the_page_that_asks_before_many_letters_are_dropped_counts_some_of_them(
    events: EventService, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked at all there are, however many, while somebody waited for it."""
    link, keys = events.broker.link, events.broker.keys
    for at in range(5):
        link.call("ZADD", keys.dead, 1_000 + at, f"e{at}:h")
        link.call("HSET", keys.letter(f"e{at}:h"), "reason", "timeout" if at else "failed", "type", "a.b")
    monkeypatch.setattr("eventsys.store.letter_index.MOST_COUNTED", 2)
    monkeypatch.setattr("eventsys.store.letter_index._CHUNK", 1)
    where = "/dead-letters/confirm/purge"
    asked = {reason: Elements(client.get(f"{where}?reason={reason}", headers=HTML).text).words
             for reason in ("timeout", "failed")}  # fmt: skip
    assert "Drop at least 2 dead letters for good?" in asked["timeout"]
    assert "Drop at least 0 dead letters for good?" in asked["failed"]
    assert all("Counting stopped early" in words for words in asked.values())
    assert "Drop 5 dead letters for good?" in Elements(client.get(where, headers=HTML).text).words
