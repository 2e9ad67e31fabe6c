"""Which deliveries make a batch, and when it goes."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from eventsys.broker import collecting
from eventsys.broker.actor import Batching
from eventsys.broker.batch import Batch
from eventsys.broker.collecting import Collecting
from eventsys.broker.in_flight import InFlight
from eventsys.broker.messages import DeliveryMessage, Place

#: Size and wait of each subscription; one goes with what one look brings, one is a batch of one.
KINDS = {"few": (3, 1.0), "many": (7, 0.25), "at_once": (5, 0.0), "alone": (1, 10.0)}


class Actor:
    """As much of a handler as gathering looks at."""

    priority = 0

    def __init__(self, size: int, wait_s: float) -> None:
        self.batching = Batching(size, wait_s, lambda events: None, dict)


ACTORS = {name: Actor(*kind) for name, kind in KINDS.items()}


class Counted:
    """Counts how many messages of a queue are set aside."""

    def __init__(self) -> None:
        self.aside = 0

    def set_aside(self, queue: str, many: int) -> None:
        assert many > 0
        self.aside += many

    def take_up(self, queue: str, many: int) -> None:
        assert many > 0
        self.aside -= many


def delivery(number: int, name: str, letters: int = 0, queue: str = "q") -> DeliveryMessage:
    """Return a delivery that was fetched."""
    envelope = f'{{"id":"e{number}","type":"a.b","time":"2026-01-01T00:00:00Z","payload":{{"n":"{"x" * letters}"}}}}'
    message = DeliveryMessage(name, envelope, {}, Place(queue, 5, "lane", f"{number}-0", "me"))
    message.actor = cast("Any", ACTORS[name])
    return message


class Gathering(RuleBasedStateMachine):
    """Whatever comes when: each delivery goes once, in order, in no batch too large, and never late if looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.room = Counted()
        self.collecting = Collecting(lambda: self.room)
        self.number = 0
        self.waiting: dict[str, list[tuple[str, float]]] = {name: [] for name in KINDS}

    @rule(names=st.lists(st.sampled_from(sorted(KINDS)), max_size=12))
    def fetch(self, names: list[str]) -> None:
        messages = []
        for name in names:
            self.number += 1
            messages.append(delivery(self.number, name))
            self.waiting[name].append((f"e{self.number}", self.now))
        for batch in self.collecting.add(messages, self.now):
            assert len(batch.deliveries) == KINDS[batch.actor_name][0]
            self.goes(batch)
        assert all(len(self.waiting[name]) < size for name, (size, _) in KINDS.items())

    @rule(passed=st.sampled_from([0.0, 0.1, 0.25, 0.5, 2.0]))
    def look(self, passed: float) -> None:
        self.now += passed
        expected = {name for name in KINDS if self.waiting[name] and self.due(name) <= self.now}
        batches = self.collecting.take_due(self.now)
        assert {batch.actor_name for batch in batches} == expected
        assert len(batches) == len(expected)
        for batch in batches:
            self.goes(batch)

    @precondition(lambda self: any(self.waiting.values()))
    @rule()
    def take_everything(self) -> None:
        for batch in self.collecting.take_all():
            self.goes(batch)
        assert not any(self.waiting.values())

    @invariant()
    def what_waits_takes_no_room_and_the_next_moment_is_known(self) -> None:
        assert self.room.aside == len(self.collecting) == sum(map(len, self.waiting.values()))
        dues = [self.due(name) for name in KINDS if self.waiting[name]]
        assert self.collecting.next_due == min(dues, default=float("inf"))

    def due(self, name: str) -> float:
        return self.waiting[name][0][1] + KINDS[name][1]

    def goes(self, batch: Batch) -> None:
        ids = [one.event_id for one in batch.deliveries]
        waiting = self.waiting[batch.actor_name]
        assert ids == [event_id for event_id, _ in waiting[: len(ids)]]
        del waiting[: len(ids)]


TestGathering = Gathering.TestCase


def test_large_events_fill_a_batch_before_there_are_many(monkeypatch) -> None:
    monkeypatch.setattr(collecting, "MOST_LETTERS", 1000)
    room = Counted()
    gathered = Collecting(lambda: room)
    assert gathered.add([delivery(1, "many", letters=600)], 0.0) == []
    (batch,) = gathered.add([delivery(2, "many", letters=600)], 0.0)
    assert [one.event_id for one in batch.deliveries] == ["e1", "e2"]
    assert (len(gathered), room.aside) == (0, 0)


def test_deliveries_of_two_queues_are_counted_apart_and_make_batches_of_their_own() -> None:
    """A subscription that moves to another queue has retries in the old one."""
    room = InFlight()
    gathered = Collecting(lambda: room)
    fetched = [delivery(1, "few", queue="new"), delivery(2, "few", queue="old"), delivery(3, "few", queue="old")]
    room.add([one.place for one in fetched])
    assert gathered.add(fetched, 0.0) == []
    batches = gathered.take_all()
    assert [[one.event_id for one in batch.deliveries] for batch in batches] == [["e1"], ["e2", "e3"]]
    for batch in batches:
        room.begin_batch(batch.queue_name, len(batch.deliveries))
        room.end_batch(batch.queue_name, len(batch.deliveries))
    assert (room.held("new"), room.held("old")) == (0, 0)
