"""`eventsys scheduler` sends what periodiq sends, and what periodiq loses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq.errors import ConnectionClosed
from periodiq import cron

from eventsys import EventService
from eventsys.clock import to_ms
from eventsys.scheduling.ticker import Ticker, named, repaired
from tests.conftest import FreshRedis
from tests.cron.conftest import START
from tests.support.services import Services


class Clocked:
    """A service whose clock stands where a test puts it, with actors that are due at their times."""

    def __init__(self, events: EventService, **fields: str) -> None:
        self.events = events
        self.now = START
        clock: Any = events.broker.clock
        clock.now_ms = lambda: to_ms(self.now)
        clock.set_from = lambda *_, **__: None
        for name, written in fields.items():
            dramatiq.actor(lambda: None, broker=events.broker, actor_name=name, queue_name=name, periodic=cron(written))

    def sent(self, queue: str) -> int:
        return self.events.broker.link.call("XLEN", self.events.broker.keys.lane(queue, 5))


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_each_minute_is_looked_at_where_periodiq_would_sleep_through(events: EventService) -> None:
    """periodiq goes from 12:01 to 13:30 here, because it adds the minutes before it adds the hours."""
    world = Clocked(events, half="0,30 13 * * *")
    assert cron("0,30 13 * * *").next_valid_date(_pendulum(START)).minute == 30
    ticker = Ticker(events.broker)
    ticker.take_turn()
    for _ in range(62):
        world.now += timedelta(minutes=1)
        ticker.take_turn()
    assert world.sent("half") == 1


def test_its_log_tells_the_ticks_of_the_application_and_not_those_of_the_sweeps(
    events: EventService, caplog: pytest.LogCaptureFixture
) -> None:
    Clocked(events, each="* * * * *")
    ticker = Ticker(events.broker)
    with caplog.at_level(logging.INFO, logger="eventsys"):
        ticker.take_turn()
    assert [one.getMessage() for one in caplog.records if one.name.startswith("eventsys")] == [
        f"each gets its tick of {START:%Y-%m-%d %H:%M} UTC"
    ]
    assert named(ticker.actors) == "each (* * * * *), 9 sweeps of eventsys"


def _pendulum(moment: datetime) -> Any:
    import pendulum

    return pendulum.instance(moment)


def test_a_turn_ends_when_the_next_minute_begins(events: EventService) -> None:
    world = Clocked(events, each="* * * * *")
    assert Ticker(events.broker).take_turn() == 30.0
    assert world.sent("each") == 1


def test_a_restart_within_the_minute_sends_nothing_twice(events: EventService, services: Services) -> None:
    world = Clocked(events, each="* * * * *")
    Ticker(events.broker).take_turn()
    other = Clocked(services.make(name=events.settings.name), each="* * * * *")
    Ticker(other.events.broker).take_turn()
    assert world.sent("each") == 1


def test_the_latest_of_the_ticks_that_were_lost_is_sent_after_a_restart(events: EventService) -> None:
    world = Clocked(events, each="* * * * *", late="3 12 * * *", new="59 11 * * *")
    Ticker(events.broker).take_turn()
    assert world.sent("each") == 1
    world.now += timedelta(minutes=5)
    Ticker(events.broker).take_turn()
    assert world.sent("each") == 2
    assert world.sent("late") == 0  # it never had a tick, so nobody can tell whether it was declared then
    assert world.sent("new") == 0


def test_a_process_that_was_asleep_sends_what_it_missed_within_ten_minutes(events: EventService) -> None:
    world = Clocked(events, quarter="*/15 * * * *", hour="0 13 * * *")
    ticker = Ticker(events.broker)
    ticker.take_turn()
    assert world.sent("quarter") == 1
    world.now = datetime(2026, 11, 25, 13, 8, tzinfo=UTC)
    ticker.take_turn()
    assert (world.sent("quarter"), world.sent("hour")) == (2, 1)
    world.now = datetime(2026, 11, 25, 13, 29, tzinfo=UTC)
    ticker.take_turn()
    assert world.sent("quarter") == 2


def test_ticks_wait_for_redis(fresh_redis: Callable[[], FreshRedis], services: Services) -> None:
    server = fresh_redis()
    world = Clocked(services.make(redis_url=server.url), each="* * * * *")
    ticker = Ticker(world.events.broker)
    ticker.take_turn()
    server.kill()
    world.now += timedelta(minutes=2)
    with pytest.raises((ConnectionClosed, ConnectionError)):
        ticker.take_turn()
    server.start()
    before = world.sent("each")
    ticker.take_turn()
    assert world.sent("each") == before + 1


@pytest.mark.parametrize("written", ["0 12 * * 0", "0 12 * * sun", "0 12 * * 0-6", "0 12 * * 6,0", "0 12 * * 7"])
def test_sundays_are_sundays(written: str, events: EventService, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        world = Clocked(events, weekly=written)
        ticker = Ticker(events.broker)
    world.now = datetime(2026, 11, 29, 12, 0, 10, tzinfo=UTC)
    ticker.take_turn()
    assert world.sent("weekly") == 1
    assert ("never fires on Sundays" in caplog.text) == (not written.endswith("7"))
    assert str(repaired(events.broker.get_actor("weekly"))) == written


def test_weekly_is_on_sunday(events: EventService) -> None:
    world = Clocked(events, weekly="@weekly")
    world.now = datetime(2026, 11, 29, tzinfo=UTC)
    Ticker(events.broker).take_turn()
    assert world.sent("weekly") == 1


def test_a_sixth_field_is_warned_of(events: EventService, caplog: pytest.LogCaptureFixture) -> None:
    Clocked(events, often="*/5 * * * * *")
    Ticker(events.broker)
    assert "all behind the fifth field is ignored; for seconds use @events.cron" in caplog.text


def test_an_actor_that_cannot_be_sent_does_not_keep_the_others_from_their_ticks(events: EventService) -> None:
    world = Clocked(events, bad="* * * * *", good="* * * * *")

    class Refuses(dramatiq.Middleware):
        def before_enqueue(self, broker: Any, message: Any, delay: Any) -> None:
            if message.actor_name == "bad":
                raise dramatiq.middleware.MiddlewareError("no")

    events.broker.add_middleware(Refuses())
    Ticker(events.broker).take_turn()
    assert (world.sent("bad"), world.sent("good")) == (0, 1)
