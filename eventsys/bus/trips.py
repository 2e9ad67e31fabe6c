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
    __slots__ = ("future", "is_next", "steps")

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.future: Future[Results] = Future()
        self.is_next: threading.Event | None = None


class SharedTrips:
    """Carries out steps, those of all threads that ask at the same time in one round trip.

    Whoever comes first sends at once. Who comes while a trip is under way waits for it to end; then one of them takes
    what has gathered along. A lone thread pays nothing for this but a lock.

    Args:
        send: Carries out steps and returns what came of each.
    """

    def __init__(self, send: Callable[[list[Step]], Results]) -> None:
        self._send = send
        self._waiting: deque[_Request] = deque()
        self._under_way = False
        self._lock = threading.Lock()

    def carry_out(self, steps: list[Step]) -> Results:
        """Carry out steps and return what came of each; the steps of one call stay together."""
        with self._lock:
            if not self._under_way:
                self._under_way = True
                request = None
            else:
                request = _Request(steps)
                request.is_next = threading.Event()
                self._waiting.append(request)
        if request is None:
            try:
                return self._send(steps)
            finally:
                self._pass_on()
        assert request.is_next is not None
        request.is_next.wait()
        if not request.future.done():
            self._travel()
        return request.future.result()

    def carry_out_later(self, steps: list[Step]) -> Future[Results]:
        """Have steps carried out by another thread, and return what will come of them."""
        request = _Request(steps)
        with self._lock:
            self._waiting.append(request)
            starts = not self._under_way
            self._under_way = True
        if starts:
            threading.Thread(target=self._travel, name="eventsys-publisher", daemon=True).start()
        return request.future

    def _travel(self) -> None:
        """Take along everything that waits, as far as one trip can carry it."""
        with self._lock:
            batch = [self._waiting.popleft()]
            count = len(batch[0].steps)
            while self._waiting and count + len(self._waiting[0].steps) <= MOST_AT_ONCE:
                batch.append(self._waiting.popleft())
                count += len(batch[-1].steps)
        try:
            results = self._send([step for request in batch for step in request.steps])
        except BaseException as error:
            for request in batch:
                request.future.set_exception(error)
        else:
            start = 0
            for request in batch:
                request.future.set_result(results[start : start + len(request.steps)])
                start += len(request.steps)
        finally:
            for request in batch:
                if request.is_next is not None:
                    request.is_next.set()
            self._pass_on()

    def _pass_on(self) -> None:
        """Let the next trip begin, if anybody waits for one."""
        with self._lock:
            if not self._waiting:
                self._under_way = False
                return
            following = self._waiting[0]
        if following.is_next is not None:
            following.is_next.set()
        else:
            threading.Thread(target=self._travel, name="eventsys-publisher", daemon=True).start()
