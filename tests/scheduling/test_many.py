"""Many delayed events at once: counted, taken back, let go."""

from __future__ import annotations

from datetime import timedelta

import pytest

from eventsys import AlreadyFiredError, EventFilter, EventStatus, InvalidEventError
from eventsys.clock import to_ms
from eventsys.store.scripts import script


def test_what_is_due_is_counted_by_period_over_both_tiers(events, now) -> None:
    for minutes in (5, 50, 70, 130, 130, 1500):
        events.schedule("step.taken", {}, at=now + timedelta(minutes=minutes))
    edges = [to_ms(now + timedelta(hours=hours)) for hours in (0, 1, 2, 3, 30)]
    assert events.store.delayed.many.per_period(edges) == [2, 1, 2, 1]
    assert events.store.delayed.many.per_period(edges[:1]) == []


def test_events_that_fit_are_counted_and_let_go_together(events, now) -> None:
    for number in range(250):
        events.schedule("order.due" if number % 2 else "mail.due", {}, delay=timedelta(minutes=number + 1))
    many, orders = events.store.delayed.many, EventFilter(types=("order.*",))
    assert many.count(orders) == (125, True)
    assert many.count(EventFilter()) == (250, True)
    assert many.fire(orders, to_ms(now)) == 125
    assert many.count(EventFilter()) == (125, True)
    assert many.fire(orders, to_ms(now)) == 0
    fired = events.get_event_records(EventFilter(types=("order.due",), page_size=1))
    assert fired.total == 125
    assert fired.items[0].delay_until == now
    assert many.cancel(EventFilter(), to_ms(now)) == 125
    assert events.delayed.get_pending_count() == 0


def test_events_are_chosen_by_their_ids(events, now) -> None:
    ids = tuple(events.schedule("order.due", {}, delay=timedelta(hours=hours)).id for hours in (3, 1, 2))
    wanted = EventFilter(ids=(ids[0], "unknown", ids[1]))
    page = events.get_delayed_events(wanted)
    assert ([one.id for one in page.items], page.total) == ([ids[1], ids[0]], 2)
    assert events.store.delayed.many.count(wanted) == (2, True)
    assert events.store.delayed.many.cancel(wanted, to_ms(now)) == 2
    assert [one.id for one in events.get_delayed_events(EventFilter(status=EventStatus.PENDING)).items] == [ids[2]]
    assert events.get_delayed_events(EventFilter(ids=ids, types=("mail.*",))).total == 0


def test_one_that_cannot_be_let_go_stays_and_holds_up_no_other(events, redis_client) -> None:
    broken, sound = (events.schedule("order.due", {}, delay="1h") for _ in range(2))
    stream = events.broker.keys.log("5")
    redis_client.set(stream, "no stream")
    with pytest.raises(InvalidEventError, match="cannot be let go"):
        events.run_now(broken.id)
    redis_client.delete(stream)
    outcomes = events.broker.link.run(
        script("fire_delayed"), events.broker.keys.prefix, to_ms(broken.created_at), "unknown", sound.id
    )
    assert [one[0] for one in outcomes] == [b"unknown", b"fired now"]
    assert events.run_now(broken.id).id == broken.id
    with pytest.raises(AlreadyFiredError):
        events.run_now(sound.id)
