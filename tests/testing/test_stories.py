"""What a failing test is told."""

from __future__ import annotations

import pytest

from eventsys import Event
from eventsys.testing import EventHarness


def test_an_empty_answer_tells_what_happened_instead(harness: EventHarness) -> None:
    @harness.events.on("order.placed", name="orders.bill", max_retries=0)
    def bill(event: Event) -> None:
        raise ValueError("no card")

    assert repr(harness.delivered("order.placed")).endswith("nothing was dispatched yet: run() or advance()?>")
    harness.publish("order.placed", {})
    harness.publish("user.seen", {})
    harness.run()
    assert "attempt 1 dead" in repr(harness.delivered("orders.bill"))
    assert "ValueError: no card" in repr(harness.delivered("orders.bill"))
    assert "did you mean 'order.placed'" in repr(harness.delivered("order.plcaed"))
    assert "to nobody who succeeded" in repr(harness.delivered("user.seen"))


def test_a_failed_assertion_lists_what_was_dispatched_and_how_it_ended(harness: EventHarness) -> None:
    @harness.events.on("order.placed", name="orders.bill", retry_delay="5m")
    def bill(event: Event) -> None:
        raise ValueError("no card")

    harness.publish("order.placed", {}, id="o1")
    harness.publish("order.cancelled", {}, id="o2")
    harness.schedule("order.reminded", {}, delay="1h", id="o3")
    harness.run()
    with pytest.raises(AssertionError) as caught:
        harness.assert_delivered(bill)
    text = str(caught.value)
    for part in (
        "of 'orders.bill' none was delivered",
        "order.placed, event o1, goes to orders.bill",
        "order.cancelled, event o2, goes to nobody: no subscription wants it",
        "orders.bill, attempt 1 at event o1: failed, ValueError: no card",
        "retry orders.bill o1:orders.bill, due",
        "delayed event order.reminded o3, due",
    ):
        assert part in text
    harness.advance("15m")
    assert "dead letters:\n  orders.bill o1:orders.bill: failed, ValueError: no card" in harness.story()


def test_a_number_of_deliveries_can_be_asked_for(harness: EventHarness) -> None:
    harness.events.on("a.b", name="h")(lambda event: None)
    for _ in range(2):
        harness.publish("a.b", {})
    harness.run()
    assert len(harness.assert_delivered("a.b", times=2)) == 2
    with pytest.raises(AssertionError, match="2 and not 3 were delivered"):
        harness.assert_delivered("a.*", times=3)
    harness.assert_delivered("c.d", times=0)


def test_a_long_story_begins_late_and_says_so(harness: EventHarness) -> None:
    for _ in range(100):
        harness.publish("a.b", {})
    harness.run()
    assert "... 40 lines before" in harness.story()


def test_deliveries_compare_as_a_list_does(harness: EventHarness) -> None:
    assert harness.delivered() == []
    harness.events.on("order.placed", name="orders.bill")(lambda event: None)
    harness.publish("order.placed", {})
    ran = harness.run()
    assert ran == [*ran] == harness.delivered("orders.bill") != []
