"""A subscription that ended may leave millions of open deliveries: cancelling them keeps no process from beating."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from eventsys import Event, EventService
from eventsys.broker.lease import Lease
from eventsys.bus.settling import own_queue_of
from eventsys.store.keys import LOG_QUEUE
from tests.support.services import Services
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("rounds_by_hand")

_MANY = 1_100  # more than two scripts cancel


def _handle(event: Event) -> None:
    """Do nothing."""


class Slow:
    """The scripts of a service that cancel many deliveries, as a busy Redis runs them.

    Args:
        events: The service.
        patch: What changes it.
        seconds: How long each takes.

    Attributes:
        count: How many there were.
        leases: For how many seconds the lease of the process was sure to last when each began.
    """

    def __init__(self, events: EventService, patch: pytest.MonkeyPatch, seconds: float) -> None:
        self.count, self.leases = 0, list[float]()
        clock, link = events.broker.clock, events.broker.link
        run, monotonic = link.run, clock.monotonic

        def run_slowly(script: Any, *arguments: Any) -> Any:
            if script.name in {"cancel_waiting", "flush_queue"}:
                self.leases.append(events.broker.presence.lease_left_s)
            reply = run(script, *arguments)
            if script.name in {"cancel_waiting", "flush_queue"} and reply not in (0, [b"", 0]):
                self.count += 1
            return reply

        patch.setattr(link, "run", run_slowly)
        patch.setattr(clock, "monotonic", lambda: monotonic() + seconds * self.count)


@pytest.fixture
def held_back(services: Services) -> EventService:
    """A process that hosts `room`, which is paused, and `own`, which it does not run; both have many deliveries."""
    return _held_back(services)


def _held_back(services: Services, **settings: Any) -> EventService:
    events = services.make(**settings)
    services.work(services.make(name=events.settings.name, **settings), queues={LOG_QUEUE})
    events.on("a.b", name="room")(_handle)
    events.subscribe("a.b", _handle, name="own")
    events.subscriptions.pause("room")
    given = events.publish_many([("a.b", {})] * _MANY)
    link, keys, queue = events.broker.link, events.broker.keys, events.subscriptions.get("own").subscription.queue
    eventually(lambda: link.call("XLEN", keys.room("room", 5)) == len(given))
    eventually(lambda: link.call("XLEN", keys.lane(queue, 5)) == len(given))
    return events


@pytest.mark.parametrize("name", ["room", "own"])
def test_a_round_goes_on_with_it_for_a_second_and_the_next_one_comes_soon(
    held_back: EventService, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tending, subscriptions = held_back.bus.tending, held_back.bus.subscriptions
    tending.make_round()
    slow = Slow(held_back, monkeypatch, seconds=1)
    subscriptions.remove(name)
    for _ in range(_MANY):
        held_back.broker.presence._goes_on = False
        before = slow.count
        tending.make_round()
        assert slow.count - before <= 1
        if not subscriptions.ended():
            break
        assert held_back.broker.presence._goes_on, "the next round comes soon"
    assert subscriptions.ended() == {}
    assert slow.count >= _MANY // 500
    held_back.unsubscribe("a.b", "own" if name == "room" else "room")
    assert held_back.get_metrics().pending_events == 0


def test_one_process_goes_on_with_it_and_the_others_leave_it_to_that(
    services: Services, held_back: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = services.make(name=held_back.settings.name)
    twin.bus.prepare()
    mine, others = Slow(held_back, monkeypatch, seconds=1), Slow(twin, monkeypatch, seconds=1)
    held_back.bus.subscriptions.remove("room")
    held_back.bus.tending.make_round()
    twin.bus.tending.make_round()
    assert (mine.count, others.count) == (1, 0)

    held_back.bus.tending.make_round()
    assert (mine.count, others.count) == (2, 0)


def test_others_leave_it_to_that_from_the_first_step_on(
    services: Services, held_back: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only when its first second is over."""
    twin = services.make(name=held_back.settings.name)
    twin.bus.prepare()
    others = Slow(twin, monkeypatch, seconds=1)
    run, began = held_back.broker.link.run, list[str]()
    now = held_back.broker.clock.monotonic()
    monkeypatch.setattr(held_back.broker.clock, "monotonic", lambda: now)

    def run_while_others_look(script: Any, *arguments: Any) -> Any:
        if script.name == "cancel_waiting":
            began.append(script.name)
            if len(began) == 2:
                twin.bus.tending.make_round()
        return run(script, *arguments)

    monkeypatch.setattr(held_back.broker.link, "run", run_while_others_look)
    held_back.bus.subscriptions.remove("room")
    held_back.bus.tending.make_round()
    assert others.count == 0
    assert len(began) > 2
    assert held_back.bus.subscriptions.ended() == {}
    assert twin.broker.link.call("GET", twin.broker.keys.settling) is None


def test_others_go_on_as_soon_as_the_lease_of_that_one_was_ended(
    services: Services, held_back: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = services.make(name=held_back.settings.name)
    twin.bus.prepare()
    mine, others = Slow(held_back, monkeypatch, seconds=1), Slow(twin, monkeypatch, seconds=1)
    held_back.bus.subscriptions.remove("room")
    held_back.bus.tending.make_round()
    twin.broker.link.call("ZADD", twin.broker.keys.processes, 0, held_back.broker.presence.name)
    twin.bus.tending.make_round()
    assert (mine.count, others.count) == (1, 1)


def test_it_is_left_to_a_process_no_longer_than_a_usual_lease(
    held_back: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_back.broker.work.lease = Lease(lease_ms=3_600_000)
    Slow(held_back, monkeypatch, seconds=1)
    held_back.bus.subscriptions.remove("room")
    held_back.bus.tending.make_round()
    assert 0 < int(held_back.broker.link.call("PTTL", held_back.broker.keys.settling)) <= Lease().lease_ms


@pytest.mark.redis62
def test_at_the_memory_limit_the_rest_of_a_round_is_done_still(
    fresh_redis: Callable[[], Any], services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would free memory comes behind it."""
    server = fresh_redis()
    events, done = _held_back(services, redis_url=server.url), list[str]()
    events.bus.tending.make_round()
    slow = Slow(events, monkeypatch, seconds=1)
    events.bus.subscriptions.remove("room")
    monkeypatch.setattr(events.bus.tending, "duties", [lambda: bool(done.append("done"))])
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", 1)
        events.bus.tending.make_round()
        client.config_set("maxmemory", 0)
    assert (slow.count, done) == (1, ["done"])


def test_one_that_takes_long_keeps_nothing_waiting_that_ended_beside_it(
    held_back: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_back.on("z.z", name="small")(_handle)
    held_back.bus.tending.make_round()
    Slow(held_back, monkeypatch, seconds=1)
    for name in ("room", "small"):
        held_back.bus.subscriptions.remove(name)
    held_back.bus.tending.make_round()
    held_back.bus.tending.make_round()
    assert set(held_back.bus.subscriptions.ended()) == {"room"}


def test_whoever_declares_the_name_anew_keeps_its_lease_meanwhile(
    held_back: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that beats waits for it as long, since it declares what is not declared too."""
    slow = Slow(held_back, monkeypatch, seconds=6)
    held_back.bus.subscriptions.remove("room")
    held_back.bus.declarations.declare_again(
        [actor for actor in held_back.bus.declarations.hosted() if actor.actor_name == "room"]
    )
    held_back.bus.prepare()
    assert slow.count >= _MANY // 500
    assert min(slow.leases) > 0
    assert held_back.bus.subscriptions.ended() == {}


def test_a_process_that_ends_goes_on_with_it_for_seconds_and_leaves_the_rest(
    services: Services, held_back: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = services.make(name=held_back.settings.name)
    slow = Slow(held_back, monkeypatch, seconds=3)
    held_back.bus.subscriptions.remove("room")
    held_back.stop()  # `own` ends with it
    assert slow.count == 1
    link, keys = twin.broker.link, twin.broker.keys
    assert link.call("XLEN", keys.lane(own_queue_of("own"), 5)) == _MANY - 500, "it has just left that"
    assert link.call("XLEN", keys.room("room", 5)) == _MANY

    def is_settled() -> bool:
        twin.bus.tending.make_round()
        return twin.bus.subscriptions.ended() == {}

    eventually(is_settled)
    assert twin.get_metrics().pending_events == 0
