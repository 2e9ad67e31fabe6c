"""The queue of Dramatiq's own worker, where it runs on this broker."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from queue import Empty, PriorityQueue
from typing import Any, NamedTuple

from .handoff import Hand, Handoff
from .messages import Received

#: Seconds that `get` waits where it is given no time: until it looks again.
_FOREVER_S = 3600.0


class Taken(NamedTuple):
    """A message on its way out, as Dramatiq's threads expect it: in an item."""

    message: Received


class WorkQueue(PriorityQueue[Any]):
    """Hands out messages to the threads of Dramatiq's worker as `Handoff` does to those of ours.

    Dramatiq's queue wakes its threads in turn, one for each message. Where handlers are fast all of them then wait for
    the interpreter at each message, more or less by chance.

    Args:
        threads: How many threads take from here.
    """

    def __init__(self, threads: int) -> None:
        super().__init__()
        self._handoff = Handoff(threads)
        self._own = threading.local()
        self._left: deque[Received] = deque()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002
        """Pass the message of an item on; there is always room."""
        with self.mutex:
            self.unfinished_tasks += 1
        self._handoff.put([item.message])

    def get(self, block: bool = True, timeout: float | None = None) -> Taken:
        """Return the next message for this thread, in an item.

        Without `block`, as whoever empties the queue of a worker that has stopped asks, return one that no thread has
        begun, be it in the hand of one.

        Raises:
            Empty: If there was none for `timeout` seconds, or a thread steps back while another is at work.
        """
        if not block:
            return self._take_back()
        hand = self._hand()
        while True:
            with suppress(IndexError):  # it is empty, or another thread took the last at this very moment
                return Taken(hand.popleft())
            self._handoff.fill(hand, _FOREVER_S if timeout is None else timeout)
            if not hand and timeout is not None:
                raise Empty

    def _hand(self) -> Hand:
        hand: Hand | None = getattr(self._own, "hand", None)
        if hand is None:
            hand = self._own.hand = self._handoff.new_hand()
        return hand

    def _take_back(self) -> Taken:
        if not self._left:
            self._left.extend(self._handoff.take_back())
        if not self._left:
            raise Empty
        return Taken(self._left.popleft())

    def _qsize(self) -> int:
        return self._handoff.waiting() + len(self._left)


def hand_out_by_turns(worker: Any) -> None:
    """Give a worker of Dramatiq's that is about to start its threads a `WorkQueue`; any other worker stays as it is."""
    if type(getattr(worker, "work_queue", None)) is PriorityQueue:
        worker.work_queue = WorkQueue(worker.worker_threads)
