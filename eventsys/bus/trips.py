"""Sharing round trips between threads that publish at the same time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from eventsys.store.steps import Step

#: Most steps of one round trip: the script that carries them out blocks Redis for about 10 µs each.
MOST_AT_ONCE = 500

Results = list[Any]

#: What a thread waits for that is to go on; it is taken, and released to let the thread go on.
Turn = threading.Lock


class _Request:
    """Steps that want to travel: those of a thread, which waits for its turn, or, with a future, of nobody's.

    A time limit or Ctrl-C may strike between any two steps of a thread, and where that is within the code of an event
    or a future it leaves their locks taken. So what threads wait for here is a lock itself, and what came of it two
    attributes; futures are the courier's alone, which nothing interrupts.
    """

    __slots__ = ("_turn", "error", "future", "is_over", "results", "steps")

    def __init__(self, steps: list[Step], turn: Turn, future: Future[Results] | None = None) -> None:
        self.steps = steps
        self.future = future
        self.results: Results = []
        self.error: Exception | None = None
        self.is_over = False
        self._turn = turn

    def end(self, results: Results, error: Exception | None) -> None:
        """Note what came of it, for a thread, or tell it to who has the future."""
        self.results, self.error = results, error
        self.is_over = True
        if self.future is None:
            self.go_on()
        elif error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(results)

    def wait(self) -> None:
        """Wait until this thread is to go on."""
        self._turn.acquire()

    def go_on(self) -> None:
        """Let the thread go on that waits: its trip is over, or it leads the next; the courier, where none waits."""
        with suppress(RuntimeError):  # it goes on already
            self._turn.release()

    def is_wanted(self) -> bool:
        """Say whether somebody still waits for it; from then on it can no longer be cancelled."""
        return self.future is None or self.future.running() or self.future.set_running_or_notify_cancel()


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
        self._courier: threading.Thread | None = None
        self._couriers_turn = _new_turn()

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
        request = _Request(steps, _new_turn())
        aboard: list[_Request] = []
        try:
            if self._enter(request):
                self._travel(aboard)
            while not request.is_over:  # who leads may have been taken along by another that was interrupted
                request.wait()
                if not request.is_over:
                    self._travel(aboard)
        except BaseException:
            self._abandon(request, aboard)
            raise
        if request.error is not None:
            raise request.error
        return request.results

    def carry_out_later(self, steps: list[Step]) -> Future[Results]:
        """Have steps carried out by a thread kept for that, and return what will come of them.

        Raises:
            RuntimeError: If the system has no thread for that.
        """
        self._have_courier()
        future: Future[Results] = Future()
        request = _Request(steps, self._couriers_turn, future)
        try:
            if self._enter(request):
                request.go_on()
        except BaseException:
            self._abandon(request, ())
            raise
        return future

    def _enter(self, request: _Request) -> bool:
        """Line up, and say whether this request leads the next trip."""
        with self._lock:
            self._waiting.append(request)
            if self._leader is not None:
                return False
            self._leader = request
            return True

    def _travel(self, aboard: list[_Request], *, by_courier: bool = False) -> None:
        """Take along what waits, as far as one trip can carry it.

        Args:
            aboard: Where who is taken along is noted until all are told; empty.
            by_courier: Whether the courier travels, who takes along what no thread waits for too.
        """
        self._board(aboard, by_courier=by_courier)
        wanted = [request for request in aboard if request.is_wanted()]
        results: Results = []
        failure: Exception | None = None
        try:
            results = self._send([step for request in wanted for step in request.steps]) if wanted else []
        except Exception as error:
            failure = error
        start = 0
        for request in wanted:
            end = start + len(request.steps)
            request.end(results[start:end], failure)
            start = end
        aboard.clear()
        self._pass_on()

    def _board(self, aboard: list[_Request], *, by_courier: bool) -> None:
        with self._lock:
            count = 0
            while self._waiting and (by_courier or self._waiting[0].future is None):
                count += len(self._waiting[0].steps)
                if aboard and count > MOST_AT_ONCE:
                    return
                aboard.append(self._waiting[0])
                self._waiting.popleft()

    def _abandon(self, request: _Request, aboard: Sequence[_Request]) -> None:
        """Leave the line: the thread that asked was interrupted, and must not keep others waiting.

        Those it took along and for whom nothing has come of it yet wait for another trip.
        """
        with self._lock:
            untold = [one for one in aboard if not one.is_over and one not in self._waiting]
            self._waiting.extendleft(reversed(untold))
            if request in self._waiting:
                self._waiting.remove(request)
            leads = self._leader is request or self._leader is None
        for one in aboard:
            if one.is_over:
                one.go_on()
        if leads:
            self._pass_on()

    def _pass_on(self) -> None:
        """Let the next trip begin, if anybody waits for one."""
        with self._lock:
            following = self._waiting[0] if self._waiting else None
            if following is not None:
                following.go_on()  # before it leads: who is interrupted between the two passes on once more
            self._leader = following

    def _have_courier(self) -> None:
        with self._lock:
            if self._courier is None:
                courier = threading.Thread(target=self._carry, name="eventsys-courier", daemon=True)
                courier.start()
                self._courier = courier  # last: what is here runs

    def _carry(self) -> None:
        while True:
            self._couriers_turn.acquire()
            self._travel([], by_courier=True)


def _new_turn() -> Turn:
    turn = threading.Lock()
    turn.acquire()
    return turn
