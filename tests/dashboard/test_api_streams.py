"""What goes on for as long as somebody watches, asked for by a program on a real connection."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from eventsys import EventMetrics, EventService
from eventsys.dashboard import live, tailing
from tests.browser.serving import served
from tests.dashboard.conftest import TOKEN

API = "/api/v1"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def program(events: EventService, guarded: Any) -> Iterator[httpx2.Client]:
    """A program that has the token of an operator."""
    with served(guarded) as url, httpx2.Client(base_url=url + API, headers=BEARER, timeout=30, trust_env=False) as one:
        yield one


def _messages(answer: httpx2.Response) -> Iterator[tuple[str, Any]]:
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    kind = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line:
            yield kind, json.loads(line.removeprefix("data: "))


@contextmanager
def _published_again_and_again(events: EventService) -> Iterator[None]:
    is_seen = threading.Event()

    def publish() -> None:
        while not is_seen.wait(0.05):
            for event_type in ("order.paid", "stock.low", "stock.high"):
                events.publish(event_type, {"pin": "4711"})

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        is_seen.set()
        thread.join(60)


def test_figures_come_as_they_change(
    program: httpx2.Client, events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "EVERY_S", 0.05)
    with program.stream("GET", "live") as answer:
        messages = _messages(answer)
        kind, first = next(messages)
        assert (kind, EventMetrics.model_validate(first).total_events) == ("metrics", 0)
        events.publish("order.paid", {})
        assert next(told for _, told in messages if told["total_events"])["total_events"] == 1


def test_events_come_as_they_are_stored_and_only_those_asked_for(program: httpx2.Client, events: EventService) -> None:
    with program.stream("GET", "tail", params={"types": ["order.*", "stock.low"]}) as answer:
        messages = _messages(answer)
        assert next(messages)[0] == "following"
        seen: list[str] = []
        # Its follower begins in a thread of its own: what is published before that is not seen.
        with _published_again_and_again(events):
            for kind, told in messages:
                assert kind == "events"
                assert "4711" not in json.dumps(told)
                seen += [one["type"] for one in told["events"]]
                if {"order.paid", "stock.low"} <= set(seen):
                    break
    assert set(seen) == {"order.paid", "stock.low"}


def test_a_pattern_that_cannot_be_is_a_problem(program: httpx2.Client) -> None:
    answer = program.get("tail", params={"types": "Not A Type"})
    assert (answer.status_code, answer.json()["error"]) == (422, "InvalidPatternError")


@pytest.mark.parametrize(("path", "module"), [("live", live), ("tail", tailing)])
def test_who_finds_no_room_is_told_when_to_ask_again(
    program: httpx2.Client, path: str, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WATCHERS", 0)
    answer = program.get(path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert answer.headers["content-type"] == "application/problem+json"
