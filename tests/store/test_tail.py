"""Following the log: what is stored is given once, whatever becomes of the connection."""

from __future__ import annotations

import threading

import pytest
import redis

from eventsys import EventService, RedisUnavailableError
from eventsys.store import tail
from tests.support.connections import Newcomers
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _asks_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "_AGAIN_S", 0.01)


def _break_the_question(redis_client: redis.Redis, newcomers: Newcomers) -> None:
    """Break every connection, once somebody waits on one for what is stored next."""
    newcomers.wait_until_one_waits()
    redis_client.client_kill_filter(skipme=True)


def test_an_outage_is_told_once_and_nothing_is_missed_or_given_twice(
    events: EventService, redis_client: redis.Redis
) -> None:
    seen: list[str] = []
    told: list[str] = []

    def outage(reason: str) -> None:
        told.append(reason)
        if reason:
            events.publish("order.paid", {}, id="meanwhile")

    def follow() -> None:
        for event in events.store.follow(["order.*"], on_outage=outage):
            seen.append(event.id)
            if event.id == "last":
                return

    newcomers = Newcomers(redis_client)
    following = threading.Thread(target=follow, daemon=True)
    following.start()
    newcomers.wait_until_one_waits()
    events.publish("order.paid", {}, id="first")
    eventually(lambda: seen == ["first"])
    _break_the_question(redis_client, newcomers)
    eventually(lambda: len(told) == 2)
    events.publish("order.paid", {}, id="last")
    following.join(60)
    assert seen == ["first", "meanwhile", "last"]
    assert told[0].startswith("Redis does not answer")
    assert told[1:] == [""]


def test_an_outage_ends_the_following_of_who_does_not_ask_to_be_told(
    events: EventService, redis_client: redis.Redis
) -> None:
    ends: list[Exception] = []

    def follow() -> None:
        try:
            list(events.store.follow())
        except RedisUnavailableError as error:
            ends.append(error)

    newcomers = Newcomers(redis_client)
    following = threading.Thread(target=follow, daemon=True)
    following.start()
    _break_the_question(redis_client, newcomers)
    following.join(60)
    assert len(ends) == 1
