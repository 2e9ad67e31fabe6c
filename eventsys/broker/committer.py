"""The thread that ends attempts: what has gathered, in one round trip."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from eventsys.clock import Clock
from eventsys.errors import EventsysError, RedisUnavailableError
from eventsys.store.link import Link, run_script
from eventsys.store.scripts import script
from eventsys.store.steps import Step, packed

from .endings import DONE, Ending
from .messages import Place

#: Most attempts one script ends: it blocks Redis for about 10 µs each.
MOST_AT_ONCE = 200

#: Seconds between tries while Redis is away.
_RETRY_S = 0.25

logger = logging.getLogger(__name__)


class Finished:
    """An attempt that is over, on its way into the commit.

    Attributes:
        place: Where its message stands.
        ending: What becomes of it.
        steps: What its handler and hooks published.
        done: Called once with "ok" or "lost" when the commit has returned.
        resolve: Computes the ending again when the subscriptions changed under it.
    """

    __slots__ = ("done", "ending", "place", "resolve", "steps")

    def __init__(
        self,
        place: Place,
        ending: Ending,
        steps: list[Step],
        done: Callable[[str], None] | None = None,
        resolve: Callable[[], Ending] | None = None,
    ) -> None:
        self.place = place
        self.ending = ending
        self.steps = steps
        self.done = done
        self.resolve = resolve

    @property
    def is_plain(self) -> bool:
        """Whether its message is simply given up, as nearly all messages of plain actors are."""
        return self.ending is DONE and not self.steps and not self.place.is_suspect


class Committer:
    """Ends attempts in the order they come, in batches.

    A batch is what has gathered during the round trip before it, so the busier the process, the fewer the round trips.
    While Redis is away everything waits here: it is bounded by what the process may hold.

    Args:
        link: The way to Redis.
        prefix: The prefix of the bus.
        clock: The time.
        process: The name under which this process holds messages.
        retention_ms: How long the record of a finished event is kept.
        taken: Called with the places whose commit begins.
        forget: Called with those whose commit has returned.
    """

    def __init__(
        self,
        link: Link,
        prefix: str,
        clock: Clock,
        *,
        process: str,
        retention_ms: int,
        taken: Callable[[list[Place]], None],
        forget: Callable[[list[Place]], None],
    ) -> None:
        self._channel = link.channel()
        self._prefix = prefix
        self._clock = clock
        self._process = process
        self._retention_ms = retention_ms
        self._taken = taken
        self._forget = forget
        self._waiting: deque[Finished] = deque()
        self._changed = threading.Condition()
        self._in_hand = 0
        self._is_idle = True
        self._closing = False
        self._thread: threading.Thread | None = None
        self._script = script("commit")

    def put(self, finished: Finished) -> None:
        """Take an attempt that is over; it is committed as soon as the batch before it has returned."""
        # Without the lock, which every worker thread would wait for: the committer looks once more after it has said
        # that it is idle, so either it sees this one or it is woken.
        self._waiting.append(finished)
        if self._is_idle:
            with self._changed:
                self._start()
                self._changed.notify_all()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until everything taken so far is committed, and say whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._in_hand, timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Commit what is left, for at most `timeout_s`, then stop; say whether all was committed."""
        complete = self.join(timeout_s)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(1.0)
        self._channel.close()
        return complete

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="eventsys-committer", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while batch := self._next_batch():
            self._taken([one.place for one in batch])
            self._commit_or_wait(batch)

    def _next_batch(self) -> list[Finished]:
        """Wait for what is to be committed, and return it; nothing when this committer closes."""
        with self._changed:
            self._in_hand = 0
            if not self._waiting:
                self._changed.notify_all()
                self._is_idle = True
                self._changed.wait_for(lambda: self._waiting or self._closing)
                self._is_idle = False
            if self._closing:
                return []
            self._in_hand = min(len(self._waiting), MOST_AT_ONCE)
            return [self._waiting.popleft() for _ in range(self._in_hand)]

    def _commit_or_wait(self, batch: list[Finished]) -> None:
        while not self._closing:
            try:
                results = self._commit(batch)
            except RedisUnavailableError as error:
                logger.warning(
                    "commit waits for Redis: %s", error, extra={"action": "commit_waits", "count": len(batch)}
                )
                time.sleep(_RETRY_S)
            except EventsysError:
                # Redis refuses the batch as a whole. Nothing was done; the messages stay pending and come back when
                # this process's lease ends.
                logger.exception("commit was refused", extra={"action": "commit_refused", "count": len(batch)})
                results = ["lost"] * len(batch)
                return self._settle(batch, results)
            else:
                return self._settle(batch, results)

    def _commit(self, batch: list[Finished]) -> list[str]:
        plain = [one for one in batch if one.is_plain]
        others = [one for one in batch if not one.is_plain]
        lanes: dict[str, list[str]] = {}
        for one in plain:
            lanes.setdefault(one.place.stream, []).append(one.place.entry)
        replies = run_script(
            self._channel,
            self._script,
            self._prefix,
            self._clock.now_ms(),
            self._process,
            self._retention_ms,
            packed([[stream, sorted(entries, key=_order)] for stream, entries in lanes.items()]),
            *[
                packed([one.place.stream, one.place.entry, one.ending, one.steps, one.place.is_suspect])
                for one in others
            ],
        )
        lost = {(stream, entry.decode()) for stream, lane in zip(lanes, replies[0], strict=True) for entry in lane}
        results = iter([reply.decode() for reply in replies[1:]])
        return [
            ("lost" if (one.place.stream, one.place.entry) in lost else "ok") if one.is_plain else next(results)
            for one in batch
        ]

    def _settle(self, batch: list[Finished], results: list[str]) -> None:
        stale = [one for one, result in zip(batch, results, strict=True) if result == "stale"]
        for one in stale:
            self._resolve_again(one)
        over = [(one, result) for one, result in zip(batch, results, strict=True) if result != "stale"]
        self._forget([one.place for one, _ in over])
        for one, result in over:
            if result == "lost":
                logger.warning(
                    "an attempt was taken over before it ended; what it did counts for nothing",
                    extra={"action": "commit_lost", "entry": one.place.entry, "lane": one.place.stream},
                )
            if one.done is not None:
                self._tell(one.done, result)

    def _resolve_again(self, one: Finished) -> None:
        if one.resolve is not None:
            one.ending = one.resolve()
        self._waiting.append(one)

    @staticmethod
    def _tell(done: Callable[[str], Any], result: str) -> None:
        try:
            done(result)
        except Exception:
            logger.exception("a callback after a commit failed", extra={"action": "callback_failed"})


def _order(entry: str) -> tuple[int, int]:
    """Return where an entry stands in its stream, to sort by."""
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number)
