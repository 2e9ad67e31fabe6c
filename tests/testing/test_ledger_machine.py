"""Whatever happens to events and deliveries, and in whatever order, the ledger agrees with a small model of it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from eventsys import (
    AlreadyFiredError,
    Event,
    EventService,
    RedriveRefusedError,
    Reject,
    Retry,
    SubscriptionOptions,
)
from eventsys.broker.attempt import attempt_of
from eventsys.broker.messages import DeliveryMessage
from eventsys.clock import to_ms
from eventsys.store.reconciliation import Reconciliation
from eventsys.testing import EventHarness
from tests.conftest import NOWHERE
from tests.testing.ledger_model import (
    ASKED_MS,
    ASKS_AGAIN,
    DIES,
    FAILS,
    MAX_RETRIES,
    REJECTS,
    RETRY_MS,
    Ledger,
    subscription_of,
)

NAMES = ("one", "two", "three")

#: What the settings say of delayed events: a day.
USUAL_LIMIT_MS = 86_400_000

#: At most two deaths a delivery: the fifth buries it, and neighbours are counted once too.
letters = st.text(st.sampled_from("rrffsyk"), max_size=4).filter(lambda plan: plan.count(DIES) <= 2)
plans = st.fixed_dictionaries(dict.fromkeys([*NAMES, *(f"{name}#" for name in NAMES)], letters))

#: How late a delivery may begin, in ms; None: that is not said, and a delayed event gets what the settings say.
limits = st.sampled_from([None, 1, 30_000, 100_000_000])


class LedgerMachine(RuleBasedStateMachine):
    """Does the same to a bus under a harness and to the model, and compares what they say.

    Another verb is one more rule here and one more method of the model.
    """

    published = Bundle("published")

    def __init__(self) -> None:
        super().__init__()
        self.events = EventService(redis_url=NOWHERE, app="tests", retention="3650d")
        self.harness = EventHarness(self.events)
        self.calls: Counter[tuple[str, str]] = Counter()
        self.died: set[str] = set()
        self.model = Ledger(to_ms(self.harness.now), self._began_all_the_same)
        self.number = 0
        for name in NAMES[:2]:
            self._subscribe(name)

    def teardown(self) -> None:
        self.harness.close()

    @initialize(target=published)
    def begin_with_a_dead_letter(self) -> str:
        event_id = self.publish({"one": "r", "two": "fr"})
        self.run()
        return event_id

    @rule(target=published, plan=plans, lasts_ms=limits)
    def publish(self, plan: dict[str, str], lasts_ms: int | None = None) -> str:
        event_id = self._next_id()
        self.events.publish("a.b", {"plan": plan}, id=event_id, expire_after=_span(lasts_ms))
        self.model.publish(event_id, plan, lasts_ms)
        return event_id

    @rule(
        target=published,
        plan=plans,
        delay_ms=st.sampled_from([1, 9_999, 10_000, 60_000, 3_600_000, 90_000_000]),
        lasts_ms=limits,
    )
    def schedule(self, plan: dict[str, str], delay_ms: int, lasts_ms: int | None) -> str:
        event_id = self._next_id()
        self.events.schedule("a.b", {"plan": plan}, id=event_id, delay=_span(delay_ms), expire_after=_span(lasts_ms))
        self.model.schedule(event_id, plan, delay_ms, USUAL_LIMIT_MS if lasts_ms is None else lasts_ms)
        return event_id

    @rule(event_id=published)
    def cancel(self, event_id: str) -> None:
        if self.model.waits(event_id):
            assert self.events.cancel(event_id).status == "cancelled"
            self.model.cancel(event_id)
        elif self.model.has_fired(event_id) and not self.model.holds_back(event_id):
            try:
                self.events.cancel(event_id)
            except AlreadyFiredError:
                return
            raise AssertionError(f"{event_id} has fired, and was cancelled all the same")

    @rule()
    def run(self) -> None:
        self.died.clear()
        self.harness.run()
        self.model.advance(0)

    @rule(milliseconds=st.sampled_from([1, 10_000, 59_999, 60_000, 600_000, 86_400_000]))
    def advance(self, milliseconds: int) -> None:
        self.died.clear()
        self.harness.advance(milliseconds=milliseconds)
        self.model.advance(milliseconds)

    @rule(target=published, plan=plans, milliseconds=st.sampled_from([1, 31_000, 90_000_000]), is_swept=st.booleans())
    def publish_too_late(self, plan: dict[str, str], milliseconds: int, is_swept: bool) -> str:
        """Publish what is worth something for half a minute, while no worker runs."""
        event_id = self.publish(plan, lasts_ms=30_000)
        self.be_away(milliseconds, is_swept=is_swept)
        return event_id

    @rule(milliseconds=st.sampled_from([1, 60_000, 90_000_000]), is_swept=st.booleans())
    def be_away(self, milliseconds: int, is_swept: bool) -> None:
        """Let time pass in which no worker runs; the sweeps may be the first to notice."""
        self.events.broker.clock.turn_to(to_ms(self.harness.now) + milliseconds)
        self.model.be_away(milliseconds)
        if is_swept:
            self.events.store.delayed.expire(to_ms(self.harness.now))
            self.model.sweep()

    @precondition(lambda self: self.model.subscriptions)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.subscriptions)))
        begun = self.events.replays.replay(name, rate=100_000.0)
        assert f"{name}#{begun.number}" == self.model.replay(name)

    @precondition(lambda self: self.model.waiting())
    @rule(data=st.data())
    def cancel_delivery(self, data: st.DataObject) -> None:
        event_id, name = data.draw(st.sampled_from(sorted(self.model.waiting())))
        assert self.events.delayed.cancel_delivery(event_id, name).status == "cancelled"
        self.model.cancel_delivery(event_id, name)

    @precondition(lambda self: len(self.model.subscriptions) < len(NAMES))
    @rule(data=st.data())
    def subscribe(self, data: st.DataObject) -> None:
        self._subscribe(data.draw(st.sampled_from([name for name in NAMES if name not in self.model.subscriptions])))

    @precondition(lambda self: self.model.subscriptions)
    @rule(data=st.data())
    def unsubscribe(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.subscriptions)))
        self.events.unsubscribe("a.*", name)
        self.model.unsubscribe(name)

    @precondition(lambda self: self.model.subscriptions)
    @rule(data=st.data())
    def pause_or_resume(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.subscriptions)))
        if name in self.model.paused:
            self.events.subscriptions.resume(name)
            self.model.paused.discard(name)
        else:
            self.events.subscriptions.pause(name)
            self.model.paused.add(name)

    @precondition(lambda self: self.model.dead())
    @rule(data=st.data())
    def redrive(self, data: st.DataObject) -> None:
        letter_id = data.draw(st.sampled_from(sorted(self.model.dead())))
        event_id, _, name = letter_id.partition(":")
        if subscription_of(name) in self.model.subscriptions:
            self.events.dead_letters.redrive(letter_id)
            self.model.redrive(event_id, name)
        else:
            with pytest.raises(RedriveRefusedError):
                self.events.dead_letters.redrive(letter_id)

    @invariant()
    def the_records_agree(self) -> None:
        for event_id, fact in self.model.facts.items():
            record = self.events.get_event(event_id)
            assert record.status == fact.status, record
            found = {one.subscription: one for one in record.deliveries}
            expected = fact.every_delivery()
            assert {name: one.status.value for name, one in found.items()} == {
                name: one.status for name, one in expected.items()
            }
            for name, delivery in expected.items():
                starts = [to_ms(one.started_at) for one in found[name].history if one.started_at is not None]
                assert starts == delivery.started_ms, (name, record)

    @invariant()
    def the_counters_agree(self) -> None:
        broker = self.events.broker
        flat = broker.link.call("HGETALL", broker.keys.counts)
        counts = Counter({name.decode(): int(n) for name, n in zip(flat[::2], flat[1::2], strict=True)})
        for name in (
            "reclaimed",
            "system_events",
            "system_ended_events",
        ):  # what a crash is worth is not the model's business
            del counts[name]
        assert +counts == self.model.counts()
        assert self.events.get_metrics().pending_events == self.model.pending()

    @invariant()
    def nothing_is_there_to_reconcile(self) -> None:
        """A healthy bus is never touched, however young its events are, and whatever is under way."""
        broker = self.events.broker
        found = Reconciliation(broker.link, broker.keys, retention_ms=broker.work.retention_ms)
        now_ms = to_ms(self.harness.now)
        assert found.step(now_ms, now_ms + 1) == ([], True)

    @invariant()
    def the_dead_letters_agree(self) -> None:
        assert {letter.id for letter in self.harness.dead_letters()} == self.model.dead()

    def _next_id(self) -> str:
        self.number += 1
        return f"e{self.number}"

    def _subscribe(self, name: str) -> None:
        options = SubscriptionOptions(max_retries=MAX_RETRIES, retry_delay=timedelta(milliseconds=RETRY_MS))
        self.events.subscribe("a.*", self._handler(name), options, name=name)
        self.model.subscriptions.add(name)

    def _began_all_the_same(self, event_id: str, name: str) -> bool:
        """Say whether a delivery was begun that is too late: its worker had died while it held that one too."""
        return name in self.died and self.calls[event_id, name] > 0

    def _owner(self, name: str) -> str:
        """Return what the delivery that is being handled is called in a record."""
        attempt = attempt_of(self.events.broker)
        assert attempt is not None
        assert isinstance(attempt.message, DeliveryMessage)
        return f"{name}#{attempt.message.replay}" if attempt.message.replay else name

    def _handler(self, name: str) -> Any:
        def handle(event: Event) -> None:
            owner = self._owner(name)
            plan = event.payload["plan"].get(f"{name}#" if event.is_replay else name, "")
            call = self.calls[event.id, owner]
            self.calls[event.id, owner] += 1
            letter = plan[call : call + 1]
            if letter == FAILS:
                raise ValueError("as planned")
            if letter == REJECTS:
                raise Reject("as planned")
            if letter == ASKS_AGAIN:
                raise Retry("as planned", delay=timedelta(milliseconds=ASKED_MS))
            if letter == DIES:
                self.died.add(name)
                self.harness.crash()

        return handle


def _span(milliseconds: int | None) -> timedelta | None:
    return None if milliseconds is None else timedelta(milliseconds=milliseconds)


# Not shrunk: a failing sequence is short enough to read, and each step of shrinking runs it on Redis again.
LedgerMachine.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

TestLedger = LedgerMachine.TestCase
