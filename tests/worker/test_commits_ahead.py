"""Commits that are sent before the last one is answered: under load they are, and nothing is lost or doubled by it."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from eventsys import Event, EventService, EventStatus
from eventsys.broker.commit_trip import CommitTrip, Sent
from eventsys.broker.worker import Worker
from eventsys.errors import RedisUnavailableError
from tests.support.waiting import eventually

StartWorker = Callable[..., Worker]

_MANY = 4_000


class Watched:
    """What a worker sends and is answered, in turn; `act` may do something before an answer.

    Args:
        act: Called before an answer is waited for while another commit is behind it, with the trip.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, act: Callable[[CommitTrip], None] = lambda trip: None) -> None:
        self.most_under_way = 0
        self.sent = self.ahead = 0
        self.out_of_turn = 0
        self._under_way: list[Sent] = []
        send, answer = CommitTrip.send, CommitTrip.answer

        def watched_send(trip: CommitTrip, batch: Any, behind: Sent | None) -> Sent | None:
            sent = send(trip, batch, behind)
            if sent is not None:
                self.sent += 1
                self._under_way.append(sent)
                self.most_under_way = max(self.most_under_way, len(self._under_way))
            return sent

        def watched_answer(trip: CommitTrip, sent: Sent) -> list[str]:
            self.out_of_turn += self._under_way.pop(0) is not sent
            if self._under_way:
                self.ahead += 1
                act(trip)
            return answer(trip, sent)

        monkeypatch.setattr(CommitTrip, "send", watched_send)
        monkeypatch.setattr(CommitTrip, "answer", watched_answer)


def _drain(events: EventService, start_worker: StartWorker, *, many_in_a_call: bool = False) -> Counter[int]:
    """Have many events handled, and return how often each was; all of them are recorded as delivered once."""
    handled: Counter[int] = Counter()
    if many_in_a_call:

        @events.on("click.made", name="clicks", batch_size=100)
        def take_many(batch: list[Event]) -> None:
            handled.update(event.payload["n"] for event in batch)
    else:

        @events.on("click.made", name="clicks")
        def take(event: Event) -> None:
            handled[event.payload["n"]] += 1

    events.publish_many([("click.made", {"n": n}) for n in range(_MANY)])
    start_worker(events.broker)
    eventually(lambda: len(handled) == _MANY)
    eventually(lambda: events.get_metrics().pending_events == 0)
    told = events.get_metrics()
    assert (told.deliveries, told.succeeded) == (_MANY, _MANY)
    return handled


@pytest.mark.parametrize("many_in_a_call", [False, True])
def test_under_load_the_next_commit_is_sent_before_the_last_is_answered(
    events: EventService, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, many_in_a_call: bool
) -> None:
    watched = Watched(monkeypatch)
    assert set(_drain(events, start_worker, many_in_a_call=many_in_a_call).values()) == {1}
    assert watched.ahead > 0
    assert watched.most_under_way == 2
    assert watched.out_of_turn == 0


def test_a_lone_commit_is_not_sent_ahead(
    events: EventService, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)
    events.on("click.made", name="clicks")(lambda event: None)
    start_worker(events.broker)
    record = events.wait(events.publish("click.made", {}).id, "30s")
    assert record.status is EventStatus.DELIVERED
    assert watched.most_under_way == 0


@pytest.mark.parametrize("many_in_a_call", [False, True])
def test_a_connection_that_breaks_with_two_under_way_loses_and_doubles_nothing(
    events: EventService, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, many_in_a_call: bool,
) -> None:  # fmt: skip
    """Which of them have run is unknown; each is made again, and finds what it has ended."""
    broken: list[int] = []

    def break_a_few(trip: CommitTrip) -> None:
        if len(broken) < 5:
            broken.append(1)
            if len(broken) % 2:
                trip.close()  # an answer that has come is lost with it
            else:
                trip._channel.hang_up()

    Watched(monkeypatch, break_a_few)
    with caplog.at_level(logging.WARNING, "eventsys"):
        handled = _drain(events, start_worker, many_in_a_call=many_in_a_call)
    assert len(broken) >= 2
    assert set(handled.values()) == {1}
    assert not [one for one in caplog.records if getattr(one, "action", "") in ("commit_lost", "commit_failed")]


def test_a_committer_that_was_closed_sends_nothing_more(
    events: EventService, monkeypatch: pytest.MonkeyPatch, start_worker: StartWorker
) -> None:
    """What it has not sent is handed back by whoever closed it, and must not end while another process has it."""
    sent_late: list[int] = []
    closed, answering = threading.Event(), threading.Event()

    def wait_for_the_end(trip: CommitTrip) -> None:
        answering.set()
        closed.wait(30)

    watched = Watched(monkeypatch, wait_for_the_end)
    events.on("click.made", name="clicks")(lambda event: None)
    events.publish_many([("click.made", {"n": n}) for n in range(_MANY)])
    start_worker(events.broker)
    assert answering.wait(30)
    committer = events.broker.work.committer
    eventually(lambda: len(committer.backlog) > 1_000)
    before = watched.sent
    assert not committer.close(0)
    send = CommitTrip.send
    monkeypatch.setattr(CommitTrip, "send", lambda *given: sent_late.append(1) or send(*given))
    closed.set()
    assert committer._thread is not None
    committer._thread.join(30)
    assert not committer._thread.is_alive()
    assert (watched.sent, sent_late) == (before, [])


def test_what_cannot_be_sent_ahead_is_committed_when_its_turn_has_come(
    events: EventService, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sending fails each time that another one is under way."""
    send, failed = CommitTrip.send, []

    def fails_behind(trip: CommitTrip, batch: Any, behind: Sent | None) -> Sent | None:
        if behind is not None:
            failed.append(len(batch))
            raise RedisUnavailableError("gone just now")
        return send(trip, batch, behind)

    monkeypatch.setattr(CommitTrip, "send", fails_behind)
    assert set(_drain(events, start_worker).values()) == {1}
    assert failed
