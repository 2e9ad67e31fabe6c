"""That this process is alive, and what becomes of those that are not."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from eventsys.clock import Clock
from eventsys.errors import EventsysError
from eventsys.store.keys import INLINE_QUEUE, Keys
from eventsys.store.link import Link
from eventsys.store.redis_time import read_clock
from eventsys.store.scripts import script

from .allocator import give_back
from .former_names import FormerNames
from .garbage import FullLooks
from .lease import Lease
from .read_queues import ReadQueues
from .silence import Silence

#: Seconds between two looks at what has to be known within a second: whether a subscription was paused.
LOOK_S = 0.9

#: Most messages of a dead process moved on one lane by one script.
_MOST_MOVED = 100

#: Letters that are kept of why code could not be loaded again.
_LONGEST_PROBLEM = 4_000

logger = logging.getLogger(__name__)


class Presence:
    """The lease under which a process holds messages.

    One thread renews it and takes over from processes whose lease has ended. The name stands for the lease: a process
    that was paused, and found its messages taken over when it came back, goes on under another name, and whatever it
    still ends under the old one counts for nothing.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        clock: Set from Redis's own at every beat.
        lease: How soon it counts as dead without a beat.
        after_scan: Called, in the thread that beats, after every look for dead processes.
        look: Called there more often, for what has to be known within a second.
        when_lost: Called with the name of each that was found dead, and how many messages were taken over.
        activity: Returns a number that grows while this process works.
        by_hand: Whether no thread beats: whoever runs the work calls `beat` and `scan`.

    Attributes:
        queues: What it reads.
    """

    def __init__(
        self,
        link: Link,
        keys: Keys,
        clock: Clock,
        lease: Lease | None = None,
        *,
        after_scan: Callable[[], None] = lambda: None,
        look: Callable[[], None] = lambda: None,
        when_lost: Callable[[str, int], None] = lambda *_: None,
        activity: Callable[[], int] = lambda: 0,
        by_hand: bool = False,
    ) -> None:
        self.name, self._introduced = _new_name(), ""
        self._formers = FormerNames(link, keys)
        self.number = self._worked = 0
        self._lease_ends_at = float("inf")
        self._link = link
        self._keys = keys
        self._clock = clock
        self._lease = lease or Lease()
        self.queues = ReadQueues(link, keys)
        self._paused: frozenset[str] = frozenset()
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._after_scan = after_scan
        self._look = look
        self._when_lost = when_lost
        self._activity = activity
        self._by_hand = by_hand
        self._has_appeared = False
        self._is_stirred = self._goes_on = False
        self._next_scan = self._next_round = 0.0

    @property
    def may_have_ended(self) -> bool:
        """Whether the lease may be over, so that Redis is asked before anything begins."""
        return self.lease_left_s < 0

    @property
    def lease_left_s(self) -> float:
        """For how many seconds from now the lease surely lasts, whatever becomes of this process."""
        return self._lease_ends_at - self._clock.monotonic()

    def holds(self, holder: str) -> bool:
        """Say whether what was fetched under the name `holder` is still this process's to begin.

        Where the lease may have ended, Redis is asked. While Redis cannot be asked it is taken to hold: the worst that
        follows is a message begun twice, and only one of the two can commit.
        """
        if self.may_have_ended:
            try:
                self.beat()
            except EventsysError:
                return holder == self.name
        return holder == self.name

    def appear(self) -> None:
        """The first time, say that this process is alive and begin to beat.

        Raises:
            RedisUnavailableError: If Redis cannot be told.
        """
        with self._lock:
            if self._has_appeared:
                return
            self._introduce()
            if not self._by_hand:
                self._thread = threading.Thread(target=self._run, name="eventsys-presence", daemon=True)
                self._thread.start()
            self._has_appeared = True

    def enter(self, queue: str) -> None:
        """Say that this process is alive and reads a queue; go on under another name where the lease was taken over.

        Raises:
            RedisUnavailableError: If Redis cannot be told.
        """
        self.appear()
        with self._lock:
            is_new = self.queues.enter(queue)
            self._say_so()
        self.queues.may_have_leftovers([queue])
        if is_new:
            self.stir()
            self._hurry.set()

    def leave_queue(self, queue: str, subscription: str) -> None:
        """Read a queue no longer, whose subscription this process hosts no more; Redis is told in the next round."""
        self.queues.leave(queue, subscription)
        self.stir()
        self._hurry.set()

    def stir(self) -> None:
        """Have the next look be a whole round: there is something new to look after."""
        self._is_stirred = True

    def go_on(self) -> None:
        """Have the next round come as soon as in a busy process: what this one looked after is not over."""
        self._goes_on = True

    def came_late(self, former: str) -> None:
        """Have what a reader fetched under a former name taken over: that may have been done before it came."""
        self._formers.add(former)
        self.stir()
        self._hurry.set()

    def reads(self, queue: str) -> bool:
        """Say whether this process reads a queue."""
        return queue in self.queues

    def is_paused(self, queue: str) -> bool:
        """Say whether a person has paused a queue, as the last look for dead processes found it."""
        return queue in self._paused

    def say_again(self) -> None:
        """Say anew that this process is alive and what it reads: Redis has lost data, and may not know.

        Raises:
            RedisUnavailableError: If Redis cannot be told.
        """
        self.appear()
        with self._lock:
            self._say_so()

    def beat(self) -> None:
        """Renew the lease and read Redis's clock; go on under another name where the lease was taken over.

        Raises:
            RedisUnavailableError: If Redis cannot be told.
        """
        with self._lock:
            began_at = self._clock.monotonic()
            held = self._link.run(
                script("beat"), self._keys.prefix, self._clock.real_ms(), self._lease.lease_ms, self.name
            )
            if held == [0]:
                self._begin_again()
            self._lease_ends_at = began_at + self._lease.sure_s
            read_clock(self._clock, self._link.call)

    def beat_if_due(self) -> None:
        """Renew the lease where there is one: for who keeps the thread that beats waiting, or is that thread.

        Raises:
            RedisUnavailableError: If Redis cannot be told.
        """
        if self.lease_left_s < self._lease.sure_s - self._lease.beat_s:
            self.beat()

    def scan(self) -> None:
        """Make available what dead processes held; all of it, since the next scan may be seconds away."""
        self._formers.tell()
        self.queues.tell_left(self, self._lock)
        dead = [b""]
        while dead:  # one that holds no more comes once more, and is removed
            # Of inline deliveries nobody reads the queue, and so everybody looks after it.
            arguments = (self._clock.real_ms(), _MOST_MOVED, "", *{*self.queues.names(), INLINE_QUEUE})
            dead, _moved, queues, paused, taken = self._link.run(script("take_over"), self._keys.prefix, *arguments)
            left = {queue.decode() for queue in queues}
            self.queues.may_have_leftovers(left)
            if left:
                # Who reads these is to begin with them now, and whoever is taken up by one may leave others.
                self.go_on()
                self.queues.wake(left)
            self._paused = frozenset(queue.decode() for queue in paused)
            for process, held in zip(dead, taken, strict=True):
                if held:
                    logger.warning(
                        "process %s is gone; its messages are taken over", process.decode(),
                        extra={"action": "takeover", "worker": process.decode(), "moved": held},
                    )  # fmt: skip
                    self._when_lost(process.decode(), held)
            if dead:
                self.beat_if_due()  # there may be many, and this may be the thread that beats

    def note_reload(self, problem: str) -> None:
        """Note that the application's code was loaded again here just now, or why it could not be.

        Of a process that has not said that it is alive nothing is noted.

        Raises:
            RedisUnavailableError: If Redis cannot be told.
        """
        if not self._has_appeared:
            return
        facts = ("reloaded_ms", self._clock.now_ms(), "reload_problem", problem[:_LONGEST_PROBLEM])
        self._link.pipeline([("HSET", self._keys.process(self.name), *facts)])

    def look_now(self) -> None:
        """Call `look` at once, from the thread that beats: something has changed."""
        if self._by_hand:
            self._look()
        else:
            self._hurry.set()

    def leave(self) -> None:
        """End the lease now, so that nobody waits for it; what is still running is taken over at once."""
        self._stop.set()
        self._hurry.set()
        if not self._has_appeared:
            return
        if self._thread is not None:
            self._thread.join(2.0)
        with suppress(EventsysError):
            self.queues.tell_left(self, self._lock)
        self._link.run(script("take_over"), self._keys.prefix, 1, _MOST_MOVED, self.name)

    def _introduce(self) -> None:
        read_clock(self._clock, self._link.call)
        self._say_so()

    def _say_so(self) -> None:
        began_at, queues = self._clock.monotonic(), self.queues.names()
        facts = (self.name, socket.gethostname(), os.getpid(), self.number, self._clock.now_ms())
        lease_end, is_known = self._clock.real_ms() + self._lease.lease_ms, int(self.name == self._introduced)
        lease = (lease_end, self._lease.lease_ms, is_known)
        number = int(self._link.run(script("introduce"), self._keys.prefix, *facts, *lease, ",".join(queues), *queues))
        if number == 0:
            self._begin_again()
            return
        self.number, self._introduced = number, self.name
        self._lease_ends_at = began_at + self._lease.sure_s

    def _begin_again(self) -> None:
        former, self.name = self.name, _new_name()
        logger.warning(
            "this process was away for longer than its lease; what it held is left to others",
            extra={"action": "lease_lost", "worker": former},
        )
        # Had Redis lost its data rather than the lease been taken over, nobody else would look for what is left there.
        self._formers.tell(former)
        self._introduce()
        # What they wait for would be given to the former name, which may begin nothing.
        self.queues.wake_all()

    def _is_stopped_after(self, pause_s: float) -> bool:
        self._hurry.wait(pause_s)
        self._hurry.clear()
        return self._stop.is_set()

    def _run(self) -> None:
        next_beat = time.monotonic() + self._lease.beat_s
        # The first look at once: where processes end often, none would live to take its second.
        pause_s, garbage, silence = 0.0, FullLooks(), Silence()
        while not self._is_stopped_after(pause_s):
            pause_s = min(self._lease.scan_s, LOOK_S)
            try:
                with silence.told(self.name):
                    if time.monotonic() >= next_beat:
                        self.beat()
                        next_beat = time.monotonic() + self._lease.beat_s
                        garbage.look()
                        give_back()
                    self._look()
                    if self._is_round_due():
                        self._next_round = time.monotonic() + self._lease.round_s
                        self.scan()
                        self._after_scan()
            except Exception:
                logger.exception("after the heartbeat something failed", extra={"action": "tending_failed"})

    def _is_round_due(self) -> bool:
        """Say whether to look after everything: each few seconds while there is work, seldom while there is none."""
        now, worked = time.monotonic(), self._activity()
        is_stirred = self._is_stirred
        if not is_stirred and now < self._next_scan:
            return False
        # Who hosts what is said after a scan; until then what this process reads seems to have no host.
        is_due = is_stirred or self._goes_on or worked != self._worked or now >= self._next_round
        self._goes_on = False
        if is_stirred:
            self._is_stirred = False
        self._next_scan, self._worked = now + self._lease.scan_s, worked
        return is_due or self._is_any_dead()

    def _is_any_dead(self) -> bool:
        now_ms = self._clock.real_ms()
        return bool(self._link.call("ZRANGEBYSCORE", self._keys.processes, "-inf", now_ms, "LIMIT", 0, 1))


def _new_name() -> str:
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"
