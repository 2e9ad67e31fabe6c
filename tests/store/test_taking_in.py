"""An event is taken in once, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from eventsys.errors import BackpressureError, RedisRefusedError
from eventsys.store.scripts import script
from eventsys.store.steps import delayed_step, event_step, message_step, packed, packed_steps, results_of
from tests.support.histories import Historian

T0 = 1_800_000_000_000

pytestmark = pytest.mark.redis62


def _event(event_id: str, *, key: str | None = None) -> tuple[Any, ...]:
    return event_step(event_id, "order.paid", 5, f'{{"id":"{event_id}","type":"order.paid"}}', key=key, window_ms=1000)


def _taken_in(historian: Historian, *steps: tuple[Any, ...]) -> list[list[Any]]:
    told = historian.link.run(script("add"), historian.keys.prefix, T0, *packed_steps(steps))
    return results_of(steps, told)


def test_steps_of_all_kinds_are_taken_in_together_and_told_of_in_their_order(historian: Historian) -> None:
    later = delayed_step("e3", T0 + 1000, 5, _event("e3"), facts={"created_ms": T0})
    steps = [_event("e1"), _event("e2"), message_step("ordinary", 5, {"m": "{}"}), later, _event("e4"), _event("e1")]
    told = _taken_in(historian, *steps)
    assert [one[0] for one in told] == [b"stored", b"stored", b"queued", b"delayed", b"stored", b"duplicate"]
    assert told[5][1:] == [b"e1", b'{"id":"e1","type":"order.paid"}']
    stored = historian.link.call("XRANGE", historian.keys.log(5), "-", "+")
    assert [fields[1] for _, fields in stored] == [
        b'{"id":"e1","type":"order.paid"}', b'{"id":"e2","type":"order.paid"}', b'{"id":"e4","type":"order.paid"}',
    ]  # fmt: skip


def test_events_that_differ_in_anything_are_each_taken_in_as_they_are(historian: Historian) -> None:
    """What several in a row have in common travels once, so each difference alone has to begin anew."""
    given: list[tuple[str, int, dict[str, Any]]] = [
        ("order.paid", 5, {}), ("order.paid", 5, {}), ("order.sent", 5, {}),
        ("order.sent", 8, {}), ("order.sent", 8, {}), ("order.sent", 8, {"expire_after_ms": 500}),
        ("order.sent", 8, {"chain": "c"}), ("order.sent", 8, {"chain": "c"}),
        ("order.sent", 8, {"key": "k", "window_ms": 1000}), ("order.sent", 8, {"key": "k", "window_ms": 1000}),
        ("system.startup", 8, {}), ("order.paid", 5, {}),
    ]  # fmt: skip
    steps = [
        event_step(f"e{number}", event_type, lane, f'{{"id":"e{number}","type":"{event_type}"}}', **others)
        for number, (event_type, lane, others) in enumerate(given)
    ]
    told = _taken_in(historian, *steps)
    assert [one[0] for one in told] == [b"stored"] * 9 + [b"duplicate"] + [b"stored"] * 2
    assert told[9][1] == b"e8"
    logs = {
        home: [
            (fields[1].split(b'"')[3].decode(), fields[4:])
            for _, fields in historian.link.call("XRANGE", log, "-", "+")
        ]
        for home, log in ((home, f"{historian.keys.prefix}:log:{home}") for home in ("5", "8", "system"))
    }
    expires = [b"x", str(T0 + 500).encode()]
    assert logs["5"] == [("e0", []), ("e1", []), ("e2", []), ("e11", [])]
    assert logs["8"] == [
        ("e3", []), ("e4", []), ("e5", expires), ("e6", []), ("e7", []), ("e8", []), ("e10", []),
    ]  # fmt: skip
    assert logs["system"] == [("e10", [])]
    assert historian.link.call("STRLEN", f"{historian.keys.prefix}:chain:c") == 2 * 11
    numbers = [
        fields[3] for _, fields in historian.link.call("XRANGE", historian.keys.type_index("order.sent"), "-", "+")
    ]
    assert numbers == [b"%d" % number for number in range(1, 8)]


def test_what_comes_alone_leaves_behind_what_it_would_among_others(historian: Historian) -> None:
    """One that is plain is stored by a shorter way."""
    given: list[tuple[str, str, int, dict[str, Any]]] = [
        ("e1", "order.paid", 5, {}), ("e2", "order.paid", 5, {}), ("e3", "order.sent", 10, {}),
        ("e4", "system.startup", 8, {}), ("e5", "systems.up", 8, {}), ("e6", "cron.run", 5, {}),
        ("e13", "system", 5, {}), ("e14", "cron", 5, {}), ("e15", "crontab", 5, {}),
        ("e7", "order.paid", 5, {"chain": "c"}), ("e8", "order.paid", 5, {"chain": "c"}),
        ("e9", "order.paid", 5, {"key": "k", "window_ms": 1000}), ("e10", "order.paid", 5, {"expire_after_ms": 500}),
        ("e11", "order.paid", 1, {"key": "k", "window_ms": 1000}), ("e12", "order.paid", 1, {}),
        ("e2", "order.paid", 5, {}),
    ]  # fmt: skip
    steps = [
        event_step(event_id, event_type, lane, f'{{"id":"{event_id}","type":"{event_type}"}}', **others)
        for event_id, event_type, lane, others in given
    ]

    def kept(*, is_alone: bool) -> tuple[list[Any], dict[str, Any]]:
        historian.wipe()
        told = []
        for step in steps:
            packs = packed_steps([step]) if is_alone else [packed(step)]
            [result] = results_of([step], historian.link.run(script("add"), historian.keys.prefix, T0, *packs))
            told.append(list(result[: None if result[0] == b"duplicate" else 1]))
        historian.link.call("DEL", historian.keys.clock)  # what is found stored already uses another name up
        return told, historian.kept()

    assert kept(is_alone=True) == kept(is_alone=False)


def test_a_full_history_takes_in_nothing_that_comes_alone(historian: Historian) -> None:
    historian.link.call("HSET", historian.keys.history, "most_bytes", 31)
    _taken_in(historian, _event("e1"))
    with pytest.raises(BackpressureError):
        _taken_in(historian, _event("e2"))
    assert historian.link.call("EXISTS", historian.keys.record("e2")) == 0


def test_an_event_that_its_type_refuses_leaves_its_id_free(historian: Historian) -> None:
    historian.link.call("SET", historian.keys.type_index("order.paid"), "no stream")
    with pytest.raises(RedisRefusedError, match="WRONGTYPE"):
        _taken_in(historian, _event("e1", key="once"))
    assert historian.link.call("EXISTS", historian.keys.record("e1")) == 0
    assert historian.link.call("XLEN", historian.keys.log(5)) == 0
    historian.link.call("DEL", historian.keys.type_index("order.paid"))
    assert _taken_in(historian, _event("e1", key="once"), _event("e2", key="once"))[1][:2] == [b"duplicate", b"e1"]


def test_the_id_of_an_event_cancelled_before_it_was_due_is_free_again(historian: Historian) -> None:
    record = historian.keys.record("e1")
    historian.link.call("HSET", record, "status", "cancelled", "envelope", "{}", "ended_ms", T0)
    historian.link.call("PEXPIRE", record, 60_000)
    historian.link.call("ZADD", f"{historian.keys.prefix}:status:cancelled", T0, "e1")
    assert _taken_in(historian, _event("e1")) == [(b"stored",)]
    assert historian.link.call("HKEYS", record) == [b"log"]
    assert historian.link.call("PTTL", record) == -1
