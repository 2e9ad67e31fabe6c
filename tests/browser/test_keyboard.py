"""Every page and every action without a mouse."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from eventsys import Event, EventFilter, EventService, EventStatus, ReplayState
from tests.browser.keyboard import Keyboard
from tests.browser.test_looks import LINKS, PLACES, open_place
from tests.support.waiting import eventually

Work = Callable[..., Any]

#: What the keyboard must reach.
CONTROLS = (
    "main input:not([type=hidden]), main select, main textarea, main summary, main button, main a, main [role=region]"
)

#: Notes every control that comes into the focus: which it is, and whether that is to be seen.
_NOTE = f"""() => {{
  const all = [...document.querySelectorAll("{CONTROLS}")];
  window.noted = [];
  document.addEventListener("focusin", (event) => {{
    const style = getComputedStyle(event.target), box = event.target.getBoundingClientRect();
    const isMarked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    const isSeen = isMarked && box.width > 4 && box.height > 4;
    window.noted.push([all.indexOf(event.target), isSeen, event.target.outerHTML.slice(0, 120)]);
  }});
  return all.length;
}}"""


@pytest.fixture
def keyboard(page: Any) -> Keyboard:
    return Keyboard(page)


@pytest.fixture
def failing(events: EventService, quick_work: Work) -> Event:
    """An event whose delivery to `ship` failed, and two more."""

    @events.on("order.paid", name="ship", max_retries=0)
    def ship(event: Event) -> None:
        raise RuntimeError("no stock")

    quick_work()
    made = [events.publish("order.paid", {"n": number}, source="shop") for number in range(3)]
    for event in made:
        events.wait(event.id)
    return made[0]


@pytest.mark.parametrize("name", [*PLACES, *LINKS])
def test_tab_leads_past_the_menu_to_every_control_of_every_page_in_order(shop_url: str, page: Any, name: str) -> None:
    open_place(page, shop_url, name)
    page.locator("details").evaluate_all("(all) => { for (const one of all) one.open = true; }")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] > 0
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "main"
    controls = page.evaluate(_NOTE)
    last = page.locator(CONTROLS).nth(controls - 1) if controls else page.locator("main")
    for _ in range(8 * controls + 8):  # a field of date and time has a stop for each of its parts
        page.keyboard.press("Tab")
        if not controls or last.evaluate("(one) => one === document.activeElement"):
            break
    noted = page.evaluate("() => window.noted")
    places = list(dict.fromkeys(at for at, _, _ in noted if at >= 0))
    assert [html for _, is_seen, html in noted if not is_seen] == []
    assert places == list(range(controls))


def test_the_menu_leads_everywhere(shop_url: str, keyboard: Keyboard) -> None:
    keyboard.page.goto(shop_url)
    for name, heading in (("Events", "Events"), ("Delayed", "Delayed events"), ("Dead letters", "Dead letters"),
                          ("Cron", "Cron tasks"), ("Subscriptions", "Subscriptions"), ("Workers", "Workers"),
                          ("Catalogue", "Event types"), ("Alerts", "Alerts"), ("Overview", "Overview")):  # fmt: skip
        keyboard.follow(name)
        keyboard.page.get_by_role("heading", name=heading, level=1, exact=True).wait_for()
        here = keyboard.page.locator("nav a[aria-current=page]")
        assert here.inner_text() == name


def test_what_is_too_wide_for_a_telephone_scrolls_with_the_arrows(shop_url: str, new_page: Callable[..., Any]) -> None:
    page = new_page(width=360)
    open_place(page, shop_url, "event")
    keyboard = Keyboard(page)
    keyboard.reach("What led to what")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.activeElement.scrollLeft > 20")


def test_a_search_leads_to_an_event_its_traceback_and_its_chain(
    keyboard: Keyboard, url: str, events: EventService, quick_work: Work
) -> None:
    @events.on("order.paid", name="ship", max_retries=0)
    def ship(event: Event) -> None:
        raise RuntimeError("no stock")

    @events.on("order.paid", name="tell")
    def tell(event: Event) -> None:
        events.publish("parcel.sent", {})

    quick_work()
    order = events.publish("order.paid", {})
    events.wait(order.id)
    keyboard.page.goto(f"{url}/events")
    keyboard.choose("Status", "failed")
    keyboard.write("Types", "order.*")
    keyboard.page.keyboard.press("Enter")
    keyboard.hears("1 event")
    assert "status=failed" in keyboard.page.url
    keyboard.follow("order.paid")
    keyboard.unfold("Traceback")
    keyboard.reach("Traceback")
    keyboard.page.locator("pre", has_text="no stock").wait_for()
    keyboard.follow("parcel.sent")
    keyboard.page.get_by_role("heading", name="parcel.sent").wait_for()


def test_delayed_events_are_moved_chosen_let_go_and_cancelled(
    keyboard: Keyboard, url: str, events: EventService
) -> None:
    made = {name: events.schedule(f"{name}.due", {}, delay="1h", id=name) for name in "abcdef"}
    keyboard.page.goto(f"{url}/delayed")
    keyboard.write("Time from now: a", "2d")
    keyboard.page.keyboard.press("Enter")
    keyboard.hears("It has another time now.")
    assert events.get_delayed_event("a").delay_until > made["a"].delay_until
    keyboard.follow("Cancel: b")
    keyboard.hears("It was taken back.")
    keyboard.follow("Run now: c")
    keyboard.hears("It fires now.")
    keyboard.tick("Choose d.due d")
    keyboard.page.keyboard.press("Shift+Tab")
    keyboard.follow("Cancel chosen")
    keyboard.hears("Cancel 1 delayed event?")
    keyboard.follow("Cancel 1")
    keyboard.hears("1 delayed event was cancelled")
    keyboard.page.go_back()
    keyboard.page.goto(f"{url}/delayed?types=e.*")
    keyboard.follow("Run all of these now")
    keyboard.follow("Run 1 now")
    keyboard.hears("1 delayed event was let go")
    left = events.get_delayed_events(EventFilter(status="pending")).items
    assert {one.id for one in left} <= {"a", "f", "c", "e"}
    assert [events.get_delayed_event(name).status for name in "bd"] == [EventStatus.CANCELLED] * 2


def test_the_calendar_leads_to_a_day_and_to_other_months(keyboard: Keyboard, url: str, events: EventService) -> None:
    due = events.schedule("order.due", {}, delay="1h").delay_until
    keyboard.page.goto(f"{url}/delayed?month={due:%Y-%m}")
    keyboard.follow(f"{due.day}1 due")
    keyboard.hears("1 wait and fit")
    keyboard.follow("The month after")
    keyboard.page.wait_for_url(re.compile("month="))
    assert keyboard.page.locator(".calendar h2").inner_text() != f"{due:%B %Y}"


def test_dead_letters_are_sent_again_and_dropped_one_and_all(
    keyboard: Keyboard, url: str, events: EventService, failing: Event
) -> None:
    keyboard.page.goto(f"{url}/dead-letters")
    keyboard.follow(f"Send again: {failing.id}:ship")
    keyboard.hears("It was sent again.")
    eventually(lambda: [one for one in events.dead_letters.list().items if one.redrives == 1])
    keyboard.page.goto(f"{url}/dead-letters/{failing.id}:ship")
    keyboard.follow("Drop for good")
    keyboard.hears("It was dropped for good.")
    keyboard.follow("Send all again")
    keyboard.write("At a rate", "100/s")
    keyboard.follow("Send 2")
    keyboard.hears("2 dead letters were sent again")
    eventually(lambda: len([one for one in events.dead_letters.list().items if one.redrives == 1]) == 2)
    keyboard.follow("Dead letters")
    keyboard.follow("Drop all")
    keyboard.follow("Drop 2")
    keyboard.hears("2 dead letters were dropped")
    assert events.dead_letters.count() == 0


def test_a_cron_task_is_made_edited_paused_resumed_run_and_deleted(
    keyboard: Keyboard, url: str, events: EventService
) -> None:
    keyboard.page.goto(f"{url}/cron")
    keyboard.follow("New task")
    keyboard.write("Name", "nightly")
    keyboard.write("Schedule", "0 6 * * *")
    keyboard.write("Type", "report.due")
    keyboard.write("Payload (JSON)", '{"kind": "daily"}')
    keyboard.follow("When would it run?")
    keyboard.hears("It would run at")
    keyboard.follow("Create")
    keyboard.hears("The task was created.")
    assert events.cron.get("nightly").payload == {"kind": "daily"}
    keyboard.follow("Edit")
    keyboard.unfold("Overlap, catching up, limits")
    keyboard.choose("While a run is on", "allow")
    keyboard.follow("Save")
    keyboard.hears("The task was changed.")
    assert events.cron.get("nightly").overlap == "allow"
    keyboard.follow("Run now")
    keyboard.hears("A run has begun.")
    keyboard.follow("Pause")
    keyboard.hears("It is paused.")
    keyboard.follow("Resume: nightly")
    keyboard.hears("It goes on.")
    keyboard.follow("nightly")
    keyboard.unfold("Delete this task")
    keyboard.follow("Delete it")
    keyboard.hears("The task was deleted.")
    assert events.cron.list().total == 0


def test_subscriptions_are_paused_resumed_given_history_and_ended_and_queues_paused(
    keyboard: Keyboard, url: str, events: EventService, failing: Event
) -> None:
    keyboard.page.goto(f"{url}/subscriptions")
    keyboard.tick("Pause: ship")
    keyboard.hears("It is paused.")
    assert events.subscriptions.get("ship").state == "paused"
    keyboard.follow("ship")
    keyboard.follow("Resume")
    keyboard.hears("It goes on.")
    keyboard.page.goto(f"{url}/workers")
    keyboard.follow("Pause: tests")
    keyboard.hears("It is paused.")
    keyboard.follow("Resume: tests")
    keyboard.hears("It goes on.")
    keyboard.page.goto(f"{url}/subscriptions/ship")
    keyboard.choose("What", "everything")
    keyboard.write("Events a second", "0.001")
    keyboard.follow("Count")
    keyboard.hears("Replay 3 events to ship?")
    keyboard.follow("Replay 3")
    keyboard.follow("End: ship")
    keyboard.hears("It has ended.")
    assert events.replays.list()[0].state is ReplayState.CANCELLED
    keyboard.page.goto(f"{url}/subscriptions/ship")
    keyboard.unfold("End this subscription")
    keyboard.follow("End it")
    keyboard.hears("It has ended.")
    assert events.subscriptions.list() == []


def test_one_event_is_given_again(keyboard: Keyboard, url: str, events: EventService, failing: Event) -> None:
    keyboard.page.goto(f"{url}/events/{failing.id}")
    keyboard.choose("Give it again to", "ship")
    keyboard.follow("Replay…")
    keyboard.follow("Replay 1")
    keyboard.hears("The replay has begun")
    assert [one.subscription for one in events.replays.list()] == ["ship"]


def test_an_event_is_published_from_the_form_of_its_type(keyboard: Keyboard, url: str, events: EventService) -> None:
    keyboard.page.goto(f"{url}/types")
    keyboard.follow("user.login")
    keyboard.write("user_id", "ada")
    keyboard.choose("Priority", "high")
    keyboard.follow("Publish")
    keyboard.hears("It was published.")
    [event] = events.get_event_records(EventFilter(types=("user.login",))).items
    assert (event.payload, int(event.priority)) == ({"user_id": "ada"}, 8)


def test_the_live_tail_is_paused_goes_on_and_is_emptied(keyboard: Keyboard, url: str, events: EventService) -> None:
    page = keyboard.page
    page.goto(f"{url}/tail")
    page.locator("[data-tail-state]", has_text="live").wait_for()
    while not page.locator("tbody tr").count():  # it begins to follow in a thread of its own
        events.publish("order.first", {})
        page.wait_for_timeout(100)
    events.publish("order.first", {}, source="the-last")  # so that none comes later
    page.locator("tbody tr", has_text="the-last").wait_for()
    keyboard.tick("Pause")
    assert page.evaluate("() => document.activeElement.getAttribute('aria-pressed')") == "true"
    seen = int(page.locator("[data-tail-count]").inner_text())
    events.publish("order.sent", {})
    page.wait_for_function(f"() => +document.querySelector('[data-tail-count]').textContent > {seen}")
    assert "order.sent" not in page.locator("tbody").inner_text()
    page.keyboard.press("Space")
    page.locator("tbody tr", has_text="order.sent").wait_for()
    keyboard.tick("Clear")
    page.locator("[data-tail-empty]").wait_for()
    events.publish("order.last", {})
    page.locator("tbody tr", has_text="order.last").wait_for()
    keyboard.follow("order.last")
    page.get_by_role("heading", name="order.last").wait_for()
