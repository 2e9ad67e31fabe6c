"""The thread that ends attempts: what has gathered, in one round trip."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from eventsys.clock import Clock
from eventsys.errors import EventsysError, RedisUnavailableError
from eventsys.store.link import Link

from .callbacks import call_back
from .commit_trip import CommitTrip, Fetched, Sent
from .finished import Finished
from .messages import Place
from .waiting_ends import GATHER_S, WaitingEnds

#: The least time between two commits, so that a process that drains in spurts does not commit one by one.
LEAST_GAP_S = 0.002

#: Seconds between tries while Redis refuses, and while it is away.
_REFUSED_S, _RETRY_S = 2.0, 0.25

logger = logging.getLogger(__name__)


class Committer:
    """Ends attempts in the order they come, in batches.

    An attempt that ends while nothing else runs is committed at once. Under load a batch is what has gathered in a few
    milliseconds, so the busier the process, the fewer the round trips; and where enough waits behind a batch, that is
    sent before the one before is answered, so that Redis need not wait for this thread to write the next one down.
    While Redis is away everything waits here, until the `backlog` is full: nothing more is fetched then.

    Args:
        link: The way to Redis.
        prefix: The prefix of the bus.
        clock: The time.
        retention_ms: How long the record of a finished event is kept.
        forget: Called with the places whose commit has returned.
        lease_ended: Called when Redis says that the lease was ended under which something was held.
        more_is_coming: Whether this process holds messages that are not over yet.
        subscriptions_changed: Called when a commit tells of another version of the subscriptions than the one before.
        by_hand: Whether `put` commits itself, in its caller's thread: then there is no other.
    """

    def __init__(
        self,
        link: Link,
        prefix: str,
        clock: Clock,
        *,
        retention_ms: int,
        forget: Callable[[list[Place]], None],
        lease_ended: Callable[[], None],
        more_is_coming: Callable[[], bool],
        subscriptions_changed: Callable[[], None] = lambda: None,
        by_hand: bool = False,
    ) -> None:
        self._trip, self._aside = (
            CommitTrip(link.channel(), prefix, clock, retention_ms, lease_ended, subscriptions_changed)
            for _ in range(2)
        )
        self._forget = forget
        self._committed_at = 0.0
        self._more_is_coming = more_is_coming
        self._ends = WaitingEnds(more_is_coming)
        self._sent: Sent | None = None
        self.backlog = self._ends.backlog
        self._is_closing, self._is_asleep = False, True
        self._wake, self._urgent = threading.Event(), threading.Event()
        self._settled, self._starting = threading.Condition(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._by_hand = threading.RLock() if by_hand else None

    def put(self, finished: Finished) -> None:
        """Take an attempt that is over; it is committed within a few milliseconds, at once when nothing else runs."""
        self._ends.add(finished)
        self._taken(is_suspect=finished.place.is_suspect)

    def put_all(self, finished: Sequence[Finished]) -> None:
        """Take many attempts that are over."""
        self._ends.add_all(finished)
        self._taken()

    def put_batch(self, finished: Sequence[Finished]) -> None:
        """Take attempts that were made in one call; they wait some milliseconds for other calls for their events."""
        self._ends.add_batch(finished)
        self._taken()

    def commit_here(self, one: Finished, wanted: Sequence[str | int]) -> list[Fetched] | None:
        """Commit an attempt in the caller's thread, whoever else commits meanwhile; where that fails, as `put` does.

        Args:
            one: The attempt, which ends by dispatching an event.
            wanted: Lanes, each with how many of the deliveries put there are this process's at once.

        Returns:
            Those deliveries; None where the answer was lost, and with it which they are.
        """
        self.backlog.weigh_all([one])
        try:
            results = self._aside.make([one], wanted=wanted)
        except Exception:
            self._ends.add_again(one)
            self._taken()
            return None
        self._settle([one], results)
        if self._ends.has_lone:
            self._taken()
        return self._aside.fetched

    def _taken(self, *, is_suspect: bool = False) -> None:
        if self._by_hand is not None:
            with self._by_hand:
                while self._ends:
                    self._commit_next()
        elif is_suspect:
            # The next suspect waits for the end of this one: there is one in a process at a time.
            self._start()
            self.hurry()
        elif self._is_asleep or self._ends.are_enough or not self._more_is_coming():
            self._start()
            if not self._wake.is_set():
                self._wake.set()

    def hurry(self) -> None:
        """Commit what was taken so far without waiting for more: others cannot go on before."""
        self._urgent.set()
        self._wake.set()

    @property
    def is_dead(self) -> bool:
        """Whether its thread has ended without being told to: nothing that this process does can be committed."""
        return self._thread is not None and not self._is_closing and not self._thread.is_alive()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until everything taken so far is committed, and say whether that is so."""
        self._wake.set()
        with self._settled:
            return self._settled.wait_for(lambda: not len(self.backlog), timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Commit what is left, for at most `timeout_s`, then stop; say whether all was committed."""
        # Where it was closed before, nothing is committed any more, however long one waits.
        complete = self.join(0 if self._is_closing else timeout_s)
        self._is_closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(1.0)
        self._trip.close()
        self._aside.close()
        return complete

    def _start(self) -> None:
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="eventsys-committer", daemon=True)
                thread.start()
                self._thread = thread  # last: what is here and does not run counts as dead

    def _run(self) -> None:
        while not self._is_closing:
            self._sleep()
            self._gather()
            while self._ends or self._sent is not None:
                self._commit_next()
                self._committed_at = time.monotonic()
                self._gather()
            with self._settled:
                self._settled.notify_all()

    def _commit_next(self) -> None:
        """Commit what is next; where more waits, it is only sent, so that Redis goes on to it after the one before."""
        before, self._sent = self._sent, None
        batch: list[Finished] = []
        if before is None or self._ends.are_enough:
            batch = self._ends.take(at_once=self._by_hand is not None)
        if batch and (before is not None or self._ends.are_enough):
            self._sent = self._send(batch, before)
        if before is not None:
            self._await_answer(before)
        if batch and self._sent is None:
            self._ends.committing = len(batch)
            self._commit_or_wait(batch)
        self._ends.committing = 0 if self._sent is None else len(batch)
        self.backlog.has_shrunk()

    def _send(self, batch: list[Finished], behind: Sent | None) -> Sent | None:
        if self._is_closing or self._by_hand is not None:
            return None
        try:
            return self._trip.send(batch, behind)
        except Exception:
            return None  # it is made by itself when its turn has come, and meets the same again

    def _await_answer(self, sent: Sent) -> None:
        try:
            results = self._trip.answer(sent)
        except Exception:
            self._commit_or_wait(sent.batch)
        else:
            self._settle(sent.batch, results)

    def _sleep(self) -> None:
        """Wait until there is something to commit."""
        self._is_asleep = True
        if not self._ends:
            self._wake.wait()
        self._is_asleep = False

    def _gather(self) -> None:
        """Give others a moment to end too, unless enough have, or nothing is going on."""
        self._wake.clear()
        if self._is_closing or self._ends.are_enough or self._sent is not None:
            return
        if not self._urgent.is_set():
            if self._more_is_coming():
                self._wake.wait(GATHER_S)
            elif self._ends.has_lone and (left_s := self._committed_at + LEAST_GAP_S - time.monotonic()) > 0:
                self._urgent.wait(left_s)
        self._urgent.clear()

    def _commit_or_wait(self, batch: list[Finished]) -> None:
        while not self._is_closing:
            try:
                results = self._trip.make(batch)
            except RedisUnavailableError as error:
                logger.warning(
                    "commit waits for Redis: %s", error, extra={"action": "commit_waits", "count": len(batch)}
                )
                time.sleep(_RETRY_S)
            except EventsysError:
                # Redis refuses the script as a whole: a missing permission, say. Nothing was done, and nothing but
                # this commit can end these attempts, so it is tried until somebody has mended that.
                logger.exception("commit was refused", extra={"action": "commit_refused", "count": len(batch)})
                time.sleep(_REFUSED_S)
            except Exception as problem:
                self._commit_apart(batch, problem)
                return
            else:
                self._settle(batch, results)
                return

    def _commit_apart(self, batch: list[Finished], problem: Exception) -> None:
        """Commit each by itself: one of them cannot be written down, and must not keep the others.

        What was made in one call stays together, since it leaves something behind together.
        """
        apart = [list(some) for _, some in groupby(batch, key=lambda one: id(one.shared or one))]
        if len(apart) > 1:
            for some in apart:
                self._commit_or_wait(some)
            return
        logger.critical(
            "%d attempts cannot be committed; their messages come again when this process is gone", len(batch),
            extra={"action": "commit_impossible", "entry": batch[0].place.entry, "lane": batch[0].place.stream},
            exc_info=problem,
        )  # fmt: skip
        self._conclude(batch, ["lost"] * len(batch))

    def _settle(self, batch: list[Finished], results: list[str]) -> None:
        if results.count("ok") == len(results):
            self._conclude(batch, results)
            return
        stale = [one for one, result in zip(batch, results, strict=True) if result == "stale"]
        for one in stale:
            self._resolve_again(one)
        over = [(one, result) for one, result in zip(batch, results, strict=True) if result != "stale"]
        for one, result in over:
            if result == "refused":
                logger.error(
                    "an attempt could not be committed and is a dead letter now",
                    extra={"action": "commit_failed", "entry": one.place.entry, "lane": one.place.stream},
                )
            if result == "lost":
                logger.warning(
                    "an attempt was taken over before it ended; what it did counts for nothing",
                    extra={"action": "commit_lost", "entry": one.place.entry, "lane": one.place.stream},
                )
        self._conclude([one for one, _ in over], [result for _, result in over])

    def _conclude(self, batch: list[Finished], results: list[str]) -> None:
        self._forget([one.place for one in batch])
        self.backlog.lighten(batch)
        for one, result in zip(batch, results, strict=True):
            if one.done is not None:
                self._tell(one.done, result)
            if one.shared is not None:
                self._tell(partial(one.shared.note, succeeded=one.succeeded), result)

    def _resolve_again(self, one: Finished) -> None:
        ending = one.ending if one.resolve is None else one.resolve()
        if ending is None:
            self._forget([one.place])
            self.backlog.lighten([one])
        else:
            one.ending = ending
            self._ends.add_again(one)

    @staticmethod
    def _tell(done: Callable[[str], Any], result: str) -> None:
        call_back(lambda: done(result), "a callback after a commit")
