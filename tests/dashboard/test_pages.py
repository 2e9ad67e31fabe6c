"""The pages: what they show is text, and every action takes effect through a form of ours alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.testclient import TestClient

from eventsys import AlreadyFiredError, Event, EventService, NotFoundError, RunOutcome
from eventsys.dashboard import dashboard
from tests.browser import screenshots
from tests.dashboard.browser import HTML, Browser, Elements, token_of
from tests.dashboard.conftest import HOME, TOKEN, VIEWER_TOKEN, client_of
from tests.support.waiting import eventually

PAGES = ["/", "/events", "/delayed", "/dead-letters", "/cron", "/subscriptions", "/workers", "/types", "/alerts"]

#: Pages that belong to one of these.
INNER = {"/tail": "/events", "/replays": "/subscriptions", "/cron-form": "/cron"}

SCRIPTS = ("live", "tail", "countdown")

#: Each would run, break out or hide something where text is not kept as text.
CORPUS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</pre></title></textarea><script>alert(1)</script>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "<!--<style>*{display:none}",
    "&lt;script&gt;&#60;b&#62;",
]
HIDDEN = "safe\u202egpj.exe\u2066\u200b\x1b[2J"


@pytest.fixture
def letters(events: EventService, quick_work: Callable[..., Any]) -> list[str]:
    """Two dead letters, whose errors are the corpus."""

    @events.on("order.paid", name="ship", max_retries=0)
    def ship(event: Event) -> None:
        raise RuntimeError(" ".join(CORPUS) + HIDDEN)

    quick_work()
    made = [events.publish("order.paid", {"n": number}) for number in range(2)]
    for event in made:
        events.wait(event.id)
    return [f"{event.id}:ship" for event in made]


@pytest.mark.parametrize("path", [*PAGES, *INNER])
def test_an_empty_bus_has_every_page(browser: Browser, path: str) -> None:
    page = browser.open(path)
    [here] = [one for one in page.of("a") if one.get("aria-current") == "page"]
    assert here["href"] == INNER.get(path, path)
    assert len(page.of("h1")) == 1


def test_hostile_text_stays_text_on_every_page(
    browser: Browser, client: TestClient, events: EventService, letters: list[str]
) -> None:
    hostile = {text: [text, {text: HIDDEN}] for text in CORPUS}
    kept = [events.publish("note.taken", hostile, source=text, headers={"h": text}, id=f"n-{number}")
            for number, text in enumerate([*CORPUS, HIDDEN])]  # fmt: skip
    marked = events.publish("note.taken", {}, id="<script>alert(1)</script>", correlation_id='"><svg/onload=alert(1)>')
    events.schedule("note.due", hostile, delay="1h", source=CORPUS[1], key=CORPUS[0], id="'><svg/onload=alert(1)>")
    events.cron.create("<script>alert(1)</script>", "@hourly", "note.due", hostile)
    events.cron.run_now("<script>alert(1)</script>")
    events.subscribe("note.*", lambda event: None, name='"><img/src=x/onerror=alert(1)>')
    events.bus.prepare()
    searches = [f"/events?text={text}&types={text}&cursor={text}&start_time={text}" for text in CORPUS[:4]]
    paths = [
        *PAGES, *INNER, *searches,
        "/dead-letters?reason=%3Cscript%3E&cursor=%3Cscript%3E", f"/dead-letters/{letters[0]}",
        "/dead-letters/confirm/purge?reason=%22%3E%3Cscript%3E", "/events/n-0", "/types/note.taken",
        "/types/order.paid",
        f"/events/{letters[0].partition(':')[0]}", "/cron/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/events/%3Cscript%3Ealert(1)%3C%2Fscript%3E", "/cron-form?name=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/subscriptions/%22%3E%3Cimg%2Fsrc%3Dx%2Fonerror%3Dalert(1)%3E", "/subscriptions/ship",
        "/replays/confirm?subscription=ship&text=%22%3E%3Cscript%3E&ids=%3Cscript%3E",
        "/delayed-many/cancel?ids=%22%3E%3Cscript%3E&sources=%3Cscript%3E", "/tail?types=note.*",
    ]  # fmt: skip
    assert len(kept) == 9
    assert marked.id.startswith("<script>")
    for path in paths:
        text = client.get(path, headers=HTML).text
        page = Elements(text)
        _has_nothing_foreign(page, path)
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x1b]", text), path
    for path in ("/events/nowhere<script>alert(1)</script>", "/types/<script>", "/cron/<b>x"):
        _has_nothing_foreign(browser.open(path, 404), path)
    shown = browser.open(f"/dead-letters/{letters[0]}").words
    assert all(text in shown for text in CORPUS)
    assert "\\u202e" in shown


def _has_nothing_foreign(page: Elements, path: str) -> None:
    known = {
        "html", "head", "meta", "title", "link", "script", "body", "a", "header", "p", "span", "nav", "ul", "li",
        "main", "h1", "h2", "h3", "div", "section", "form", "label", "input", "select", "option", "button", "table",
        "thead", "tbody", "tr", "th", "td", "time", "svg", "line", "rect", "circle", "path", "text", "tspan", "dl",
        "dt", "dd", "pre", "code", "details", "summary", "strong", "figure", "figcaption", "g", "fieldset", "legend",
        "textarea", "noscript",
    }  # fmt: skip
    assert {tag for tag, _ in page.tags} <= known, path
    assert {one["src"] for one in page.of("script")} <= {f"/static/{name}.js" for name in SCRIPTS}, path
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "srcdoc"}], (path, tag)
        for name in ("href", "src", "action", "formaction"):
            value = attributes.get(name)
            assert value is None or re.match(r"(/(?!/)|#main$)", value), (path, value)


def test_no_page_has_a_script_or_style_of_its_own(client: TestClient) -> None:
    for path in PAGES:
        text = client.get(path, headers=HTML).text
        assert re.search(r"<style|<script(?![^>]* src=)", text) is None, path
        assert "//" not in re.sub(r"<!--.*?-->", "", text.replace("http://www.w3.org", "")), path


def test_an_event_is_found_and_shown(browser: Browser, events: EventService, letters: list[str]) -> None:
    events.publish("note.taken", {"deep": {"needle": 1}}, source="desk")
    assert "note.taken" in browser.open("/events?types=note.*,x.y&sources=desk&text=needle").words
    assert "No event is like that" in browser.open("/events?types=other.*").words
    assert "cannot be asked" in browser.open("/events?types=Not%20A%20Type").words
    assert "cannot be asked" in browser.open("/events?cursor=nonsense").words
    record = browser.open(f"/events/{letters[0].partition(':')[0]}")
    assert "failed" in record.words
    assert "Traceback" in record.words
    browser.open("/events/unknown", 404)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("status=failed", 2), ("status=delivered", 1), ("status=pending", 0), ("types=order.paid", 2),
        ("types=order.*,note.taken", 3), ("subscription=ship", 2), ("sources=desk", 1), ("text=needle", 1),
        ("correlation_id=chain-1", 1), ("start_time=2999-01-01T00:00", 0), ("end_time=2001-01-01T00:00", 0),
        ("start_time=2001-01-01T00:00&end_time=2999-01-01T00:00&types=order.*,note.*", 3),
        ("status=failed&sources=desk", 0),
    ],
)  # fmt: skip
def test_events_are_searched_for_by_every_field_of_the_form(
    browser: Browser, events: EventService, letters: list[str], asked: str, found: int
) -> None:
    note = events.publish("note.taken", {"deep": {"needle": 1}}, source="desk", correlation_id="chain-1")
    events.wait(note.id)
    page = browser.open(f"/events?{asked}")
    rows = [one for one in page.of("a") if str(one["href"]).startswith("/events/") and "title" in one]
    assert len(rows) == found
    names = {one["name"] for kind in ("input", "select") for one in page.of(kind) if one.get("name")}
    assert {part.partition("=")[0] for part in asked.split("&")} <= names


def test_secret_fields_are_masked(browser: Browser, events: EventService, quick_work: Callable[..., Any]) -> None:
    class Login(BaseModel):
        user: str
        password: str = Field(json_schema_extra={"secret": True})

    @events.on("login.tried", name="check", max_retries=0)
    def check(event: Event) -> None:
        raise RuntimeError("no such user")

    events.type("login.tried", Login)
    quick_work()
    event = events.publish(Login(user="ada", password="tr0ub4dor"))
    events.wait(event.id)
    for path in (f"/events/{event.id}", f"/dead-letters/{event.id}:check"):
        words = browser.open(path).words
        assert "ada" in words
        assert "tr0ub4dor" not in words


def test_pages_lead_on(browser: Browser, events: EventService) -> None:
    events.publish_many([{"event_type": "note.taken", "payload": {"n": number}} for number in range(60)])
    first = browser.open("/events?types=note.*")
    [further] = [one["href"] for one in first.of("a") if one.get("rel") == "next"]
    second = browser.open(str(further))
    rows = [len([one for one in page.of("a") if "title" in one]) for page in (first, second)]
    assert rows == [50, 10]


def test_a_chain_is_drawn(browser: Browser, events: EventService, quick_work: Callable[..., Any]) -> None:
    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        events.publish("parcel.sent", {})
        events.schedule("feedback.asked", {}, delay="3d")

    quick_work()
    event = events.publish("order.paid", {})
    events.wait(event.id)
    page = browser.open(f"/events/{event.id}")
    assert len(page.of("circle")) == 3
    assert len(page.of("path")) == 2
    assert "delayed" in [one["class"] for one in page.of("circle")]


def test_a_delayed_event_is_moved_let_go_and_cancelled(
    browser: Browser, events: EventService, changes: Callable[[], list[dict[str, Any]]]
) -> None:
    first, second = (events.schedule("order.due", {}, delay="1h", id=f"due/{number}?x#") for number in range(2))
    moved = browser.send("/delayed", "%2F0%3Fx%23/reschedule", delay="2d")
    assert (moved.status_code, moved.headers["location"]) == (303, "/delayed?done=moved")
    assert "It has another time now" in browser.open(moved.headers["location"]).words
    assert events.get_delayed_event(first.id).delay_until > second.delay_until
    assert browser.send("/delayed", "%2F0%3Fx%23/reschedule", delay="nonsense").status_code == 422
    assert browser.send("/delayed", "%2F0%3Fx%23/cancel").status_code == 303
    assert events.get_delayed_event(first.id).status == "cancelled"
    assert browser.send("/delayed", "%2F1%3Fx%23/run").status_code == 303
    assert events.get_delayed_event(second.id).delay_until < second.delay_until
    assert [one["action"] for one in changes()] == ["delayed.reschedule", "delayed.cancel", "delayed.run"]


def test_dead_letters_are_counted_before_many_are_changed(
    browser: Browser, client: TestClient, events: EventService, letters: list[str]
) -> None:
    asked = browser.open("/dead-letters/confirm/purge?subscription=ship")
    assert "Drop 2 dead letters" in asked.words
    assert events.dead_letters.count() == 2
    assert browser.send(f"/dead-letters/{letters[0]}", "/purge").headers["location"] == "/dead-letters?done=purged"
    done = browser.send("/dead-letters/confirm/purge?subscription=ship", "/all/purge")
    assert "1 dead letter was dropped" in Elements(done.text).words
    assert events.dead_letters.count() == 0
    browser.open("/dead-letters/confirm/explode", 404)
    for wrong in ("start_time=yesterday", "subscription=ship&actor=mail", "typ=order.paid"):
        assert client.get(f"/dead-letters/confirm/purge?{wrong}", headers=HTML).status_code == 422


def test_dead_letters_are_sent_again_one_and_many(
    browser: Browser, events: EventService, letters: list[str], changes: Callable[[], list[dict[str, Any]]]
) -> None:
    assert browser.send(f"/dead-letters/{letters[0]}", "/redrive").status_code == 303
    eventually(lambda: [one for one in events.dead_letters.list().items if one.id == letters[0] and one.redrives == 1])
    done = browser.send("/dead-letters/confirm/redrive?reason=failed", "/all/redrive", rate="100/s")
    assert "2 dead letters were sent again" in Elements(done.text).words
    assert [one["details"] for one in changes()] == [{}, {"filter": {"reason": "failed"}, "rate": "100/s"}]


def test_a_cron_task_is_paused_resumed_and_run(browser: Browser, events: EventService) -> None:
    events.cron.create("nightly", "0 6 * * *", "report.due")
    assert browser.send("/cron", "/pause").status_code == 303
    assert events.cron.get("nightly").state == "paused"
    assert browser.send("/cron/nightly", "/resume").status_code == 303
    assert events.cron.get("nightly").state == "active"
    assert browser.send("/cron", "/run").headers["location"] == "/cron/nightly?done=running"
    [run] = events.cron.history("nightly").items
    assert run.outcome is RunOutcome.RUNNING
    assert "by hand" in browser.open("/cron/nightly").words
    assert len([one for one in browser.open("/cron").of("rect") if one["class"] == "running"]) == 1


def test_a_subscription_and_a_queue_are_paused_and_resumed(
    browser: Browser, events: EventService, letters: list[str]
) -> None:
    assert browser.send("/subscriptions", "/ship/pause").status_code == 303
    assert events.subscriptions.get("ship").state == "paused"
    assert browser.send("/subscriptions", "/ship/resume").status_code == 303
    assert events.subscriptions.get("ship").state != "paused"
    assert browser.send("/workers", "/eventsys.log/pause").status_code == 303
    assert events.machinery.control.paused() == {"eventsys.log"}
    assert browser.send("/workers", "/eventsys.log/resume").status_code == 303
    assert events.machinery.control.paused() == set()


def test_how_a_subscription_gathers_its_batches_is_on_its_page(browser: Browser, events: EventService) -> None:
    events.on("order.paid", name="many", batch_size=40, batch_wait="250ms")(lambda batch: None)
    events.on("order.paid", name="one")(lambda event: None)
    events.bus.prepare()
    assert "batchesat most 40 a call, gathered for 250 ms" in browser.open("/subscriptions/many").words
    assert "batches" not in browser.open("/subscriptions/one").words


def test_what_is_over_is_told_on_a_page(browser: Browser, events: EventService) -> None:
    event = events.schedule("order.due", {}, delay="1h")
    token = token_of(browser)
    events.cancel(event.id)
    answer = browser.client.post(
        f"/delayed/{event.id}/run", data={"form_token": token}, headers={"origin": HOME, **HTML}
    )
    assert answer.status_code in {404, 409}
    assert answer.headers["content-type"].startswith("text/html")
    with pytest.raises((AlreadyFiredError, NotFoundError)):
        events.run_now(event.id)


def test_viewers_and_read_only_dashboards_have_no_forms(events: EventService, guarded: Any) -> None:
    events.schedule("order.due", {}, delay="1h")
    watching = dashboard(events, read_only=True)
    for client in (client_of(guarded, token=VIEWER_TOKEN), client_of(watching)):
        text = client.get("/delayed", headers=HTML).text
        assert "order.due" in text
        assert 'method="post"' not in text
    assert 'method="post"' in client_of(guarded, token=TOKEN).get("/delayed", headers=HTML).text


def test_mounted_below_a_path_every_address_leads_there(events: EventService, letters: list[str]) -> None:
    outer = Starlette()
    outer.mount("/eventsys", dashboard(events))
    client = client_of(outer)
    for path in PAGES:
        answer = client.get(f"/eventsys{path}", headers=HTML)
        assert answer.status_code == 200, path
        for tag, attributes in Elements(answer.text).tags:
            for name in ("href", "src", "action"):
                value = attributes.get(name) or "/eventsys/"
                assert value.startswith(("/eventsys/", "#")), (path, tag, value)
    assert client.get("/eventsys/static/dashboard.css").headers["content-type"].startswith("text/css")
    assert client.get("/eventsys/healthz").json() == {"status": "ok"}
    assert client.get("/eventsys/api/v1/events").status_code == 200
    sent = Browser(client).send("/eventsys/subscriptions", "/ship/pause")
    assert sent.headers["location"] == "/eventsys/subscriptions?done=paused"
    assert client.get("/eventsys/api/v1/events", headers={"host": "evil.example"}).status_code == 421


def test_a_word_in_the_address_says_nothing_of_its_own(browser: Browser) -> None:
    assert "pwned" not in browser.open("/?done=pwned").words


def test_there_is_a_picture_of_every_page_of_the_menu_in_both_themes_and_no_other() -> None:
    """They are made by `python -m tests.browser.screenshots`."""
    assert {one.name for one in screenshots.IMAGES.glob("*.png")} == {
        f"{name}-{theme}.png" for name in screenshots.PLACES for theme in screenshots.THEMES
    }
    assert set(PAGES) <= set(screenshots.PLACES.values())
