"""How fetched messages get from the threads that fetch to the threads that handle."""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress

from .batch import Batch
from .collecting import Collecting
from .excess import split_last
from .in_flight import InFlight
from .messages import Received

#: Most messages passed on at once: at 20 µs a handler this is half a millisecond, less than a turn of a thread.
CHUNK = 32

#: Fewer handlers begun in a second than this, while messages wait, means that handlers block: more threads help then.
#: Above it they compete for the interpreter, and each further thread makes all of them slower.
_BRISK = 1_000

#: Seconds between two looks at whether handlers block.
_LOOK_S = 0.005

#: So many deliveries of a batch count as one more handler begun.
_LIKE_ONE = 50

#: With less than this share of a processor used between two looks, the process waits: its handlers block.
_BUSY = 0.5

#: Looks after which a handler that computes counts as blocking too; the longest a message waits beside an idle thread.
_LONG = 10

#: Looks in turn in which the process waited after which handlers count as blocking, however many begin: each waits a
#: little. Where others keep the processors busy, a process is seen to wait for a look or two that only was not let run.
_WAITING = 4

#: Seconds during which all threads are used after handlers were seen to block; twice as long each time they are seen to
#: again soon after that, and the most.
_BLOCKING_S = 0.25
_BLOCKING_MOST_S = 4.0

#: The messages one thread has taken and not begun. Only its thread takes from the left, others only from the right.
Hand = deque[Received]


class Handoff:
    """Messages on their way to the worker threads, in chunks.

    A thread takes a chunk and works through it without asking anybody. A thread with nothing to do takes half of what
    the fullest other one has not begun, so a slow handler holds up nobody while a thread is idle.

    While handlers are so fast that more threads would only get into each other's way, one thread works and one idle
    thread looks on every 5 ms; as soon as it sees handlers wait for something, or one compute for long, all threads
    work. They go on until handlers are fast again: then a thread that has done its chunk steps back while another is at
    work. Without that they would go on for as long as messages wait, each waiting for the interpreter at each message.

    Deliveries that are handled many at once gather here first. The thread that waits for the next batch to be due is an
    idle one; where none is idle, the next that is looks first.

    One more thread than handle messages may take from here, if one of them leads: that one does something else, until
    it leaves the lead to whoever is idle next.

    Args:
        threads: How many threads handle messages.
        collecting: Where deliveries gather.

    Attributes:
        has_leader: Whether a thread leads, or none is to.
    """

    def __init__(self, threads: int, collecting: Collecting | None = None) -> None:
        self._threads = max(1, threads)
        self._collecting = Collecting(InFlight) if collecting is None else collecting
        self._has_timekeeper = False
        self._chunks: list[tuple[int, int, Sequence[Received]]] = []
        self._hands: list[Hand] = []
        self._changed = threading.Condition()
        self._idle = 0
        self._has_onlooker = False
        self._blocks_until = 0.0
        self._blocking_s = _BLOCKING_S
        self._all_work_since: tuple[float, int, float] | None = None
        self._put = 0
        self._messages = 0
        self.has_leader = True

    def new_hand(self) -> Hand:
        """Return the hand of one more thread."""
        hand: Hand = deque()
        self._hands.append(hand)
        return hand

    def put(self, messages: Sequence[Received]) -> None:
        """Pass messages on, those of actors with a smaller `priority` before those with a larger one."""
        with self._changed:
            blocking = self._is_blocking()
            for priority, group in _by_priority(messages):
                size = min(CHUNK, -(-len(group) // self._threads)) if blocking else CHUNK
                for start in range(0, len(group), size):
                    self._put += 1
                    heapq.heappush(self._chunks, (priority, self._put, group[start : start + size]))
            self._messages += len(messages)
            self._wake_for_what_waits()

    def keep(self, hand: Hand, messages: Sequence[Received]) -> bool:
        """Pass messages on by the thread that leads, if another is idle: it handles the first, and leaves the lead.

        Returns:
            Whether that was done; else nothing was.
        """
        with self._changed:
            if not self._idle or self._waiting():
                return False
            hand.append(messages[0])
            self._messages += 1
            self.leave_lead()
        if len(messages) > 1:
            self.put(messages[1:])
        return True

    def leave_lead(self) -> None:
        """Let another thread lead, or the first."""
        with self._changed:
            self.has_leader = False
            self._changed.notify()

    def take_lead(self) -> bool:
        """Lead from now on, and return True, if no thread does."""
        with self._changed:
            is_free, self.has_leader = not self.has_leader, True
            return is_free

    def collect(self, messages: Sequence[Received]) -> None:
        """Take deliveries that are handled many at once; they are passed on when there are enough, or it is time."""
        with self._changed:
            earliest = self._collecting.next_due
            now = time.monotonic()
            self._pass_on(self._collecting.add(messages, now))
            self._pass_on(self._collecting.take_due(now))
            if self._collecting.next_due < earliest and self._idle:
                # Whoever keeps the time, if anybody does, has planned for later.
                self._changed.notify_all() if self._has_timekeeper else self._changed.notify()
            self._wake_for_what_waits()

    def _pass_on(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._put += 1
            self._messages += 1
            priority = batch.actor.priority if batch.actor is not None else 0
            heapq.heappush(self._chunks, (priority, self._put, [batch]))

    def fill(self, hand: Hand, timeout_s: float) -> bool:
        """Put messages into an empty hand, waiting for some for at most `timeout_s`.

        Returns:
            Whether the thread is to lead instead.
        """
        with self._changed:
            leads = self.take_lead()
            self._pass_on(self._collecting.take_due(time.monotonic()))
            if not leads and (self._is_one_too_many() or not self._take(hand)):
                self._wait(timeout_s)
                leads = self.take_lead()
                self._pass_on(self._collecting.take_due(time.monotonic()))
                if not leads:
                    self._take(hand)
            if (hand or leads) and self._idle and not self._has_timekeeper and len(self._collecting):
                self._changed.notify()  # this thread may have kept the time; another one has to
            self._wake_for_what_waits()
            return leads

    def _wait(self, timeout_s: float) -> None:
        self._idle += 1
        keeps_time = not self._has_timekeeper and (due := self._collecting.next_due) < float("inf")
        if keeps_time:
            self._has_timekeeper = True
            timeout_s = max(0.0, min(timeout_s, due - time.monotonic()))
        try:
            if self._has_onlooker or not self._waiting():  # else it looks on at once: nobody might come to wake it
                self._changed.wait(timeout_s)
            if keeps_time:
                self._has_timekeeper = False
            if self.has_leader and self._idle < self._threads and not self._has_onlooker:
                self._look_on()
        finally:
            self._idle -= 1

    def _look_on(self) -> None:
        """Leave the work to the threads that are at it, until they are seen to block or nothing waits."""
        self._has_onlooker = True
        still = waiting = 0
        try:
            while self._waiting() and self.has_leader and not self._is_blocking() and self._idle < self._threads:
                lengths, begun = [len(hand) for hand in self._hands], self._begun()
                at, used = time.monotonic(), time.process_time()
                self._changed.wait(_LOOK_S)
                now = time.monotonic()
                stands_still = any(len(hand) == length > 0 for hand, length in zip(self._hands, lengths, strict=False))
                is_slow = stands_still or self._begun() - begun < _BRISK * (now - at)
                # Threads that compute stand still too while another has the interpreter: more would be in the way.
                still = still + 1 if is_slow else 0
                waiting = waiting + 1 if time.process_time() - used < _BUSY * (now - at) else 0
                blocks = still >= _LONG or (is_slow and waiting) or waiting >= _WAITING
                if blocks and self._waiting():
                    self._let_all_work()
        finally:
            self._has_onlooker = False

    def _let_all_work(self) -> None:
        now = time.monotonic()
        is_soon = now < self._blocks_until + _BLOCKING_S
        self._blocking_s = min(2 * self._blocking_s, _BLOCKING_MOST_S) if is_soon else _BLOCKING_S
        self._blocks_until = now + self._blocking_s
        self._all_work_since = (now, self._begun(), time.process_time())

    def _is_one_too_many(self) -> bool:
        """Say whether a thread with an empty hand is to step back: handlers are fast, and another thread is at work."""
        return not self._is_blocking() and any(self._hands) and not self._still_block()

    def _still_block(self) -> bool:
        """Say whether handlers blocked all the time since all threads work; if so, they go on."""
        if self._all_work_since is None:
            return False
        at, begun, used = self._all_work_since
        self._all_work_since = None
        passed_s = time.monotonic() - at
        if self._begun() - begun < _BRISK * passed_s or time.process_time() - used < _BUSY * passed_s:
            self._let_all_work()
            return True
        return False

    def _wake_for_what_waits(self) -> None:
        if not self._idle or not (self._chunks or any(self._hands)):
            return
        if self._is_blocking():
            self._changed.notify(min(self._idle, self._waiting()))
        elif not self._has_onlooker or self._idle >= self._threads:  # who looks on may do so at nobody any more
            self._changed.notify()

    def _is_blocking(self) -> bool:
        return time.monotonic() < self._blocks_until

    def _begun(self) -> int:
        return self._messages - self._waiting()

    def _waiting(self) -> int:
        in_hand = sum(map(len, self._hands))
        return in_hand + sum(len(chunk) for _, _, chunk in self._chunks) if self._chunks else in_hand

    def take_back(self) -> list[Received]:
        """Return what no thread has begun; it is nobody's then."""
        with self._changed:
            self._pass_on(self._collecting.take_all())
            return self._unstarted()

    def take_last(self, queue: str, most: int) -> list[Received]:
        """Return the last messages of a queue that no thread has begun, at most so many; they are nobody's then.

        What gathers is no part of that.
        """
        with self._changed:
            last, others = split_last(self._unstarted(), queue, most)
            self._pass_on([one for one in others if isinstance(one, Batch)])
            self.put([one for one in others if not isinstance(one, Batch)])
            return last

    def _unstarted(self) -> list[Received]:
        chunks = [chunk for _, _, chunk in sorted(self._chunks, key=lambda one: one[:2])]
        self._chunks.clear()
        unstarted = [message for hand in self._hands for message in _emptied(hand)]
        unstarted += [message for chunk in chunks for message in chunk]
        self._messages -= len(unstarted)
        return unstarted

    def waiting(self) -> int:
        """Return how many messages no thread has begun."""
        with self._changed:
            return self._waiting()

    def wake(self) -> None:
        """Let every waiting thread look around, because the worker stops or pauses."""
        with self._changed:
            self._changed.notify_all()

    def _take(self, hand: Hand) -> bool:
        if self._chunks:
            priority, _, chunk = heapq.heappop(self._chunks)
            hand.extend(chunk)
            if isinstance(chunk[0], Batch):
                # It takes longer than one message, and is not slow for that.
                self._messages += len(chunk[0].deliveries) // _LIKE_ONE
            elif len(chunk) == 1 and not self._is_blocking():
                self._take_more(hand, priority)
            return True
        fullest = max(self._hands, key=len, default=hand)
        stolen: list[Received] = []
        # Its own thread goes on taking from it meanwhile: then there is less than was counted.
        with suppress(IndexError):
            stolen.extend(fullest.pop() for _ in range(-(-len(fullest) // 2)))
        hand.extend(reversed(stolen))
        return bool(stolen)

    def _take_more(self, hand: Hand, priority: int) -> None:
        """Take what was put one by one, as Dramatiq's worker does, in one go too."""
        chunks = self._chunks
        while chunks and len(hand) < CHUNK and chunks[0][0] == priority and len(chunks[0][2]) == 1:
            if isinstance(chunks[0][2][0], Batch):
                return
            hand.extend(heapq.heappop(chunks)[2])


def _emptied(hand: Hand) -> list[Received]:
    messages: list[Received] = []
    with suppress(IndexError):
        while True:
            messages.append(hand.popleft())
    return messages


def _by_priority(messages: Sequence[Received]) -> Iterable[tuple[int, Sequence[Received]]]:
    if len(messages) == 1:
        actor = messages[0].actor
        return [(0 if actor is None else actor.priority, messages)]
    priorities = {message.actor.priority if message.actor is not None else 0 for message in messages}
    if len(priorities) == 1:
        return [(priorities.pop(), messages)]
    groups: dict[int, list[Received]] = {priority: [] for priority in sorted(priorities)}
    for message in messages:
        groups[message.actor.priority if message.actor is not None else 0].append(message)
    return groups.items()
