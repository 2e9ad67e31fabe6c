"""The thread that sends what the system says of itself."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from contextvars import Context
from typing import Generic, TypeVar

from eventsys.errors import EventsysError, RedisUnavailableError
from eventsys.process_end import before_process_ends, not_before_process_ends

#: Most that waits to be sent; of what comes beyond, while Redis is away, the number is logged once it is back.
MOST_WAITING = 256

#: Seconds between tries while Redis is away.
_RETRY_S = 1.0

#: Seconds that a process takes at its end to send what waits.
LAST_S = 2.0

logger = logging.getLogger(__name__)

Said = TypeVar("Said")
Report = TypeVar("Report")


class Reporter(Generic[Said, Report]):
    """Takes what is said without ever blocking or failing who says it, and sends it in order.

    Args:
        make: Makes a report of what was said, in the thread that sends; what it raises is logged and counted.
        send: Sends reports in one round trip. It may be called again with the same ones.
        at_once: Whether to send in the thread of who says something, once: where a test decides what happens when.
    """

    def __init__(
        self,
        make: Callable[[Said], Report],
        send: Callable[[list[Report]], object],
        *,
        at_once: Callable[[], bool] = lambda: False,
    ) -> None:
        self.dropped = 0
        self._at_once = at_once
        self._make = make
        self._send = send
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._waiting: list[Said] = []
        self._beyond = 0
        self._is_sending = False
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, said: Said) -> None:
        """Take something to be sent soon."""
        if self._at_once():
            # In a context of its own: what is sent belongs to no attempt and to no chain of events.
            Context().run(lambda: self._is_sent(self._made(said)))
            return
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                self.dropped += 1
                self._beyond += 1
            elif not self._has_thread():
                self.dropped += 1
            else:
                self._waiting.append(said)
                self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything taken so far is sent, and say whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._is_sending, timeout_s)

    def close(self, timeout_s: float = LAST_S) -> None:
        """Send what waits, for at most `timeout_s`, drop the rest, and end the thread; `put` begins anew."""
        not_before_process_ends(self.close)
        if not self.flush(timeout_s):
            logger.error("system events were not sent: Redis is away", extra={"action": "system_events_unsent"})
        self._tell_beyond()
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        self._begin()

    def forget(self) -> None:
        """Begin anew: in a forked child, what waits is the parent's to send."""
        self._begin()

    def _has_thread(self) -> bool:
        """Say whether there is a thread that sends, started by the first who asks; the system may have none to give."""
        if self._thread is None:
            run, closing = self._run, self._closing
            thread = threading.Thread(target=run, args=(closing,), name="eventsys-system-events", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # what is told of goes on all the same
                logger.error("a system event was dropped: %s", error, extra={"action": "system_event_dropped"})
                return False
            self._thread = thread
            before_process_ends(self.close)
        return True

    def _run(self, closing: threading.Event) -> None:
        """Send until `closing`, the event of the time that this thread was started in."""
        changed = self._changed
        while True:
            with changed:
                changed.wait_for(lambda: self._waiting or closing.is_set())
                if closing.is_set():
                    return
                batch, self._waiting, self._is_sending = self._waiting, [], True
            reports = [report for said in batch for report in self._made(said)]
            while not closing.is_set() and not self._is_sent(reports):
                closing.wait(_RETRY_S)
            self._tell_beyond()
            with changed:
                if not closing.is_set():
                    self._is_sending = False
                changed.notify_all()

    def _tell_beyond(self) -> None:
        """Log how much found no room, once: nobody else will hear of it."""
        with self._changed:
            beyond, self._beyond = self._beyond, 0
        if beyond:
            logger.error(
                "%d system events were dropped: %d waited already for Redis", beyond, MOST_WAITING,
                extra={"action": "system_events_dropped"},
            )  # fmt: skip

    def _made(self, said: Said) -> list[Report]:
        try:
            return [self._make(said)]
        except Exception:
            # Details that are no JSON, say. Whoever said it is long gone.
            self.dropped += 1
            logger.exception("a system event could not be made", extra={"action": "system_event_failed"})
            return []

    def _is_sent(self, reports: list[Report]) -> bool:
        try:
            self._send(reports)
        except RedisUnavailableError as error:
            logger.warning("system events wait for Redis: %s", error, extra={"action": "system_events_wait"})
            return False
        except EventsysError:
            self.dropped += len(reports)
            logger.exception("Redis refused system events", extra={"action": "system_events_refused"})
        return True


_all: weakref.WeakSet[Reporter] = weakref.WeakSet()  # type: ignore[type-arg]


def _forget_all() -> None:
    for one in list(_all):
        one.forget()


os.register_at_fork(after_in_child=_forget_all)
