"""What this process holds: fetched, running, or waiting for its commit."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from .messages import Place, Received

#: A message while it is held: the lane, the entry, and the name under which it was fetched.
_Key = tuple[str, str, str]

#: Seconds that a reader waits for another one's claim, which takes a round trip.
CLAIM_S = 0.25

#: Seconds within which a reader surely notes what a reply brought it.
_NOTED_S = 60.0


class InFlight:
    """The messages this process holds, over all its consumers.

    It outlives a consumer, because Dramatiq closes and opens those at every connection error while the messages they
    fetched are still being handled.
    """

    def __init__(self) -> None:
        self._places: dict[_Key, Received | None] = {}
        self._held: Counter[str] = Counter()
        self._handled: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._suspect: Place | None = None
        self._is_claiming = False
        self._wanted: dict[str, int] = {}
        self._watches: list[set[_Key]] = []
        self._returning: set[_Key] = set()
        self._given_again: set[_Key] = set()
        self._found: set[_Key] = set()
        self._found_until = 0.0
        self._running = 0

    @property
    def is_busy(self) -> bool:
        """Whether any message is held that is not over yet."""
        return self._running > 0

    @property
    def holds_one(self) -> bool:
        """Whether one message is held that is not over yet, and no more."""
        return self._running == 1

    @contextmanager
    def watch(self) -> Iterator[set[_Key]]:
        """Gather what is forgotten or handed back meanwhile: Redis may have called it pending, and it is so no more."""
        with self._lock:
            over = set(self._returning)
            self._watches.append(over)
        try:
            yield over
        finally:
            with self._lock:
                # By identity: another queue's watch that has gathered the same is equal.
                self._watches = [one for one in self._watches if one is not over]
                self._changed.notify_all()

    def wait_for_watches(self, timeout_s: float) -> None:
        """Wait until everybody who watches now has noted what Redis gave them, or has seen that it was lost."""
        with self._changed:
            begun = list(self._watches)
            self._changed.wait_for(
                lambda: not any(one is over for one in self._watches for over in begun), max(0.0, timeout_s)
            )

    def add(self, places: list[Place], *, over: Collection[_Key] = (), are_found: bool = False) -> list[bool]:
        """Note fetched messages, and say of each whether it is new: what is held already must not run twice.

        What was held under an earlier name, before a lease ended, is new: that attempt cannot commit any more. So is
        what was being handed back: Redis has given it out again.

        Args:
            places: Where they stand.
            over: Messages that are not new, though they are not held: what `watch` gathered.
            are_found: Whether a new reader found them in the list of what this process holds. Where another one reads
                the queue too, they may be on their way to that: it comes with them when they are over, perhaps.
        """
        are_new = []
        with self._lock:
            if self._found and time.monotonic() > self._found_until:
                self._found.clear()
            for place in places:
                key = (place.stream, place.entry, place.holder)
                is_over = key in over or (key in self._found and not are_found)
                are_new.append(not is_over and (key not in self._places or key in self._returning))
                if place.is_suspect:
                    self._is_claiming = False
                    self._changed.notify_all()
                if are_new[-1]:
                    if key in self._returning:
                        self._returning.discard(key)
                        self._given_again.add(key)
                    self._places[key] = None
                    self._held[place.queue] += 1
                    self._running += 1
                    if place.is_suspect:
                        self._suspect = place
                    if are_found:
                        self._found.add(key)
                        self._found_until = time.monotonic() + _NOTED_S
        return are_new

    def begin_return(self, places: Iterable[Place]) -> None:
        """Note that messages are about to be handed back: until they are dropped here, they may be given out again.

        Another reader of this process may claim one as soon as Redis has it, and then it is held anew.
        """
        with self._lock:
            keys = [(place.stream, place.entry, place.holder) for place in places]
            keys = [key for key in keys if key in self._places]
            self._found.difference_update(keys)
            self._returning.update(keys)
            for over in self._watches:
                over.update(keys)

    def begin_claim(self) -> bool:
        """Say whether a suspect may be claimed now: none is handled, and no other reader is about to claim one.

        Another that is about to is waited for: it has soon found none, and who has not asked believes that there may
        be one. What is claimed is to be told to `add`; if there was none, `end_claim` must follow.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._is_claiming, CLAIM_S)
            if self._suspect is not None or self._is_claiming:
                return False
            self._is_claiming = True
            return True

    def end_claim(self) -> None:
        """Note that none was claimed."""
        with self._lock:
            self._is_claiming = False
            self._changed.notify_all()

    def give(self, message: Received) -> None:
        """Note what message a place turned out to hold."""
        self._places[message.place.stream, message.place.entry, message.place.holder] = message

    def besides(self, some: Sequence[Received]) -> list[Received]:
        """Return the messages that are held, begun or not, but for some."""
        left_out = {id(message) for message in some}
        with self._lock:
            return [one for one in self._places.values() if one is not None and id(one) not in left_out]

    def all_handled(self, queue: str, many: int) -> None:
        """Note that so many messages of a queue have been worked on."""
        with self._lock:
            self._held[queue] -= many
            self._handled[queue] += many
            self._running -= many
            self._tell_of_room(queue)

    def handled(self, place: Place) -> None:
        """Note that a message has been worked on, which makes room for another one."""
        with self._lock:
            self._held[place.queue] -= 1
            self._handled[place.queue] += 1
            self._running -= 1
            if self._wanted and self._held[place.queue] < self._wanted.get(place.queue, 0):
                self._changed.notify_all()

    def set_aside(self, queue: str, many: int) -> None:
        """Count so many messages of a queue no longer: they wait for others, and nobody waits for them."""
        with self._lock:
            self._held[queue] -= many
            self._running -= many
            self._tell_of_room(queue)

    def take_up(self, queue: str, many: int) -> None:
        """Count them again."""
        with self._lock:
            self._held[queue] += many
            self._running += many

    def begin_batch(self, queue: str, many: int) -> None:
        """Count so many messages as one from now on: they run in one call, which takes one thread."""
        with self._lock:
            self._held[queue] -= many - 1
            self._tell_of_room(queue)

    def take_apart(self, queue: str, many: int) -> None:
        """Count the messages of a batch one by one again: each of them is to be dropped."""
        with self._lock:
            self._held[queue] += many - 1

    def end_batch(self, queue: str, many: int) -> None:
        """Note that those have been worked on."""
        with self._lock:
            self._held[queue] -= 1
            self._handled[queue] += many
            self._running -= many
            self._tell_of_room(queue)

    def _tell_of_room(self, queue: str) -> None:
        if self._wanted and self._held[queue] < self._wanted.get(queue, 0):
            self._changed.notify_all()

    def forget(self, places: list[Place]) -> None:
        """Drop messages whose commit has returned."""
        with self._lock:
            keys = [(place.stream, place.entry, place.holder) for place in places]
            for key in keys:
                self._drop(key)
            for over in self._watches:
                over.update(keys)
            if self._suspect is not None and any(self._suspect is place for place in places):
                self._suspect = None
                self._changed.notify_all()

    def hold_no_more(self, places: list[Place]) -> None:
        """Drop messages that were handed back unstarted."""
        with self._lock:
            for place in places:
                key = (place.stream, place.entry, place.holder)
                if key in self._places:
                    self._drop(key)
                    self._held[place.queue] -= 1
                    self._running -= 1
                if self._suspect is place:
                    self._suspect = None
            self._changed.notify_all()

    def _drop(self, key: _Key) -> None:
        """Forget a message, unless it was given out again since it was handed back."""
        self._returning.discard(key)
        if key in self._given_again:
            self._given_again.discard(key)
        else:
            self._places.pop(key, None)

    def forget_queue(self, queue: str) -> None:
        """Keep no count of a queue of which nothing is held: what was worked on counts with the rest."""
        with self._lock:
            if self._held[queue] == 0:  # a reader that ends may have fetched something since that was asked
                self._held.pop(queue, None)
            self._handled[""] += self._handled.pop(queue, 0)

    def held(self, queue: str) -> int:
        """Return how many messages of a queue are fetched or running."""
        return self._held[queue]

    def handled_count(self, queue: str) -> int:
        """Return how many messages of a queue have been worked on since the process began."""
        return self._handled[queue]

    def handled_in_all(self) -> int:
        """Return how many messages have been worked on since the process began, of every queue."""
        return sum(self._handled.values())

    def knows(self, stream: str, entry: str, holder: str) -> bool:
        """Say whether a message is held, or waits for its commit."""
        return (stream, entry, holder) in self._places

    def wait_for_suspect(self, timeout_s: float) -> bool:
        """Wait until no suspect is being handled or claimed, and say whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._suspect is None and not self._is_claiming, timeout_s)

    def wait_for_room(self, queue: str, limit: int, timeout_s: float) -> bool:
        """Wait until fewer than `limit` messages of a queue are held, and say whether that is so."""
        with self._changed:
            self._wanted[queue] = limit
            try:
                return self._changed.wait_for(lambda: self._held[queue] < limit, timeout_s)
            finally:
                self._wanted.pop(queue, None)

    def __len__(self) -> int:
        return len(self._places)
