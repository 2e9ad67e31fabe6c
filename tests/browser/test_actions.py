"""Every action of the pages, clicked: it takes effect, and is on record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eventsys import Event, EventFilter, EventService, EventStatus, ReplayState
from tests.browser.presses import Watched, presses
from tests.support.waiting import eventually

Work = Callable[..., Any]


def _click(page: Any, name: str, *, exact: bool = False) -> None:
    page.get_by_role("button", name=name, exact=exact).first.click()


def _follow(page: Any, name: str, *, exact: bool = False) -> None:
    page.get_by_role("link", name=name, exact=exact).first.click()


def _says(page: Any, text: str) -> None:
    page.get_by_text(text).first.wait_for()


@pytest.fixture(autouse=True)
def _presses_what_it_says(request: pytest.FixtureRequest, watched: Watched) -> Iterator[None]:
    yield
    assert watched.pressed == getattr(request.function, "presses", frozenset())


@pytest.fixture
def failing(events: EventService, quick_work: Work) -> Event:
    """An event whose delivery to `ship` failed, and one more."""

    @events.on("order.paid", name="ship", max_retries=0)
    def ship(event: Event) -> None:
        raise RuntimeError("no stock")

    quick_work()
    made = [events.publish("order.paid", {"n": number}, source="shop") for number in range(3)]
    for event in made:
        events.wait(event.id)
    return made[0]


@presses("/delayed/{event_id:path}/run", "/delayed/{event_id:path}/cancel", "/delayed/{event_id:path}/reschedule")
def test_delayed_events_are_let_go_cancelled_and_moved(page: Any, url: str, events: EventService) -> None:
    run, cancelled, moved = (events.schedule(f"{name}.due", {}, delay="1h", id=name) for name in ("a", "b", "c"))
    page.goto(f"{url}/delayed")
    _click(page, f"Run now: {run.id}")
    _says(page, "It fires now.")
    _click(page, f"Cancel: {cancelled.id}")
    _says(page, "It was taken back.")
    page.get_by_label(f"Time from now: {moved.id}").fill("2d")
    _click(page, f"Move: {moved.id}")
    _says(page, "It has another time now.")
    assert events.get_delayed_event("b").status is EventStatus.CANCELLED
    assert events.get_delayed_event("c").delay_until > moved.delay_until
    assert events.get_event_records(EventFilter(types=("a.due",), start_time=run.created_at)).total == 1


@presses("/delayed-many/{verb}")
def test_many_delayed_events_are_chosen_counted_and_changed(page: Any, url: str, events: EventService) -> None:
    for number in range(6):
        events.schedule(f"{'order' if number < 4 else 'mail'}.due", {}, delay="1h", id=f"e{number}")
    page.goto(f"{url}/delayed")
    for number in (0, 1):
        page.get_by_label(f"Choose order.due e{number}").check()
    _click(page, "Run chosen now…")
    _says(page, "Run 2 delayed events now?")
    assert events.delayed.get_pending_count() == 6
    _click(page, "Run 2 now")
    _says(page, "2 delayed events were let go")
    page.goto(f"{url}/delayed?types=order.*")
    _follow(page, "Cancel all of these…")
    _says(page, "Cancel 2 delayed events?")
    _click(page, "Cancel 2")
    _says(page, "2 delayed events were cancelled")
    assert {one.type for one in events.get_delayed_events(EventFilter(status="pending")).items} == {"mail.due"}


def test_the_calendar_leads_to_a_day_and_to_other_months(page: Any, url: str, events: EventService) -> None:
    due = events.schedule("order.due", {}, delay="1h").delay_until
    page.goto(f"{url}/delayed?month={due:%Y-%m}")
    page.locator(f'.calendar a[title^="{due:%Y-%m-%d}"]').click()
    _says(page, "1 wait and fit")
    _follow(page, "The month after")
    page.locator(".calendar h2").filter(has_not_text=f"{due:%B %Y}").wait_for()


@presses("/dead-letters/{letter_id:path}/redrive", "/dead-letters/{letter_id:path}/purge")
def test_a_dead_letter_is_sent_again_and_dropped(page: Any, url: str, events: EventService, failing: Event) -> None:
    page.goto(f"{url}/dead-letters")
    _click(page, f"Send again: {failing.id}:ship")
    _says(page, "It was sent again.")
    eventually(lambda: [one for one in events.dead_letters.list().items if one.redrives == 1])
    page.goto(f"{url}/dead-letters/{failing.id}:ship")
    _says(page, "no stock")
    _click(page, "Drop for good")
    _says(page, "It was dropped for good.")
    assert events.dead_letters.count() == 2


@presses("/dead-letters/all/{verb}")
def test_dead_letters_are_sent_again_and_dropped_together(
    page: Any, url: str, events: EventService, failing: Event
) -> None:
    page.goto(f"{url}/dead-letters?subscription=ship")
    _follow(page, "Send all of these again…")
    _says(page, "Send 3 dead letters again?")
    page.get_by_label("At a rate").fill("100/s")
    _click(page, "Send 3")
    _says(page, "3 dead letters were sent again")
    eventually(lambda: len([one for one in events.dead_letters.list().items if one.redrives == 1]) == 3)
    page.goto(f"{url}/dead-letters")
    _follow(page, "Drop all…")
    _says(page, "Drop 3 dead letters for good?")
    _click(page, "Drop 3")
    _says(page, "3 dead letters were dropped")
    assert events.dead_letters.count() == 0


@presses(
    "/cron-form",
    "/cron/{name:path}/run",
    "/cron/{name:path}/pause",
    "/cron/{name:path}/resume",
    "/cron/{name:path}/delete",
)
def test_a_cron_task_is_made_edited_paused_resumed_run_and_deleted(page: Any, url: str, events: EventService) -> None:
    page.goto(f"{url}/cron")
    _follow(page, "New task")
    page.get_by_label("Name", exact=False).first.fill("nightly")
    page.get_by_label("Schedule").fill("0 6 * * *")
    page.get_by_label("Type").fill("report.due")
    page.get_by_label("Payload (JSON)").fill('{"kind": "daily"}')
    _click(page, "When would it run?")
    _says(page, "It would run at")
    _click(page, "Create")
    _says(page, "The task was created.")
    assert events.cron.get("nightly").payload == {"kind": "daily"}
    _follow(page, "Edit")
    page.get_by_label("Schedule").fill("@hourly")
    page.get_by_text("Overlap, catching up, limits").click()
    page.get_by_label("While a run is on").select_option("allow")
    _click(page, "Save")
    _says(page, "The task was changed.")
    assert events.cron.get("nightly").overlap == "allow"
    _click(page, "Run now")
    _says(page, "A run has begun.")
    _click(page, "Pause")
    _says(page, "It is paused.")
    _click(page, "Resume: nightly")
    _says(page, "It goes on.")
    _follow(page, "nightly")
    page.get_by_text("Delete this task…").click()
    _click(page, "Delete it")
    _says(page, "The task was deleted.")
    assert events.cron.list().total == 0


@presses(
    "/subscriptions/{name:path}/pause",
    "/subscriptions/{name:path}/resume",
    "/subscriptions/{name:path}/end",
    "/queues/{name}/pause",
    "/queues/{name}/resume",
)
def test_subscriptions_and_queues_are_paused_resumed_and_ended(
    page: Any, url: str, events: EventService, failing: Event
) -> None:
    page.goto(f"{url}/subscriptions")
    _click(page, "Pause: ship")
    _says(page, "It is paused.")
    assert events.subscriptions.get("ship").state == "paused"
    _follow(page, "ship", exact=True)
    _click(page, "Resume")
    _says(page, "It goes on.")
    page.goto(f"{url}/workers")
    _click(page, "Pause: tests")
    _says(page, "It is paused.")
    _click(page, "Resume: tests")
    _says(page, "It goes on.")
    page.goto(f"{url}/subscriptions/ship")
    page.get_by_text("End this subscription…").click()
    _click(page, "End it")
    _says(page, "It has ended.")
    assert events.subscriptions.list() == []


@presses("/replays/begin", "/replays/{replay_id}/cancel")
def test_one_event_all_that_fit_and_what_was_missed_are_given_again(
    page: Any, url: str, events: EventService, failing: Event
) -> None:
    page.goto(f"{url}/events/{failing.id}")
    _click(page, "Replay…")
    _says(page, "Replay 1 event to ship?")
    _click(page, "Replay 1")
    _says(page, "The replay has begun")
    page.goto(f"{url}/events?types=order.*")
    page.get_by_label("To subscription").select_option("ship")
    page.get_by_label("Events a second").fill("0.001")
    _click(page, "Count…")
    _says(page, "Replay 3 events to ship?")
    _click(page, "Replay 3")
    _click(page, "End: ship")
    _says(page, "It has ended.")
    events.subscribe("order.*", lambda event: None, name="count")
    events.bus.prepare()
    page.goto(f"{url}/subscriptions/count")
    _click(page, "Count…")
    _says(page, "Back-fill 3 events to count?")
    _click(page, "Back-fill 3")
    eventually(lambda: events.replays.list()[0].state is ReplayState.COMPLETED)
    found = [(one.subscription, one.is_backfill) for one in events.replays.list()]
    assert found == [("count", True), ("ship", False), ("ship", False)]
    assert events.replays.list()[1].state is ReplayState.CANCELLED


@presses("/types/{event_type}/publish", "/publish")
def test_an_event_is_published_from_the_form_of_its_type_and_as_json(page: Any, url: str, events: EventService) -> None:
    page.goto(f"{url}/types")
    _follow(page, "user.login")
    page.get_by_label("user_id").fill("ada")
    page.get_by_label("Priority").select_option("high")
    _click(page, "Publish")
    _says(page, "It was published.")
    [event] = events.get_event_records(EventFilter(types=("user.login",))).items
    assert (event.payload, int(event.priority)) == ({"user_id": "ada"}, 8)
    page.goto(f"{url}/types")
    page.get_by_role("textbox", name="Type").fill("order.paid")
    page.get_by_label("Payload (JSON)").fill("[]")
    _click(page, "Publish")
    page.get_by_role("alert").wait_for()
    page.get_by_label("Payload (JSON)").fill('{"n": 1}')
    page.get_by_label("Later, after").fill("1h")
    _click(page, "Publish")
    _says(page, "It waits for its time.")
    assert [one.payload for one in events.get_delayed_events().items] == [{"n": 1}]


@presses("/types/{event_type}/publish")
def test_a_payload_is_written_as_json_beside_the_fields_that_a_type_needs(
    page: Any, url: str, events: EventService
) -> None:
    page.goto(f"{url}/types/user.login")
    page.get_by_text("Write the payload as JSON instead").click()
    page.get_by_label("Payload (JSON)").fill('{"user_id": "grace"}')
    _click(page, "Send as JSON")
    _says(page, "It was published.")
    [event] = events.get_event_records(EventFilter(types=("user.login",))).items
    assert event.payload == {"user_id": "grace"}


@presses("/cron-form")
def test_a_task_is_edited_whose_payload_no_form_has_room_for(page: Any, url: str, events: EventService) -> None:
    payload = {"text": "<&" * 60_000}
    events.cron.create("nightly", "0 6 * * *", "report.due", payload)
    page.goto(f"{url}/cron-form?name=nightly")
    _says(page, "too long for a form")
    page.get_by_label("Schedule").fill("61 * * * *")
    _click(page, "Save")
    page.get_by_role("alert").wait_for()
    page.get_by_label("Schedule").fill("@hourly")
    _click(page, "Save")
    _says(page, "The task was changed.")
    assert (events.cron.get("nightly").payload, events.cron.get("nightly").schedule) == (payload, "@hourly")


@presses("/retries/cancel")
def test_a_delivery_that_is_to_be_tried_again_is_cancelled(
    page: Any, url: str, events: EventService, quick_work: Work
) -> None:
    @events.on("order.paid", name="ship", retry_delay="1h")
    def ship(event: Event) -> None:
        raise RuntimeError("no stock")

    quick_work()
    event = events.publish("order.paid", {})
    eventually(lambda: events.delayed.get_waiting_retries().total == 1)
    page.goto(f"{url}/delayed")
    _click(page, f"Cancel: {event.id} to ship")
    _says(page, "It was taken back.")
    assert events.get_event(event.id).deliveries[0].status == "cancelled"


def test_a_search_leads_to_an_event_and_along_its_chain(
    page: Any, url: str, events: EventService, quick_work: Work
) -> None:
    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        events.publish("parcel.sent", {"n": 1})

    quick_work()
    event = events.publish("order.paid", {"needle": "in a haystack"})
    events.wait(event.id)
    page.goto(f"{url}/events")
    page.get_by_label("Text").fill("haystack")
    _click(page, "Search")
    _says(page, "1 event")
    _follow(page, "order.paid")
    page.locator("svg.tree a", has_text="parcel.sent").click()
    page.get_by_role("heading", name="parcel.sent").wait_for()
    assert page.locator("svg.tree circle").count() == 2
