"""The agent that lets go what is due."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from dramatiq import Broker, Middleware

from eventsys.broker.broker import EventBroker
from eventsys.broker.lease import Lease
from eventsys.clock import Clock
from eventsys.errors import EventsysError
from eventsys.forking import begins_anew_in_children
from eventsys.scheduling.sweeper import Sweeper
from eventsys.scheduling.sweeps import Sweeps
from eventsys.store.keys import Keys
from eventsys.store.link import Link, run_script
from eventsys.store.measure_journal import fold_steps
from eventsys.store.oddities import whole_number
from eventsys.store.redis_time import read_clock
from eventsys.store.scripts import script

#: Seconds to wait after an error of Redis: first, and at most.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0

#: The journal of measures is folded every so many seconds, or when it has so many pieces: the more at once, the fewer
#: writes. Whoever reads the counters folds it before.
_FOLD_S, _MANY_PIECES = 10.0, 2_000

#: Shorter than this nobody can wait for a socket.
_SLEPT_S = 0.001

_OVER = object()

logger = logging.getLogger(__name__)


class LetGo(NamedTuple):
    """What came of letting go what was due.

    Attributes:
        moved: How many entries went.
        next_ms: When the next one is due; None when none waits.
    """

    moved: int
    next_ms: int | None


class Poller:
    """Moves the entries of the delayed store to their lanes when their time has come, never before.

    One in every worker process, of which one leads. The leader sleeps exactly until the next entry is due; whoever
    schedules an earlier one wakes it. While nothing is due it folds what the scripts have measured, a piece at a time.
    Should two lead at once, each entry is still moved once. When the leader's process dies another one leads when its
    lease has ended.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        clock: What "due" is measured by.
        process: The name of this process.
        batch_size: Most entries moved by one script; other commands run between two of them.
        poll_interval_s: How often the subscription to wake-ups is made anew, in seconds: a connection that a firewall
            dropped without a word would wake nobody.
        max_retries: How often an entry that Redis refuses to move is tried again, before it is a dead letter.
        retry_interval_ms: How long it waits before.
        lease: How long the lead lasts: the longest that nothing is let go after the leader died.
    """

    def __init__(
        self,
        link: Link,
        keys: Keys,
        clock: Clock,
        *,
        process: str,
        batch_size: int = 50,
        poll_interval_s: float = 30.0,
        max_retries: int = 3,
        retry_interval_ms: int = 300_000,
        lease: Lease | None = None,
    ) -> None:
        self.is_leading = False
        self._link = link
        self._keys = keys
        self._clock = clock
        self._process = process
        self._batch_size = batch_size
        self._poll_interval_s = poll_interval_s
        self._failing = (max_retries, retry_interval_ms)
        self._figures = lease or Lease()
        self._commands = link.channel()
        self._wakes = link.channel()
        self._subscribed_at: float | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._folding: Iterator[None] = iter(())
        self._folded_at = 0.0

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="eventsys-poller", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and let another process lead at once; while Redis is away it is left to find out by itself."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping.set()
        try:
            self._link.call("PUBLISH", self._keys.wake, 0)
            thread.join(1.0)
            self._lead(0)
        except EventsysError as error:
            logger.warning("the poller could not say that it ends: %s", error, extra={"action": "poller_silent"})
            # Nothing woke it, so it ends with its turn; its connections must not be closed under it.
            thread.join(1.0 + self._figures.renew_s)
        self._close()

    def let_go(self, now_ms: int) -> LetGo:
        """Move what is due at `now_ms`, a batch at a time; a test that turns the clock takes just this step."""
        moved = 0
        while True:
            arguments = (now_ms, self._batch_size, *self._failing)
            count, next_ms = run_script(self._commands, script("claim_due"), self._keys.prefix, *arguments)
            moved += count
            if not 0 <= next_ms <= now_ms or self._stopping.is_set():
                return LetGo(moved, None if next_ms < 0 else int(next_ms))

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                self._take_turn()
                pause = _FIRST_PAUSE_S
            except EventsysError as error:
                logger.warning("the poller waits for Redis: %s", error, extra={"action": "poller_waits"})
                self._close()
                self._stopping.wait(pause)
                pause = min(_LONGEST_PAUSE_S, 2 * pause)
            except Exception:
                logger.exception("the poller met an error that it does not know", extra={"action": "poller_failed"})
                self._close()
                self._stopping.wait(_LONGEST_PAUSE_S)
        self.is_leading = False

    def _take_turn(self) -> None:
        """Lead until the lease has to be renewed, or wait until leading is worth another try."""
        if self._clock.age_s() > 2 * self._figures.beat_s:
            # No heartbeat reads the time: this process works without one, or its beats have failed for a while.
            read_clock(self._clock, self._commands.call)
        if not self.is_leading and (lease_end := self._lease_end()) > self._clock.real_ms():
            self._follow(lease_end)
            return
        is_listening = self._is_listening()
        leads, lease_end, head_ms, pieces = self._lead(self._figures.lead_ms)
        self.is_leading = bool(leads)
        self._plan_folding(pieces)
        if not leads:
            self._follow(lease_end)
        elif is_listening:
            self._serve(None if head_ms < 0 else int(head_ms))
        else:
            self._listen()
            self._serve(self.let_go(self._clock.now_ms()).next_ms)

    def _follow(self, lease_end: int) -> None:
        """Wait until leading is worth another try."""
        # Spread, so that the others do not all ask in the millisecond in which a lease ends.
        left_s = max(0.0, lease_end - self._clock.real_ms()) / 1000 + random.uniform(0.005, 0.05)  # noqa: S311
        self._stopping.wait(min(2 * self._figures.renew_s, left_s))

    def _lease_end(self) -> int:
        """Return the end of the lease of whoever leads, in real ms; 0 when nobody does, or it is none of a poller."""
        leader: bytes | None = self._commands.call("GET", self._keys.poller)
        lease_end = whole_number((leader or b"").partition(b" ")[0]) or 0
        return lease_end if lease_end <= self._clock.real_ms() + 20 * self._figures.lead_ms else 0

    def _serve(self, due_ms: int | None) -> None:
        renew_at = self._clock.monotonic() + self._figures.renew_s
        while not self._stopping.is_set() and (left_s := renew_at - self._clock.monotonic()) > 0:
            due_in_s = left_s if due_ms is None else self._clock.until_s(due_ms)
            if due_in_s <= 0:
                due_ms = self.let_go(self._clock.now_ms()).next_ms
                continue
            is_folding = next(self._folding, _OVER) is not _OVER
            for heard_ms in self._hear(0 if is_folding else min(left_s, due_in_s)):
                due_ms = heard_ms if due_ms is None else min(due_ms, heard_ms)

    def _plan_folding(self, pieces: int) -> None:
        """Have the journal of measures folded between other things, when it is long or some seconds have passed."""
        now = self._clock.monotonic()
        if pieces >= _MANY_PIECES or (pieces and now - self._folded_at >= _FOLD_S):
            self._folding = fold_steps(partial(run_script, self._commands), self._commands.call, self._keys)
            self._folded_at = now

    def _is_listening(self) -> bool:
        """Say whether wake-ups are heard: what is read of the store from now on needs no second look."""
        since = self._subscribed_at
        return since is not None and self._clock.monotonic() - since <= self._poll_interval_s

    def _listen(self) -> None:
        """Subscribe to wake-ups; the head of the store must be read after this, not before."""
        self._wakes.close()
        self._wakes.call("SUBSCRIBE", self._keys.wake)
        self._subscribed_at = self._clock.monotonic()

    def _hear(self, wait_s: float) -> list[int]:
        """Return the due times that others announced, waiting for the first of them at most `wait_s`.

        The last part of a millisecond is slept: whatever is announced then is hardly earlier than what is due.
        """
        heard: list[int] = []
        ends_at = self._clock.monotonic() + wait_s
        message = self._wakes.receive(wait_s)
        if message is None and 0 < wait_s < _SLEPT_S:
            time.sleep(max(0.0, ends_at - self._clock.monotonic()))
        while message is not None:
            heard.append(_announced_ms(message))
            message = self._wakes.receive(0)
        return heard

    def _lead(self, lease_ms: int) -> list[int]:
        arguments = (self._clock.real_ms(), lease_ms, self._process)
        reply: list[int] = run_script(self._commands, script("lead"), self._keys.prefix, *arguments)
        return reply

    def _close(self) -> None:
        self._subscribed_at = None
        self._wakes.close()
        self._commands.close()


def _announced_ms(message: Any) -> int:
    """Return what a wake-up says; 0, which is due now, when it is not to be understood."""
    try:
        return int(float(message[2]))
    except (IndexError, TypeError, ValueError, OverflowError):
        return 0


class PollerMiddleware(Middleware):
    """Runs a poller in every worker process, from its boot to its shutdown, and beside it the overdue sweeps.

    Args:
        sweeps: What else the leader sees to; None: nothing.
        batch_size: As for `Poller`.
        poll_interval_s: As for `Poller`.
        max_retries: As for `Poller`.
        retry_interval_ms: As for `Poller`.
    """

    def __init__(
        self,
        sweeps: Sweeps | None = None,
        *,
        batch_size: int = 50,
        poll_interval_s: float = 30.0,
        max_retries: int = 3,
        retry_interval_ms: int = 300_000,
    ) -> None:
        self._sweeps = sweeps
        self.forget_process()
        begins_anew_in_children(self)
        self._figures: dict[str, Any] = {
            "batch_size": batch_size,
            "poll_interval_s": poll_interval_s,
            "max_retries": max_retries,
            "retry_interval_ms": retry_interval_ms,
        }

    def forget_process(self) -> None:
        """In a forked child: the poller is the parent's, and so are its connections and its lead."""
        self.poller: Poller | None = None
        self._sweeper: Sweeper | None = None
        self._lock = threading.Lock()

    def after_worker_boot(self, broker: Broker, worker: Any) -> None:  # noqa: ARG002
        """Start it."""
        if isinstance(broker, EventBroker) and not broker.work.by_hand:
            self.start(broker)

    def before_worker_shutdown(self, broker: Broker, worker: Any) -> None:  # noqa: ARG002
        """Stop it first: what falls due from here on is for the others."""
        self.stop()

    def start(self, broker: EventBroker) -> None:
        """Run a poller in this process, unless one runs."""
        with self._lock:
            if self.poller is not None:
                return
            self.poller = Poller(
                broker.link, broker.keys, broker.clock,
                process=broker.presence.name, lease=broker.work.lease, **self._figures,
            )  # fmt: skip
            self.poller.start()
            if self._sweeps is not None:
                self._sweeper = Sweeper(self._sweeps, self._is_leading)
                self._sweeper.start()

    def stop(self) -> None:
        """Stop it, and let another process lead at once."""
        with self._lock:
            poller, self.poller = self.poller, None
            sweeper, self._sweeper = self._sweeper, None
        if sweeper is not None:
            sweeper.stop()
        if poller is not None:
            poller.stop()

    def _is_leading(self) -> bool:
        return self.poller is not None and self.poller.is_leading
