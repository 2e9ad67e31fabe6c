"""A thread stays awake for a reply only where that pays."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import pairwise

import pytest

from eventsys.store import wakeful
from eventsys.store.wakeful import Wakeful

#: What a look takes, in seconds, where nothing stands in its way.
LOOK_S = 0.000_01


class Time:
    """A clock that goes on by each look at it; it counts them."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.step_s = LOOK_S
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        self.seconds += self.step_s
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def waiting(time: Time, monkeypatch: pytest.MonkeyPatch) -> Wakeful:
    monkeypatch.setattr(wakeful, "usable_processors", lambda: 2)
    return Wakeful(time)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def looks_of_a_call(waiting: Wakeful, time: Time, sock: socket.socket | None) -> int:
    """Return how often a call looks for its reply that is not there; the first look at the clock is when it begins."""
    before = time.looks
    waiting.await_reply(sock)
    return time.looks - before - 1


def test_a_call_by_itself_sleeps(waiting: Wakeful, time: Time, ends: tuple[socket.socket, socket.socket]) -> None:
    assert looks_of_a_call(waiting, time, ends[0]) == 0
    time.seconds += 0.002
    assert looks_of_a_call(waiting, time, ends[0]) == 0


def test_a_call_right_after_another_stays_awake_until_its_reply_is_there(
    waiting: Wakeful, time: Time, ends: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = ends
    waiting.await_reply(ours)
    theirs.send(b"+OK\r\n")
    assert looks_of_a_call(waiting, time, ours) == 0
    ours.recv(100)
    assert looks_of_a_call(waiting, time, ours) > 0  # and it would look again


def test_it_gives_up_soon_and_tries_again_less_and_less_often(
    waiting: Wakeful, time: Time, ends: tuple[socket.socket, socket.socket]
) -> None:
    waiting.await_reply(ends[0])
    looks = [looks_of_a_call(waiting, time, ends[0]) for _ in range(2_000)]
    tries = [at for at, many in enumerate(looks) if many]
    assert max(looks) * LOOK_S == pytest.approx(0.0002, abs=2 * LOOK_S)
    between = [later - at - 1 for at, later in pairwise(tries)]
    assert between[:8] == [1, 3, 7, 15, 31, 63, 127, 128]
    assert set(between[8:]) == {128}


def test_one_reply_that_comes_quickly_makes_it_trust_in_the_next(
    waiting: Wakeful, time: Time, ends: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = ends
    waiting.await_reply(ours)
    for _ in range(20):
        waiting.await_reply(ours)
    theirs.send(b"+OK\r\n")
    for _ in range(128):
        waiting.await_reply(ours)
    ours.recv(100)
    looks = [looks_of_a_call(waiting, time, ours) for _ in range(3)]
    assert looks[0] > 0
    assert looks[1] == 0
    assert looks[2] > 0


def test_where_others_want_the_interpreter_it_sleeps(
    waiting: Wakeful, time: Time, ends: tuple[socket.socket, socket.socket]
) -> None:
    waiting.await_reply(ends[0])
    time.step_s = 0.000_05
    assert looks_of_a_call(waiting, time, ends[0]) == 1


def test_a_connection_that_another_thread_closed_is_left_to_who_reads(
    waiting: Wakeful, time: Time, ends: tuple[socket.socket, socket.socket]
) -> None:
    waiting.await_reply(ends[0])
    ends[0].close()
    assert looks_of_a_call(waiting, time, ends[0]) == 0
    assert looks_of_a_call(waiting, time, None) == 0


def test_where_there_is_one_processor_redis_has_it(
    time: Time, ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeful, "usable_processors", lambda: 1)
    waiting = Wakeful(time)
    waiting.await_reply(ends[0])
    assert looks_of_a_call(waiting, time, ends[0]) == 0
