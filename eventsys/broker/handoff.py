"""How fetched messages get from the threads that fetch to the threads that handle."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress

from .messages import Received

#: Most messages passed on at once: at 20 µs a handler this is half a millisecond, less than a turn of a thread.
CHUNK = 32

#: The messages one thread has taken and not begun. Only its thread takes from the left, others only from the right.
Hand = deque[Received]


class Handoff:
    """Messages on their way to the worker threads, in chunks.

    A thread takes a chunk and works through it without asking anybody. A thread with nothing to do takes half of what
    the fullest other one has not begun, so a slow handler holds up nobody while a thread is idle.

    Args:
        threads: How many threads take from here.
    """

    def __init__(self, threads: int) -> None:
        self._threads = max(1, threads)
        self._chunks: list[tuple[int, int, Sequence[Received]]] = []
        self._hands: list[Hand] = []
        self._changed = threading.Condition()
        self._idle = 0
        self._put = 0

    def new_hand(self) -> Hand:
        """Return the hand of one more thread."""
        hand: Hand = deque()
        self._hands.append(hand)
        return hand

    def put(self, messages: Sequence[Received]) -> None:
        """Pass messages on, those of actors with a smaller `priority` before those with a larger one."""
        with self._changed:
            for priority, group in _by_priority(messages):
                size = min(CHUNK, -(-len(group) // self._threads))
                for start in range(0, len(group), size):
                    self._put += 1
                    heapq.heappush(self._chunks, (priority, self._put, group[start : start + size]))
            if self._idle:
                self._changed.notify(min(self._idle, len(self._chunks)))

    def fill(self, hand: Hand, timeout_s: float) -> None:
        """Put messages into an empty hand, waiting for some for at most `timeout_s`."""
        with self._changed:
            if not self._take(hand):
                self._idle += 1
                try:
                    self._changed.wait(timeout_s)
                finally:
                    self._idle -= 1
                self._take(hand)
            if self._idle and (self._chunks or len(hand) > 1):
                self._changed.notify()

    def take_back(self, *, keep: int = 0) -> list[Received]:
        """Return what no thread has begun, except the `keep` messages that come first; it is nobody's then."""
        with self._changed:
            chunks = [chunk for _, _, chunk in sorted(self._chunks, key=lambda one: one[:2])]
            self._chunks.clear()
            unstarted = [message for hand in self._hands for message in _emptied(hand)]
            unstarted += [message for chunk in chunks for message in chunk]
            kept, rest = unstarted[:keep], unstarted[keep:]
        if kept:
            self.put(kept)
        return rest

    def waiting(self) -> int:
        """Return how many messages no thread has begun."""
        with self._changed:
            return sum(len(chunk) for _, _, chunk in self._chunks) + sum(len(hand) for hand in self._hands)

    def wake(self) -> None:
        """Let every waiting thread look around, because the worker stops or pauses."""
        with self._changed:
            self._changed.notify_all()

    def _take(self, hand: Hand) -> bool:
        if self._chunks:
            hand.extend(heapq.heappop(self._chunks)[2])
            return True
        fullest = max(self._hands, key=len, default=hand)
        stolen: list[Received] = []
        # Its own thread goes on taking from it meanwhile: then there is less than was counted.
        with suppress(IndexError):
            stolen.extend(fullest.pop() for _ in range(-(-len(fullest) // 2)))
        hand.extend(reversed(stolen))
        return bool(stolen)


def _emptied(hand: Hand) -> list[Received]:
    messages: list[Received] = []
    with suppress(IndexError):
        while True:
            messages.append(hand.popleft())
    return messages


def _by_priority(messages: Sequence[Received]) -> Iterable[tuple[int, Sequence[Received]]]:
    priorities = {message.actor.priority if message.actor is not None else 0 for message in messages}
    if len(priorities) == 1:
        return [(priorities.pop(), messages)]
    groups: dict[int, list[Received]] = {priority: [] for priority in sorted(priorities)}
    for message in messages:
        groups[message.actor.priority if message.actor is not None else 0].append(message)
    return groups.items()
