"""What is due goes at its time, never before, whoever leads."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from eventsys.broker.lease import Lease
from eventsys.clock import Clock
from eventsys.scheduling.poller import Poller
from eventsys.store.channel import Channel
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.scripts import script
from eventsys.store.steps import delayed_step, message_step, packed
from tests.support.waiting import eventually


@pytest.fixture
def make_poller(redis_client, redis_url):
    """Start pollers of their own connections; they are stopped after the test."""
    started = []

    def make(name: str, **options) -> Poller:
        poller = Poller(Link(redis_url), Keys("default"), Clock(), process=name, **options)
        poller.start()
        started.append(poller)
        return poller

    yield make
    for poller in started:
        poller.stop()


def _schedule(link: Link, entry_id: str, due_ms: int, *, lane: int = 5) -> None:
    step = delayed_step(entry_id, due_ms, lane, message_step("default", lane, {"m": entry_id}), queue="default")
    link.run(script("add"), Keys("default").prefix, Clock().now_ms(), packed(step))


def _gone(link: Link) -> int:
    return link.call("XLEN", Keys("default").lane("default", 5))


def test_a_step_lets_go_what_is_due_at_its_moment_and_tells_what_comes_next(redis_client, redis_url) -> None:
    link = Link(redis_url)
    poller = Poller(link, Keys("default"), Clock(), process="one", batch_size=2)
    for number, due_ms in enumerate([1_000, 1_000, 1_000, 2_000]):
        _schedule(link, f"entry-{number}", due_ms)
    assert poller.let_go(999) == (0, 1_000)
    assert poller.let_go(1_000) == (3, 2_000)
    assert poller.let_go(2_000) == (1, None)
    assert _gone(link) == 4


@pytest.mark.redis62
def test_an_earlier_entry_wakes_a_sleeping_poller(make_poller, redis_url) -> None:
    link, clock = Link(redis_url), Clock()
    _schedule(link, "far", clock.now_ms() + 60_000)
    # It looks by itself when a renewal or the end of its subscription is due: in hours.
    poller = make_poller("one", poll_interval_s=7_200.0, lease=Lease(lead_ms=7_200_000, renew_s=3_600.0))
    eventually(lambda: poller.is_leading)
    due_ms = clock.now_ms() + 150
    _schedule(link, "near", due_ms)
    eventually(lambda: _gone(link) == 1)
    assert clock.now_ms() >= due_ms


def test_a_wait_for_a_wake_up_is_not_rounded_up_to_the_next_millisecond() -> None:
    """The system does that with waits for a socket: what is due would be half a millisecond late in the middle."""
    waited_ms: list[int] = []

    def can_read(timeout: float) -> bool:
        waited_ms.append(math.ceil(timeout * 1_000))  # as poll(2) has it
        return False

    channel = Channel(lambda: None)
    channel._connection = SimpleNamespace(can_read=can_read)
    waits_us = [0, 1, 999, 1_000, 1_001, 3_500, 35_000, 35_999, 2_000_001]
    assert [channel.receive(wait_us / 1_000_000) for wait_us in waits_us] == [None] * len(waits_us)
    assert waited_ms == [wait_us // 1_000 for wait_us in waits_us]


def test_the_last_part_of_a_millisecond_is_slept_and_not_asked_away(make_poller, redis_url, monkeypatch) -> None:
    link, clock, looks = Link(redis_url), Clock(), []
    receive = Channel.receive
    monkeypatch.setattr(Channel, "receive", lambda self, wait_s: looks.append(wait_s) or receive(self, wait_s))
    poller = make_poller("one", poll_interval_s=7_200.0, lease=Lease(lead_ms=7_200_000, renew_s=3_600.0))
    eventually(lambda: poller.is_leading)
    for number in range(20):
        _schedule(link, f"entry-{number}", clock.now_ms() + 100 + 10 * number)
    eventually(lambda: _gone(link) == 20)
    assert len(looks) <= 20 * 5  # fewer than one for each where a poller that woke up late let several go


def test_more_than_one_batch_goes_at_once(make_poller, redis_url) -> None:
    link = Link(redis_url)
    for number in range(120):
        _schedule(link, f"entry-{number}", 1)
    make_poller("one", batch_size=50)
    eventually(lambda: _gone(link) == 120)


def test_one_of_two_leads_and_the_other_follows_when_it_stops(make_poller) -> None:
    first = make_poller("one")
    eventually(lambda: first.is_leading)
    second = make_poller("two")
    assert not second.is_leading
    first.stop()
    eventually(lambda: second.is_leading)


def test_another_leads_when_the_lead_of_one_that_is_gone_without_a_word_has_ended(make_poller, redis_url) -> None:
    """After 3 s on a machine that has time, and on any long before everything is looked at anew."""
    link = Link(redis_url)
    keys = Keys("default")
    link.run(script("lead"), keys.prefix, Clock().real_ms(), Lease().lead_ms, "gone")
    poller = make_poller("one")
    eventually(lambda: poller.is_leading, timeout_s=20)


def test_an_entry_whose_wake_up_was_lost_goes_with_the_next_renewal_of_the_lead(make_poller, redis_client, redis_url):
    link = Link(redis_url)
    _schedule(link, "near", Clock().now_ms() + 3_000_000)
    poller = make_poller("one")
    eventually(lambda: poller.is_leading)
    [member] = redis_client.zrange(Keys("default").delayed_due, 0, 0)
    redis_client.zadd(Keys("default").delayed_due, {member: 1})
    eventually(lambda: _gone(link) == 1)


def test_a_poller_without_a_heartbeat_reads_the_time_itself(redis_client, redis_url) -> None:
    clock = Clock()
    minute_ago = clock.monotonic() - 60
    clock.set_from(1_000_000, asked_at=minute_ago, answered_at=minute_ago)
    poller = Poller(Link(redis_url), Keys("default"), clock, process="alone")
    poller.start()
    eventually(lambda: poller.is_leading)
    poller.stop()
    assert abs(clock.now_ms() - Clock().now_ms()) < 60_000


def test_a_poller_survives_the_loss_of_its_connections(make_poller, redis_url) -> None:
    link = Link(redis_url)
    poller = make_poller("one")
    eventually(lambda: poller.is_leading)
    link.call("CLIENT", "KILL", "TYPE", "pubsub")
    link.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    _schedule(link, "near", Clock().now_ms() + 50)
    eventually(lambda: _gone(link) == 1)
