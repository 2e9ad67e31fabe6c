import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from pydantic import BaseModel
from pydantic_core import to_json

from eventsys.errors import InvalidEventError
from eventsys.model import Event, Priority, from_cloudevent, to_cloudevent

from .strategies import events

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
FOREIGN: dict[str, Any] = {
    "specversion": "1.0",
    "id": "A234-1234-1234",
    "source": "https://github.com/cloudevents?x=%20#y",
    "type": "com.github.pull_request.opened",
    "subject": "123",
    "time": "2018-04-05T17:31:00+02:00",
    "dataschema": "https://example.com/schema",
    "datacontenttype": "application/vnd.example+json",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "sampledrate": 30,
    "flag": True,
    "data": {"appinfoA": "abc"},
}


@given(events())
def test_an_event_comes_back_equal(event):
    assert from_cloudevent(to_cloudevent(event), now=NOW) == event
    assert from_cloudevent(to_json(to_cloudevent(event)), now=NOW) == event
    assert from_cloudevent(to_json(to_cloudevent(event)).decode(), now=NOW) == event


@given(events())
def test_what_is_written_keeps_the_rules_of_the_specification(event):
    written = json.loads(to_json(to_cloudevent(event)))
    data = written.pop("data")
    assert isinstance(data, dict)
    for name in ("id", "source", "specversion", "type"):
        assert written[name]
    for name, value in written.items():
        assert re.fullmatch("[a-z0-9]{1,20}", name)
        assert type(value) in (str, int)
        if isinstance(value, int):
            assert -(2**31) <= value < 2**31
        else:
            assert not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]", value)
    assert written.get("subject") != ""
    assert re.fullmatch(r"[\x21-\x7e]+", written["source"])


def test_the_attributes_have_the_names_that_the_documentation_gives():
    event = Event(
        id="e-2",
        type="order.placed",
        payload={"n": 1},
        source="/shop",
        time=NOW,
        version=2,
        priority=Priority.HIGH,
        correlation_id="c-1",
        causation_id="e-1",
        headers={"traceparent": "00-1", "X-Tenant": "é"},
        idempotency_key="k",
        depth=1,
    )
    assert to_cloudevent(event) == {
        "specversion": "1.0",
        "id": "e-2",
        "source": "/shop",
        "type": "order.placed",
        "time": "2026-01-31T12:00:00Z",
        "datacontenttype": "application/json",
        "correlationid": "c-1",
        "causationid": "e-1",
        "priority": 8,
        "eventversion": 2,
        "causationdepth": 1,
        "idempotencykey": "k",
        "traceparent": "00-1",
        "eventsysextra": '{"headers": {"X-Tenant": "\\u00e9"}}',
        "data": {"n": 1},
    }


def test_an_empty_source_is_written_as_one_that_is_not():
    event = Event(id="e-1", type="a.b", payload={}, time=NOW)
    assert to_cloudevent(event)["source"] == "urn:eventsys:source:"


@pytest.mark.parametrize("source", ["", "auth service", "100%", "urn:eventsys:source:", "urn:eventsys:source:a%20b"])
def test_a_source_that_is_no_uri_or_looks_like_our_own_comes_back(source):
    event = Event(id="e-1", type="a.b", payload={}, time=NOW, source=source)
    assert from_cloudevent(to_cloudevent(event), now=NOW).source == source


class Order(BaseModel):
    placed_at: datetime


def test_a_model_is_written_as_its_json():
    event = Event[Order](id="e-1", type="a.b", payload=Order(placed_at=NOW), time=NOW)
    assert to_cloudevent(event)["data"] == {"placed_at": "2026-01-31T12:00:00Z"}


def test_a_foreign_event_keeps_everything_that_it_says():
    event = from_cloudevent(FOREIGN, now=NOW)
    assert event.time == datetime(2018, 4, 5, 15, 31, tzinfo=UTC)
    assert event.source == FOREIGN["source"]
    assert event.headers["subject"] == "123"
    again = to_cloudevent(event)
    assert again == {**FOREIGN, "time": "2018-04-05T15:31:00Z", "sampledrate": "30", "flag": "true"}


def test_what_may_be_missing_has_a_meaning():
    event = from_cloudevent({"specversion": "1.0", "id": "1", "source": "/", "type": "a.b", "subject": None}, now=NOW)
    assert (event.time, event.payload, event.headers, event.source) == (NOW, {}, {}, "/")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        *(({name: None}, f"needs '{name}'") for name in ("specversion", "id", "source", "type")),
        ({"specversion": "0.3"}, "'1.0' is understood"),
        ({"id": ""}, "needs 'id'"),
        ({"id": 5}, "needs 'id'"),
        ({"source": ""}, "needs 'source'"),
        ({"source": "a b"}, "no URI reference"),
        ({"type": "Com.Example"}, "upper-case"),
        ({"time": "yesterday"}, "cannot be an event"),
        ({"time": "2018-04-05T17:31:00"}, "cannot be an event"),
        ({"time": 5}, "is not of the form"),
        ({"data": [1]}, "no JSON object"),
        ({"data": "text"}, "no JSON object"),
        ({"data_base64": "eA=="}, "no JSON object"),
        ({"datacontenttype": "text/xml"}, "datacontenttype"),
        ({"Bad-Name": "x"}, "cannot name a CloudEvent attribute"),
        ({"rate": 1.5}, "send text"),
        ({"priority": 3}, "cannot be an event"),
        ({"eventsysextra": "{"}, "not what eventsys writes"),
        ({"eventsysextra": '{"id":"x"}'}, "not what eventsys writes"),
    ],
)
def test_what_breaks_the_specification_or_our_rules_is_refused(change, reason):
    with pytest.raises(InvalidEventError) as caught:
        from_cloudevent({**FOREIGN, **change}, now=NOW)
    assert reason in str(caught.value)


@pytest.mark.parametrize("given_text", ["", "[]", "5", b"\xff", "{", '{"a":NaN}'])
def test_what_is_no_json_object_is_refused(given_text):
    with pytest.raises(InvalidEventError, match="CloudEvent"):
        from_cloudevent(given_text, now=NOW)
