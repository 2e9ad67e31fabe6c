"""What the log says of buffered events that wait for Redis."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from eventsys import RedisUnavailableError
from eventsys.bus.outage_log import OutageLog
from tests.support.services import Services
from tests.support.waiting import eventually

AWAY = RedisUnavailableError("Redis is away")


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == "eventsys.bus.buffer"]


def test_a_wait_is_told_when_it_begins_as_it_doubles_and_every_minute(caplog: pytest.LogCaptureFixture) -> None:
    outage, told = OutageLog(), []
    for second in range(301):
        before = len(_lines(caplog))
        outage.goes_on(3, AWAY, 1_000.0 + second)
        told += [second] * (len(_lines(caplog)) - before)
    assert told == [0, 1, 2, 4, 8, 16, 32, 64, 124, 184, 244]
    assert _lines(caplog)[4] == "3 buffered events wait, for 8 s by now: Redis is away"


def test_the_end_of_a_wait_is_told_once_and_the_next_wait_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    outage = OutageLog()
    outage.ends(1, 0, 5.0)
    outage.goes_on(3, AWAY, 10.0)
    outage.ends(2, 1, 12.5)
    outage.ends(1, 0, 12.6)
    outage.goes_on(4, AWAY, 13.0)
    assert _lines(caplog) == [
        "3 buffered events wait, for 0 s by now: Redis is away",
        "buffered events are sent again, after 2.5 s: 2 were sent, 1 follow",
        "4 buffered events wait, for 0 s by now: Redis is away",
    ]


def test_the_buffer_tells_when_redis_went_and_when_it_is_back(
    fresh_redis: Callable[[], Any], services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    server = fresh_redis()
    events = services.make(redis_url=server.url)
    events.publish("x.y", {})
    server.kill()
    with caplog.at_level(logging.WARNING):
        receipt = events.publish_async("a.b", {})
        eventually(lambda: bool(_lines(caplog)))
        server.start()
        receipt.result(timeout=60)
    lines = _lines(caplog)
    assert "1 buffered events wait, for 0 s" in lines[0]
    assert [line for line in lines if "are sent again" in line] == [lines[-1]]
    assert lines[-1].endswith(": 1 were sent, 0 follow")
