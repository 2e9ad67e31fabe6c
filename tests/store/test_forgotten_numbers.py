"""The numbers by which records name subscriptions and processes: how long they are kept, and that none comes twice."""

from __future__ import annotations

from eventsys import EventService
from tests.support.histories import Historian
from tests.support.trimming import HOUR, retention_of

T0 = 1_800_000_000_000


def test_numbers_of_what_is_gone_are_forgotten_when_no_record_can_name_them(
    events: EventService, historian: Historian
) -> None:
    events.subscribe("a.b", lambda event: None, name="gone")
    events.subscribe("a.b", lambda event: None, name="here")
    for name in ("gone", "here"):
        events.replays.cancel(events.replays.replay(name).id)
    events.unsubscribe("a.b", "gone")
    link, keys = historian.link, historian.keys
    replay_numbers = f"{keys.prefix}:replays:numbers"
    link.call("HSET", keys.workers, "77", "host:1")
    retention = retention_of(events)
    assert retention.trim_names(T0) == 0
    assert retention.trim_names(T0 + 3 * HOUR - 1) == 0
    events.subscribe("a.b", lambda event: None, name="gone")
    assert retention.trim_names(T0 + 3 * HOUR) == 1
    assert link.call("HEXISTS", keys.workers, "77") == 0
    events.unsubscribe("a.b", "gone")
    assert retention.trim_names(T0 + 4 * HOUR) == 0
    assert retention.trim_names(T0 + 7 * HOUR - 1) == 0
    assert set(link.call("HKEYS", replay_numbers)) == {b"gone", b"here"}
    assert retention.trim_names(T0 + 7 * HOUR) == 1
    assert set(link.call("HVALS", keys.subscription_names)) == {b"here"}
    assert link.call("HKEYS", keys.subscription_numbers) == [b"here"]
    assert link.call("HKEYS", replay_numbers) == [b"here"]


def test_the_number_of_what_came_back_is_kept_as_long_as_any_other(events: EventService, historian: Historian) -> None:
    events.subscribe("a.b", lambda event: None, name="goes")
    link, keys = historian.link, historian.keys
    link.call("HSET", keys.workers, "77", "host:1")
    retention = retention_of(events)
    events.unsubscribe("a.b", "goes")
    retention.trim_names(T0)
    events.subscribe("a.b", lambda event: None, name="goes")
    link.call("ZADD", keys.processes, T0, "lease")
    link.call("HSET", keys.process("lease"), "number", "77")
    retention.trim_names(T0 + HOUR)
    assert link.call("ZRANGE", keys.names_gone, 0, -1) == []
    events.unsubscribe("a.b", "goes")
    link.call("ZREM", keys.processes, "lease")
    assert retention.trim_names(T0 + 5 * HOUR) == 0
    assert retention.trim_names(T0 + 8 * HOUR) == 2


def test_the_number_of_what_is_forgotten_is_given_to_nobody_else(events: EventService, historian: Historian) -> None:
    events.subscribe("a.b", lambda event: None, name="before")
    number = historian.link.call("HGET", historian.keys.subscription_numbers, "before")
    events.unsubscribe("a.b", "before")
    retention = retention_of(events)
    retention.trim_names(T0)
    assert retention.trim_names(T0 + 3 * HOUR) == 1
    events.subscribe("a.b", lambda event: None, name="next")
    assert int(historian.link.call("HGET", historian.keys.subscription_numbers, "next")) > int(number)
