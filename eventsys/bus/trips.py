"""Sharing round trips between threads that publish at the same time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from eventsys.store.steps import Step

#: Most steps of one round trip: the script that carries them out blocks Redis for about 10 µs each.
MOST_AT_ONCE = 500

Results = list[Any]


class _Request:
    """Steps that want to travel, and whoever waits for them: a thread, or nobody in particular."""

    __slots__ = ("future", "steps", "turn")

    def __init__(self, steps: list[Step], turn: threading.Event | None) -> None:
        self.steps = steps
        self.turn = turn
        self.future: Future[Results] = Future()

    def is_wanted(self) -> bool:
        """Say whether somebody still waits for it; from then on it can no longer be cancelled."""
        return self.future.running() or self.future.set_running_or_notify_cancel()


class SharedTrips:
    """Carries out steps, those of all threads that ask at the same time in one round trip.

    Whoever comes first sends at once, and takes along whatever waits. Who comes while a trip is under way waits for it
    to end; then one of them makes the next trip for all. A lone thread pays nothing for this but a lock. A thread that
    is interrupted on its way leaves the others' steps to the next trip, so steps may be sent twice: they must bear it.

    Args:
        send: Carries out steps and returns what came of each.
    """

    def __init__(self, send: Callable[[list[Step]], Results]) -> None:
        self._send = send
        self._waiting: deque[_Request] = deque()
        self._leader: object | None = None
        self._lock = threading.Lock()
        self._courier_wanted = threading.Event()
        self._courier: threading.Thread | None = None

    def carry_out(self, steps: list[Step]) -> Results:
        """Carry out steps and return what came of each; the steps of one call stay together."""
        turn = object()  # an interruption can come anywhere, and must not leave others behind a leader that is gone
        try:
            with self._lock:
                if self._leader is None:
                    self._leader = turn
            if self._leader is turn:
                results = self._send(steps)
                self._pass_on()
                return results
        except BaseException:
            if self._leader is turn:
                self._pass_on()
            raise
        return self._carry_out_with_others(steps)

    def _carry_out_with_others(self, steps: list[Step]) -> Results:
        request = _Request(steps, threading.Event())
        try:
            if not self._enter(request):
                assert request.turn is not None
                request.turn.wait()
            if not request.future.done():
                self._travel()
        except BaseException:
            self._abandon(request)
            raise
        return request.future.result()

    def carry_out_later(self, steps: list[Step]) -> Future[Results]:
        """Have steps carried out by a thread kept for that, and return what will come of them."""
        request = _Request(steps, None)
        if self._enter(request):
            self._call_courier()
        return request.future

    def _enter(self, request: _Request) -> bool:
        """Line up, and say whether this request leads the next trip."""
        with self._lock:
            self._waiting.append(request)
            if self._leader is not None:
                return False
            self._leader = request
            return True

    def _travel(self) -> None:
        """Take along everything that waits, as far as one trip can carry it."""
        batch = [request for request in self._board() if request.is_wanted()]
        try:
            results = self._send([step for request in batch for step in request.steps]) if batch else []
        except Exception as error:
            for request in batch:
                request.future.set_exception(error)
        except BaseException:
            with self._lock:
                self._waiting.extendleft(reversed(batch))
            raise
        else:
            start = 0
            for request in batch:
                request.future.set_result(results[start : start + len(request.steps)])
                start += len(request.steps)
        for request in batch:
            if request.turn is not None:
                request.turn.set()
        self._pass_on()

    def _board(self) -> list[_Request]:
        with self._lock:
            batch = [self._waiting.popleft()]
            count = len(batch[0].steps)
            while self._waiting and count + len(self._waiting[0].steps) <= MOST_AT_ONCE:
                batch.append(self._waiting.popleft())
                count += len(batch[-1].steps)
        return batch

    def _abandon(self, request: _Request) -> None:
        """Leave the line: the thread that asked was interrupted, and must not keep others waiting."""
        with self._lock:
            if request in self._waiting:
                self._waiting.remove(request)
            leads = self._leader is request
        if leads:
            self._pass_on()

    def _pass_on(self) -> None:
        """Let the next trip begin, if anybody waits for one."""
        with self._lock:
            following = self._waiting[0] if self._waiting else None
            if following is not None and following.turn is not None:
                following.turn.set()  # before it leads: who is interrupted between the two passes on once more
            self._leader = following
        if following is not None and following.turn is None:
            self._call_courier()

    def _call_courier(self) -> None:
        with self._lock:
            if self._courier is None:
                self._courier = threading.Thread(target=self._carry, name="eventsys-courier", daemon=True)
                self._courier.start()
        self._courier_wanted.set()

    def _carry(self) -> None:
        while True:
            self._courier_wanted.wait()
            self._courier_wanted.clear()
            self._travel()
