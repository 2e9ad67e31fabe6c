"""The forms of the pages: publishing from a schema, replays, cron tasks, many delayed events at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, Field

from eventsys import Event, EventFilter, EventService, ReplayState
from tests.dashboard.browser import Browser, Elements
from tests.support.waiting import eventually

Changes = Callable[[], list[dict[str, Any]]]


class Login(BaseModel):
    user: str
    attempts: int = 1
    password: str | None = Field(default=None, json_schema_extra={"secret": True})


def test_an_event_is_published_from_the_form_of_its_type(
    browser: Browser, events: EventService, changes: Changes
) -> None:
    events.type("login.tried", Login)
    filled = {"payload/user": "ada", "payload/attempts": "3", "payload/password": "tr0ub4dor"}
    sent = browser.send("/types/login.tried", "/publish", source="desk", priority="high", **filled)
    assert sent.status_code == 303
    [event] = events.get_event_records(EventFilter(types=("login.tried",))).items
    assert sent.headers["location"] == f"/events/{event.id}?done=published"
    assert event.payload == {"user": "ada", "attempts": 3, "password": "tr0ub4dor"}
    assert (event.source, int(event.priority)) == ("desk", 8)
    page = browser.open(sent.headers["location"])
    assert "It was published" in page.words
    assert "tr0ub4dor" not in page.words
    assert "desk" in browser.open("/types/login.tried").words
    assert [one["action"] for one in changes()] == ["events.publish"]


def test_a_form_that_is_sent_twice_publishes_once(browser: Browser, events: EventService) -> None:
    from eventsys.model.identifiers import new_event_id

    given = {"payload/user_id": "1", "id": new_event_id(events.broker.clock.now_ms())}
    places = {browser.send("/types/user.login", "/publish", **given).headers["location"] for _ in range(2)}
    assert len(places) == 1
    assert events.get_event_records(EventFilter(types=("user.login",))).total == 1


def test_what_does_not_fit_is_told_beside_what_was_filled_in(browser: Browser, events: EventService) -> None:
    events.type("login.tried", Login)
    filled = {"payload/user": "ada", "payload/attempts": "many", "payload/password": "tr0ub4dor"}
    sent = browser.send("/types/login.tried", "/publish", **filled)
    assert sent.status_code == 422
    page = Elements(sent.text)
    assert "attempts is a whole number" in page.words
    assert "ada" in [one.get("value") for one in page.of("input")]
    assert "tr0ub4dor" not in sent.text
    refused = browser.send("/types/login.tried", "/publish", json='{"user": []}')
    assert refused.status_code == 422
    assert events.get_metrics().total_events == 0


def test_an_event_of_any_type_is_published_as_json_or_later(browser: Browser, events: EventService) -> None:
    sent = browser.send("/types", "/publish", type="order.paid", json='{"amount": 7}')
    assert sent.status_code == 303
    [event] = events.get_event_records(EventFilter(types=("order.paid",))).items
    assert event.payload == {"amount": 7}
    later = browser.send("/types/order.paid", "/publish", json="{}", delay="2h")
    assert "done=scheduled" in later.headers["location"]
    assert events.delayed.get_pending_count() == 1
    right = {"type": "order.paid", "json": "{}"}
    for wrong in ({"type": "Not A Type"}, {"json": "[]"}, {"priority": "x"}, {"delay": "soon"}, {"type": "user.login"}):
        wrong = {**right, **wrong}
        assert browser.send("/types", "/publish", **wrong).status_code == 422, wrong
    assert events.get_metrics().total_events == 1


@pytest.fixture
def paid(events: EventService, quick_work: Callable[..., Any]) -> list[Event]:
    """Three events that `ship` has had."""

    @events.on("order.*", name="ship")
    def ship(event: Event) -> None:
        pass

    quick_work()
    made = [events.publish("order.paid", {"n": number}, source="shop" if number else "desk") for number in range(3)]
    for event in made:
        events.wait(event.id)
    return made


def test_one_event_is_given_again(browser: Browser, events: EventService, paid: list[Event], changes: Changes) -> None:
    form = browser.open(f"/events/{paid[1].id}")
    assert [one["action"] for one in form.of("form") if one["method"] == "get"] == ["/replays/confirm"]
    confirm = f"/replays/confirm?ids={paid[1].id}&subscription=ship"
    assert "Replay 1 event to ship?" in browser.open(confirm).words
    assert browser.send(confirm, "/replays/begin").headers["location"] == "/replays?done=replaying"
    eventually(lambda: events.replays.list()[0].state is ReplayState.COMPLETED)
    assert events.replays.list()[0].delivered == 1
    eventually(lambda: _given(events, paid[1]) == ["ship", "ship#1"])
    assert _given(events, paid[0]) == ["ship"]
    assert [one["action"] for one in changes()] == ["replays.begin"]
    assert "completed" in browser.open("/replays").words
    assert "completed" in browser.open("/subscriptions/ship").words


def _given(events: EventService, event: Event) -> list[str]:
    return [one.subscription for one in events.get_event(event.id).deliveries]


def test_filtered_events_are_replayed_and_a_subscription_is_backfilled(
    browser: Browser, events: EventService, paid: list[Event]
) -> None:
    confirm = "/replays/confirm?types=order.paid&sources=shop&subscription=ship&rate=3000%2Fm"
    assert "Replay 2 events to ship?" in browser.open(confirm).words
    assert browser.send(confirm, "/replays/begin").status_code == 303
    eventually(lambda: events.replays.list()[0].delivered == 2)
    assert "Back-fill 0 events" in browser.open("/replays/confirm?subscription=ship&backfill=yes").words
    events.subscribe("order.#", lambda event: None, name="count")
    events.bus.prepare()
    assert "Back-fill 3 events" in browser.open("/replays/confirm?subscription=count&backfill=yes").words


def test_a_replay_is_ended_and_a_misspelt_one_is_none(
    browser: Browser, events: EventService, paid: list[Event]
) -> None:
    browser.send("/replays/confirm?subscription=ship&rate=0.001", "/replays/begin")
    assert browser.send("/replays", "/cancel").headers["location"] == "/replays?done=ended"
    assert events.replays.list()[0].state is ReplayState.CANCELLED
    for wrong in ("typ=x&subscription=ship", "", "subscription=ship&rate=0", "subscription=ship&rate=fast",
                  "subscription=ship&types=Not%20A", "subscription=ship&rate=inf"):  # fmt: skip
        browser.open(f"/replays/confirm?{wrong}", 422)
    browser.open("/replays/confirm?subscription=unknown", 404)


def test_a_subscription_is_shown_and_ended(browser: Browser, events: EventService, paid: list[Event]) -> None:
    page = browser.open("/subscriptions/ship")
    assert "order.*" in page.words
    assert browser.send("/subscriptions/ship", "/end").headers["location"] == "/subscriptions?done=ended"
    browser.open("/subscriptions/ship", 404)


def test_a_length_that_is_cleared_in_the_form_of_a_cron_task_is_its_default_again(
    browser: Browser, events: EventService
) -> None:
    fields = {"name": "nightly", "schedule": "0 6 * * *", "event_type": "report.due"}
    browser.send("/cron-form", "/cron-form", **fields, jitter="5m", catch_up="1h")
    assert events.cron.get("nightly").jitter == timedelta(minutes=5)
    browser.send("/cron-form?name=nightly", "/cron-form", **fields, jitter="", catch_up="")
    task = events.cron.get("nightly")
    assert (task.jitter, task.catch_up) == (timedelta(0), timedelta(minutes=10))


def test_a_cron_task_is_created_edited_and_deleted(browser: Browser, events: EventService, changes: Changes) -> None:
    fields = {
        "name": "nightly", "schedule": "0 6 * * *", "timezone": "Europe/Amsterdam", "event_type": "report.due",
        "payload": '{"kind": "daily"}', "catch_up": "1h", "max_runs": "9", "ends_at": "2099-01-01T00:00",
    }  # fmt: skip
    asked = browser.send("/cron-form", "/cron-form", **fields, only="ticks")
    assert "It would run at" in Elements(asked.text).words
    assert events.cron.list().total == 0
    assert browser.send("/cron-form", "/cron-form", **fields).headers["location"] == "/cron/nightly?done=created"
    task = events.cron.get("nightly")
    assert (task.timezone, task.payload, task.catch_up, task.max_runs) == (
        "Europe/Amsterdam", {"kind": "daily"}, timedelta(hours=1), 9
    )  # fmt: skip
    taken = browser.send("/cron-form", "/cron-form", **fields)
    assert (taken.status_code, "already" in taken.text) == (422, True)
    edited = browser.send("/cron-form?name=nightly", "/cron-form", **{**fields, "schedule": "@hourly", "max_runs": ""})
    assert edited.headers["location"] == "/cron/nightly?done=changed"
    task = events.cron.get("nightly")
    assert (task.max_runs, task.payload, task.catch_up) == (None, {"kind": "daily"}, timedelta(hours=1))
    assert browser.send("/cron/nightly", "/delete").headers["location"] == "/cron?done=deleted"
    assert events.cron.list().total == 0
    assert [one["action"] for one in changes()] == ["cron.create", "cron.update", "cron.delete"]


def test_a_form_holds_the_task_as_it_is(browser: Browser, events: EventService) -> None:
    """Saving it without a change changes nothing."""
    for name, given in {
        "publishes": {
            "event_type": "report.due", "payload": {"a": "\u202e"}, "priority": 8, "source": "x", "jitter": "3s",
            "retry_delay": "7s", "max_retries": 2, "catch_up_all": True, "overlap": "allow",
        },
        "sends": {"actor": "mail", "queue": "mails", "actor_args": [1, "b"], "actor_kwargs": {"c": None}},
    }.items():  # fmt: skip
        before = events.cron.create(name, "*/5 * * * *", **given)
        text = browser.client.get(f"/cron-form?name={name}", headers={"accept": "text/html"}).text
        filled = _filled_in(text)
        assert browser.send(f"/cron-form?name={name}", "/cron-form", **filled).status_code == 303
        after = events.cron.get(name)
        changed = {"revision", "updated_at"}
        assert after.model_dump(exclude=changed) == before.model_dump(exclude=changed)


def _filled_in(page: str) -> dict[str, str]:
    """Return what a browser would send of textareas and choices, which the plain one here does not read."""
    import html
    import re

    areas = re.findall(r'<textarea name="([^"]+)"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    chosen = re.findall(r'<select name="([^"]+)">.*?<option selected>([^<]*)</option>', page)
    checked = [("catch_up_all", "yes" if re.search(r'value="yes" checked', page) else "")]
    return {name: html.unescape(text) for name, text in [*areas, *chosen, *checked]}


@pytest.mark.parametrize(
    "wrong",
    [{"schedule": "61 * * * *"}, {"schedule": ""}, {"timezone": "Mars/Base"}, {"payload": "["}, {"event_type": ""},
     {"actor": "mail"}, {"max_runs": "x"}, {"ends_at": "never"}, {"name": "a b"}, {"name": ""}, {"priority": "x"},
     {"catch_up": "soon"}, {"overlap": "x"}],
)  # fmt: skip
def test_a_task_that_cannot_be_is_refused_beside_what_was_filled_in(
    browser: Browser, events: EventService, wrong: dict[str, str]
) -> None:
    fields = {"name": "nightly", "schedule": "0 6 * * *", "event_type": "report.due", "source": "kept-text"}
    answer = browser.send("/cron-form", "/cron-form", **{**fields, **wrong})
    assert answer.status_code == 422
    assert "kept-text" in answer.text
    assert events.cron.list().total == 0


def test_many_delayed_events_are_counted_cancelled_and_let_go(
    browser: Browser, events: EventService, changes: Changes
) -> None:
    made = [events.schedule(f"{'order' if n % 2 else 'mail'}.due", {}, delay="1h", id=f"due,{n}") for n in range(6)]
    asked = "/delayed-many/run?types=order.*"
    assert "Run 3 delayed events now?" in browser.open(asked).words
    assert events.delayed.get_pending_count() == 6
    done = browser.send(asked, "/delayed-many/run")
    assert "3 delayed events were let go" in Elements(done.text).words
    chosen = f"/delayed-many/cancel?ids={made[0].id}&ids={made[2].id}&ids=unknown"
    assert "Cancel 2 delayed events?" in browser.open(chosen).words
    client, token = browser.client, _token(browser, chosen)
    answer = client.post(
        "/delayed-many/cancel", content=f"form_token={token}&ids={made[0].id}&ids={made[2].id}",
        headers={"content-type": "application/x-www-form-urlencoded", "origin": str(client.base_url)},
    )  # fmt: skip
    assert "2 delayed events were cancelled" in answer.text
    assert [one.id for one in events.get_delayed_events(EventFilter(status="pending")).items] == [made[4].id]
    assert "Cancel 1 delayed event?" in browser.open("/delayed-many/cancel").words
    for wrong in ("typ=x", "types=Not%20A", "start_time=soon"):
        browser.open(f"/delayed-many/cancel?{wrong}", 422)
    browser.open("/delayed-many/explode", 404)
    assert [one["details"] for one in changes()] == [
        {"filter": {"types": ["order.*"]}}, {"filter": {"ids": [made[0].id, made[2].id]}}
    ]  # fmt: skip


def _token(browser: Browser, page: str) -> str:
    [token] = [one["value"] for one in browser.open(page).of("input") if one.get("name") == "form_token"]
    return str(token)


def test_the_calendar_counts_what_is_due_on_each_day(browser: Browser, events: EventService) -> None:
    from datetime import UTC, datetime

    for day, number in ((3, 1), (17, 4)):
        for _ in range(number):
            events.schedule("order.due", {}, at=datetime(2031, 3, day, 12, tzinfo=UTC))
    page = browser.open("/delayed?month=2031-03")
    assert "March 2031" in page.words
    labels = [one["title"] for one in page.of("a") if "due" in (one.get("title") or "")]
    assert labels == ["2031-03-03: 1 due", "2031-03-17: 4 due"]
    [link] = [one["href"] for one in page.of("a") if one.get("title") == labels[1]]
    assert "4 wait and fit" in browser.open(str(link)).words
    for odd in ("0001-01", "9999-12", "x", "2031-13", "1970-01"):
        browser.open(f"/delayed?month={odd}")


def test_delayed_events_lead_on_by_cursor(browser: Browser, events: EventService) -> None:
    events.delayed.schedule_many([{"event_type": "order.due", "payload": {}, "delay": f"{n + 1}m"} for n in range(120)])
    place, rows = "/delayed", []
    while place:
        page = browser.open(place)
        rows.append(len([one for one in page.of("span") if "data-due" in one]))
        place = next((str(one["href"]) for one in page.of("a") if one.get("rel") == "next"), "")
    assert rows == [50, 50, 20]
    assert "cannot be asked" in browser.open("/delayed?cursor=nonsense").words


def test_a_delivery_that_waits_to_be_tried_again_is_cancelled(
    browser: Browser, events: EventService, quick_work: Callable[..., Any]
) -> None:
    @events.on("order.paid", name="ship", retry_delay="1h")
    def ship(event: Event) -> None:
        raise RuntimeError("no stock")

    quick_work()
    event = events.publish("order.paid", {})
    eventually(lambda: events.delayed.get_waiting_retries().total == 1)
    assert browser.send("/delayed", "/retries/cancel").headers["location"] == "/delayed?done=cancelled"
    assert events.get_event(event.id).deliveries[0].status == "cancelled"


def test_alerts_are_shown_with_rules_and_past(browser: Browser, events: EventService) -> None:
    events.bus.system.warn("stock:low", "the stock is <low>; buy more", rule="stock")
    assert events.bus.system.flush(60)
    words = browser.open("/alerts").words
    assert words.count("the stock is <low>; buy more") == 2
    assert "50% of at least 20 attempts" in words


def test_workers_are_shown_with_what_they_run(
    browser: Browser, events: EventService, quick_work: Callable[..., Any]
) -> None:
    import threading

    begun, may_end = threading.Event(), threading.Event()

    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        begun.set()
        may_end.wait(60)

    quick_work()
    events.broker.presence.appear()  # its threads may not have come so far yet
    events.broker.presence.note_reload("NameError: no such name")
    event = events.publish("order.paid", {})
    assert begun.wait(60)
    words = browser.open("/workers").words
    may_end.set()
    events.wait(event.id)
    assert "ship" in words
    assert "heartbeat" in words
    assert "last reload" in words
    assert "NameError: no such name" in words


def test_the_strips_of_many_tasks_are_those_of_each(browser: Browser, events: EventService) -> None:
    for name in ("a", "b", "c"):
        events.cron.create(name, "@hourly", "report.due")
    for _ in range(3):
        events.cron.run_now("b")
    found = events.cron.newest_runs(["a", "b", "unknown"], 2)
    assert {name: len(runs) for name, runs in found.items()} == {"a": 0, "b": 2, "unknown": 0}
    assert list(found["b"]) == events.cron.history("b", page_size=2).items
    assert len([one for one in browser.open("/cron").of("rect") if one["class"] == "running"]) == 3
