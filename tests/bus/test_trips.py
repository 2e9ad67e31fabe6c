"""Whoever is interrupted while threads share round trips, wherever that is: the others get what came of their steps."""

from __future__ import annotations

import dis
import sys
import threading
from types import FrameType
from typing import Any

import pytest

from eventsys.bus import trips as module
from eventsys.bus.trips import SharedTrips
from tests.support.waiting import eventually


class _Struck(BaseException):
    """As a time limit, or Ctrl-C."""


class _Strike:
    """Interrupts the thread that traces with it at the so-many-th place of the module where that can be; None: never.

    The interpreter looks for it as a function begins, after each call and as a loop turns, and nowhere else.
    """

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.places = 0
        self.was_struck = False
        self._after_call: set[FrameType] = set()

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename != module.__file__:
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        if event == "opcode":
            self._look(frame, dis.opname[frame.f_code.co_code[frame.f_lasti]])
        return self

    def _look(self, frame: FrameType, operation: str) -> None:
        if frame in self._after_call or operation in {"RESUME", "JUMP_BACKWARD"}:
            self.places += 1
        is_struck = self.places == self.at
        self._after_call.discard(frame)
        if operation in {"CALL", "CALL_FUNCTION_EX", "CALL_KW"}:
            self._after_call.add(frame)
        if is_struck:
            self.at = None
            self.was_struck = True
            raise _Struck


class _Scene:
    """One thread is under way; another, which is struck, and two more wait behind it, one of them with a future."""

    def __init__(self, strike: _Strike) -> None:
        self._strike = strike
        self._under_way, self._goes_on = threading.Event(), threading.Event()
        self.trips = SharedTrips(self._send)
        self.came: dict[str, Any] = {}

    def play(self) -> None:
        threads = [self._begin("first")]
        assert self._under_way.wait(60)
        for at, name in enumerate(("struck", "behind"), start=1):
            threads.append(self._begin(name))
            eventually(lambda at=at: len(self.trips._waiting) >= at or self._strike.was_struck)
        later = self.trips.carry_out_later(["later"])
        self._goes_on.set()
        for thread in threads:
            thread.join(30)
        self.came["later"] = later.result(30)

    def _begin(self, name: str) -> threading.Thread:
        def ask() -> None:
            if name == "struck":
                sys.settrace(self._strike)
            try:
                self.came[name] = self.trips.carry_out([name])
            except _Struck:
                pass
            finally:
                sys.settrace(None)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        return thread

    def _send(self, steps: list[Any]) -> list[Any]:
        if not self._under_way.is_set():
            self._under_way.set()
            assert self._goes_on.wait(60)
        return [f"{step} came" for step in steps]


def test_nobody_waits_for_ever_for_one_that_was_interrupted_wherever_that_was() -> None:
    unharmed = _Strike(None)
    _Scene(unharmed).play()
    assert unharmed.places > 20
    for at in range(1, unharmed.places + 1):
        strike = _Strike(at)
        scene = _Scene(strike)
        scene.play()
        assert strike.was_struck
        came = {name: results for name, results in scene.came.items() if name != "struck"}
        assert came == {name: [f"{name} came"] for name in ("first", "behind", "later")}, f"struck at place {at}"
        assert scene.trips.carry_out(["after"]) == ["after came"], f"struck at place {at}"


def test_where_no_thread_can_be_had_for_the_courier_only_what_needs_it_fails(monkeypatch) -> None:
    trips = SharedTrips(lambda steps: steps)
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", _no_more_threads)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        trips.carry_out_later(["one"])
    assert trips.carry_out(["two"]) == ["two"]
    monkeypatch.setattr(threading.Thread, "start", start)
    assert trips.carry_out_later(["three"]).result(30) == ["three"]


def _no_more_threads(_self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
