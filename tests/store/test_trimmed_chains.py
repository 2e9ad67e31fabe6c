"""What becomes of a chain when its events leave the history."""

from __future__ import annotations

import pytest

from eventsys import EventService
from tests.support.histories import Historian
from tests.support.trimming import HOUR, ids_in, keys_left, retention_of, trim_all

T0 = 1_800_000_000_000


@pytest.mark.redis62
def test_a_chain_keeps_its_events_though_one_of_the_system_among_them_goes(
    events: EventService, historian: Historian
) -> None:
    for number, event_type in enumerate(("a.b", "a.b", "a.b", "system.warning", "a.b", "system.error")):
        historian.store(event_type, T0 + number, chain="order-17")
    historian.dispatch(T0 + 10)
    assert trim_all(retention_of(events, of_class=1), T0 + 10) == 1
    assert ids_in(events, correlation_id="order-17") == ["e1", "e2", "e3", "e5", "e6"]
    assert trim_all(retention_of(events, of_class=0), T0 + 10) == 1
    assert ids_in(events, correlation_id="order-17") == ["e1", "e2", "e3", "e5"]
    assert trim_all(retention_of(events, age_ms=1), T0 + HOUR) == 4
    assert keys_left(historian, "chain:*") == []


@pytest.mark.redis62
def test_the_list_of_a_chain_goes_with_the_last_of_its_events_whichever_that_is(
    events: EventService, historian: Historian
) -> None:
    historian.store("a.b", T0, chain="mixed")
    for number in range(3):
        historian.store("system.warning", T0 + HOUR + number, chain="mixed")
        historian.store("system.error", T0 + HOUR + number, chain="of-the-system")
    historian.dispatch(T0 + HOUR)
    assert trim_all(retention_of(events), T0 + HOUR + 10) == 1
    assert ids_in(events, correlation_id="mixed") == ["e2", "e4", "e6"]
    assert trim_all(retention_of(events, of_class=0), T0 + HOUR + 10) == 6
    assert keys_left(historian, "chain:*") == []


@pytest.mark.redis62
@pytest.mark.parametrize("chain", ["order-17", 'say-"so"', "back\\slash", "{}", '"correlation_id":"x"'])
def test_the_list_of_a_chain_goes_whatever_its_name(events: EventService, historian: Historian, chain: str) -> None:
    for at in range(4):
        historian.store("a.b", T0 + at, chain=chain)
    historian.dispatch(T0 + 4)
    assert trim_all(retention_of(events, events=2), T0 + 4) == 2
    assert ids_in(events, correlation_id=chain) == ["e3", "e4"]
    assert trim_all(retention_of(events, age_ms=1), T0 + HOUR) == 2
    assert keys_left(historian, "chain:*") == []


@pytest.mark.redis62
@pytest.mark.parametrize("event_id", ["root", 'the-"root"'])
@pytest.mark.parametrize(
    ("headers", "payload"),
    [
        ({"a": "b", "correlation_id": "other"}, b"{}"),
        ({"payload": "x", "correlation_id": "other"}, b"{}"),
        ({"correlation_id": "other"}, b"{}"),
        ({}, b'{"a":1,"correlation_id":"other"}'),
        ({"a": ',"headers":{'}, b'{"a":",\\"payload\\":","headers":{"a":1,"correlation_id":"other"}}'),
    ],
)
def test_what_looks_like_a_correlation_id_in_headers_or_payload_is_none(
    events: EventService, historian: Historian, event_id: str, headers: dict[str, str], payload: bytes
) -> None:
    """An event that came behind the ones named after it is the last of its chain, and the list goes with it."""
    historian.store("a.b", T0, chain=event_id)
    historian.store("a.b", T0 + 1, event_id=event_id, chain=event_id, headers=headers, payload=payload)
    historian.dispatch(T0 + 2)
    assert trim_all(retention_of(events, events=1), T0 + 2) == 1
    assert ids_in(events, correlation_id=event_id) == [event_id]
    assert trim_all(retention_of(events, age_ms=1), T0 + HOUR) == 1
    assert keys_left(historian, "chain:*") == []


@pytest.mark.redis62
@pytest.mark.parametrize(
    "headers", [{"correlation_id": "other"}, {"a": "b", "payload": "x", "correlation_id": "other"}]
)
def test_the_first_of_a_chain_may_have_a_header_called_correlation_id(
    events: EventService, historian: Historian, headers: dict[str, str]
) -> None:
    historian.store("a.b", T0, event_id="root", headers=headers)
    historian.store("a.b", T0 + 1, event_id="next", chain="root")
    assert ids_in(events, correlation_id="root") == ["root", "next"]
    historian.store("a.b", T0 + 2, event_id="apart", chain="other")
    historian.store("a.b", T0 + 3, event_id="behind", chain="apart")
    assert ids_in(events, correlation_id="apart") == ["behind"]


@pytest.mark.redis62
def test_a_correlation_id_is_found_before_headers_and_payload_that_have_others(
    events: EventService, historian: Historian
) -> None:
    for at in range(2):
        historian.store(
            "a.b", T0 + at, chain="mine", source=',"headers":{', headers={"a": "b", "correlation_id": "other"},
            payload=b'{"a":1,"correlation_id":"other"}',
        )  # fmt: skip
    historian.dispatch(T0 + 2)
    assert trim_all(retention_of(events, events=1), T0 + 2) == 1
    assert ids_in(events, correlation_id="mine") == ["e2"]
    assert trim_all(retention_of(events, age_ms=1), T0 + HOUR) == 1
    assert keys_left(historian, "chain:*") == []


@pytest.mark.redis62
def test_a_long_chain_that_has_become_short_holds_nothing_that_is_gone(
    events: EventService, historian: Historian
) -> None:
    stored = [historian.store("system.warning" if at % 10 == 0 else "a.b", T0 + at, chain="long") for at in range(180)]
    historian.dispatch(T0 + 180, count=180)
    assert trim_all(retention_of(events, of_class=4), T0 + 180) == 14
    assert trim_all(retention_of(events, events=82, of_class=4), T0 + 180) == 80
    gone = set(stored[:140:10]) | set(stored[: stored.index("e90")])
    assert ids_in(events, correlation_id="long") == [one for one in stored if one not in gone]
