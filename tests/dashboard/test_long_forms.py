"""Forms stay small whatever they are about, and who sends one loses nothing that it was shown without."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from pydantic import Field, create_model

from eventsys import EventFilter, EventService
from eventsys.dashboard import dashboard
from eventsys.dashboard.room import size_of
from eventsys.dashboard.schema_form import fields_of, has_room
from tests.dashboard.browser import Browser, Elements
from tests.dashboard.conftest import client_of
from tests.dashboard.test_page_forms import _filled_in
from tests.dashboard.test_page_sizes import MOST_BYTES, WORST, _page
from tests.support.services import Services

#: Letters that take five times their room on a page, 1 MiB of JSON of them and of others.
LARGE = {"text": WORST * 50_000, "rows": [{"n": number, "name": "x" * 40} for number in range(10_000)]}

FORM = "/cron-form?name=reports"


@pytest.fixture
def roomy(services: Services) -> EventService:
    """A bus whose payloads may be as long as 2 MiB."""
    return services.make(max_payload_bytes=2 * 1024 * 1024)


@pytest.fixture
def roomy_browser(roomy: EventService) -> Browser:
    return Browser(client_of(dashboard(roomy)))


def _saved(browser: Browser, **changed: str) -> Any:
    """Open the form of the task, and send it as it stands but for some fields."""
    text = _page(browser.client, FORM)
    return browser.send(FORM, "/cron-form", **{**_filled_in(text), **changed})


def test_a_task_with_a_payload_of_a_mebibyte_is_changed_by_its_form_and_keeps_it(
    roomy: EventService, roomy_browser: Browser
) -> None:
    assert len(json.dumps(LARGE)) > 1024 * 1024
    before = roomy.cron.create("reports", "@daily", "report.due", LARGE)
    text = _page(roomy_browser.client, FORM)
    assert "eventsys cron update reports --payload - &lt; FILE" in text
    assert '<textarea name="payload"' not in text
    assert len(_saved(roomy_browser, schedule="61 * * * *").content) < MOST_BYTES
    assert "It would run at" in _saved(roomy_browser, schedule="@weekly", only="ticks").text
    assert roomy.cron.get("reports") == before
    assert _saved(roomy_browser, schedule="@hourly").status_code == 303
    after = roomy.cron.get("reports")
    assert (after.payload, after.schedule) == (LARGE, "@hourly")
    assert after.revision == before.revision + 1


def test_a_refused_form_is_shown_again_without_what_is_long_and_still_keeps_it(
    roomy: EventService, roomy_browser: Browser
) -> None:
    """Its second sending knows only what the page of the first one said."""
    roomy.cron.create("reports", "@daily", "report.due", LARGE)
    refused = _saved(roomy_browser, schedule="61 * * * *")
    assert refused.status_code == 422
    given = {one["name"]: one.get("value") or "" for one in Elements(refused.text).of("input") if one.get("name")}
    again = {**given, **_filled_in(refused.text), "schedule": "@hourly"}
    assert roomy_browser.send(FORM, "/cron-form", **again).status_code == 303
    assert roomy.cron.get("reports").payload == LARGE


def test_what_an_actor_is_given_and_the_names_of_secret_fields_are_kept_too(
    roomy: EventService, roomy_browser: Browser
) -> None:
    long = "<" * 20_000
    given: dict[str, Any] = {"actor_args": [long, 1], "actor_kwargs": {"a": long}, "source": "<" * 512}
    before = roomy.cron.create("reports", "@daily", actor="tidy", secret_fields=["\u6f22" * 8_000, "b"], **given)
    text = _page(roomy_browser.client, FORM)
    [kept] = [one["value"] for one in Elements(text).of("input") if one.get("name") == "keeps"]
    assert kept == "actor_args actor_kwargs"
    assert _saved(roomy_browser, max_runs="3").status_code == 303
    after = roomy.cron.get("reports")
    assert after.max_runs == 3
    for name in (*given, "secret_fields", "actor", "queue", "schedule"):
        assert getattr(after, name) == getattr(before, name), name


def test_of_several_fields_the_longest_is_left_out(browser: Browser, events: EventService) -> None:
    payload = {"text": "x" * 59_000}
    events.cron.create("reports", "@daily", "report.due", payload, secret_fields=["y" * 5_000])
    text = _page(browser.client, FORM)
    assert "y" * 5_000 in text
    assert '<textarea name="payload"' not in text
    assert _saved(browser, secret_fields="z").status_code == 303
    task = events.cron.get("reports")
    assert (task.payload, task.secret_fields) == (payload, ("z", "y" * 5_000))


def test_what_a_form_has_room_for_is_there_to_be_edited(browser: Browser, events: EventService) -> None:
    payload = {"text": "x" * 55_000}
    events.cron.create("reports", "@daily", "report.due", payload)
    assert 'name="keeps"' not in _page(browser.client, FORM)
    assert _saved(browser, payload='{"text": "short"}').status_code == 303
    assert events.cron.get("reports").payload == {"text": "short"}


def test_a_new_task_is_not_made_without_the_payload_that_there_was_no_room_for(
    browser: Browser, events: EventService
) -> None:
    """A browser does not send the form again before the payload is there."""
    fields = {
        "name": "reports",
        "schedule": "61 * * * *",
        "event_type": "report.due",
        "payload": json.dumps(LARGE)[:200_000],
    }
    refused = browser.send("/cron-form", "/cron-form", **fields)
    assert (refused.status_code, len(refused.content) < MOST_BYTES) == (422, True)
    assert "It has to be written again" in Elements(refused.text).words
    assert re.search(r'<textarea name="payload"[^>]* required[^>]*></textarea>', refused.text)
    assert 'name="keeps"' not in refused.text


def test_a_moment_keeps_its_seconds(browser: Browser, events: EventService) -> None:
    for ends_at in (
        datetime(2099, 1, 1, 12, 30, 15, tzinfo=UTC),
        datetime(2099, 1, 1, 12, 30, 15, 250_000, tzinfo=UTC),
    ):
        events.cron.create("reports", "@daily", "report.due", ends_at=ends_at)
        assert _saved(browser).status_code == 303
        assert events.cron.get("reports").ends_at == ends_at


@pytest.mark.parametrize("ends_in", [timedelta(days=9), timedelta(seconds=-3)], ids=["on", "ended"])
def test_an_end_that_no_form_can_show_in_full_is_not_changed_by_it(
    browser: Browser, events: EventService, monkeypatch: pytest.MonkeyPatch, ends_in: timedelta
) -> None:
    """It came back cut off: another time, which is past if the task has ended."""
    now = events.broker.clock.now()
    end = (now + ends_in).replace(microsecond=123_456)
    with monkeypatch.context() as earlier:
        earlier.setattr(events.broker.clock, "now_ms", lambda: int(now.timestamp() - 60) * 1000)
        events.cron.create("reports", "* * * * * *", "report.due", ends_at=end)
    before = events.broker.link.call("HGET", events.broker.keys.cron_task("reports"), "armed")
    assert _saved(browser, payload='{"text": "short"}').status_code == 303
    assert events.cron.get("reports").payload == {"text": "short"}
    assert events.broker.link.call("HGET", events.broker.keys.cron_task("reports"), "armed") == before


def _wide(count: int, **said: Any) -> Any:
    """Return a model with so many fields, of every kind in turn."""
    kinds: list[Any] = [int, str, bool, list[str], datetime, Literal["<a>", "b"], float]
    fields = {f"field_{number}": (kinds[number % 7], Field(**said)) for number in range(count)}
    return create_model("Wide", **fields)


@pytest.mark.parametrize("said", [{}, {"description": "<" * 300}, {"default": None, "description": WORST * 50}])
def test_a_form_has_as_many_fields_as_a_page_has_room_for(
    browser: Browser, events: EventService, said: dict[str, Any]
) -> None:
    """The largest that has fields, and the next larger one, which has none."""
    fields = fields_of(_wide(200, **said).model_json_schema())
    most = max(count for count in range(200) if has_room(fields[:count]))
    for count in (most, most + 1):
        events.type(f"wide.n{count}", _wide(count, **said))
        text = _page(browser.client, f"/types/wide.n{count}")
        assert text.count('name="payload/field_') == (count if count == most else 0)
        assert ("more fields than a form has room for" in html.unescape(text)) is (count > most)
    assert most > 10


def test_no_field_is_larger_than_it_was_taken_for(browser: Browser, events: EventService) -> None:
    odd = '\u202e<"&é'
    fields: dict[str, Any] = {
        odd * 3: (str, Field(min_length=1, max_length=10**15, description=odd * 9)),
        "choice": (Literal["<>", "\u202e", "é"], Field(description=odd)),
        "flag": (bool, Field(default=True, description=odd)),
        "number": (float, Field(ge=-(10**15), le=10**15, default=1.5, description=odd)),
        "secret": (str, Field(json_schema_extra={"secret": True}, description=odd, min_length=8)),
        "parts": (list[str], Field(default_factory=list, description=odd)),
        "moment": (datetime, Field(description=odd)),
    }
    model: Any = create_model("Odd", **fields)
    events.type("odd.sent", model)
    shown = [one for one in _page(browser.client, "/types/odd.sent").split("  <label") if 'name="payload/' in one]
    expected = fields_of(model.model_json_schema())
    assert len(shown) == len(expected) == 7
    for one, text in zip(expected, shown, strict=True):
        size = len(f"  <label{text.partition('</label>')[0]}</label>\n".encode())
        assert size <= one.size, one.kind


def test_a_type_of_many_fields_is_published_as_json(browser: Browser, events: EventService) -> None:
    events.type("wide.sent", _wide(400, default=None))
    assert browser.send("/types/wide.sent", "/publish").status_code == 422
    assert browser.send("/types/wide.sent", "/publish", json='{"field_0": 7}').status_code == 303
    [event] = events.get_event_records(EventFilter(types=("wide.sent",))).items
    assert event.payload == {"field_0": 7}


def test_json_takes_the_place_of_fields_that_a_browser_asks_for(browser: Browser, events: EventService) -> None:
    page = browser.open("/types/user.login")
    [button] = [one for one in page.of("button") if one.get("value") == "json"]
    assert "formnovalidate" in button
    assert browser.send("/types/user.login", "/publish", only="json").status_code == 422
    assert events.get_metrics().total_events == 0


@pytest.mark.parametrize(("page", "field"), [("/types", "json"), ("/types/user.login", "json"),
                                             ("/types/user.login", "payload/user_id")])  # fmt: skip
def test_what_was_refused_is_not_written_back_where_it_is_long(
    browser: Browser, events: EventService, page: str, field: str
) -> None:
    sent = browser.send(
        page, "/publish", **{"type": "Not A Type", "delay": "soon", field: "<" * 60_000, "source": "desk"}
    )
    assert (sent.status_code, len(sent.content) < MOST_BYTES) == (422, True)
    assert "eventsys publish TYPE - &lt; FILE" in sent.text
    assert "desk" in [one.get("value") for one in Elements(sent.text).of("input")]
    [asked] = [tag for name, tag in Elements(sent.text).tags if tag.get("name") == field]
    assert "required" in asked or (field == "json" and page != "/types")


def test_a_fault_is_told_in_a_few_lines(browser: Browser, events: EventService) -> None:
    fault = browser.send("/cron-form", "/cron-form", name="a", schedule="@daily", event_type="x" * 60_000)
    assert (fault.status_code, len(fault.content) < MOST_BYTES) == (422, True)


def test_a_text_is_as_large_as_it_is_sent() -> None:
    assert [size_of(text) for text in ("x", "<", "é", "\u202e")] == [1, 4, 2, 3]
