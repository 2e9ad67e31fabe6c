"""The bounded buffer behind `publish_async`, and the thread that empties it."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from eventsys.broker.callbacks import call_back
from eventsys.bus.drafting import Draft
from eventsys.bus.outage_log import OutageLog
from eventsys.bus.receipt import Receipt
from eventsys.errors import (
    BackpressureError,
    BufferFullError,
    EventConflictError,
    EventsysError,
    PublishUnknownError,
    RedisRefusedError,
    RedisUnavailableError,
)
from eventsys.model.event import Event
from eventsys.process_end import before_process_ends, not_before_process_ends
from eventsys.settings import BusSettings

#: Seconds between the first two tries while Redis is away.
_FIRST_WAIT_S = 0.1

logger = logging.getLogger(__name__)

Publish = Callable[[list[Draft], bool], Sequence[Event[Any] | EventConflictError]]
OnError = Callable[[Event[Any], Exception], None]


_Item = tuple[Draft, Receipt]


class Buffer:
    """Holds events until they are sent, in batches.

    What waits is sent at once when nothing is under way, and with what has gathered when a batch returns, so no event
    waits longer than one round trip while Redis answers. While it does not, events are kept and sent again under the
    same ids, at the latest every `flush_interval`, until the buffer is full.

    Args:
        publish: Stores drafts in one round trip and returns the event, or the conflict, of each; told whether they may
            be stored already, by a try of ours.
        settings: Sizes and times.
        on_error: Called with an event that is given up, and the error.
    """

    def __init__(self, publish: Publish, settings: BusSettings, on_error: OnError | None = None) -> None:
        self._publish = publish
        self._settings = settings
        self._on_error = on_error
        self._waiting: deque[_Item] = deque()
        self._sending: list[_Item] = []
        self._may_be_stored = False  # what is sent: a try is under way, or the reply to one was lost
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._outage = OutageLog()
        self.failed = 0

    def put(self, draft: Draft) -> Receipt:
        """Take an event, waiting for room if need be.

        Raises:
            BufferFullError: If there is no room within `publish_timeout`. The event was not taken.
            RuntimeError: If the system has no thread for it. The event was not taken.
        """
        receipt = Receipt(draft.event)
        limit, timeout = self._settings.buffer_size, self._settings.publish_timeout
        with self._changed:
            if not self._changed.wait_for(lambda: self._held() < limit or self._closing, timeout.total_seconds()):
                raise BufferFullError(
                    f"event {draft.event.id!r} was not accepted: {limit} events have been waiting to be sent for"
                    f" {timeout.total_seconds():g} s; is Redis up? (raise bus.buffer_size for longer bursts)"
                )
            if self._closing:
                raise BufferFullError(f"event {draft.event.id!r} was not accepted: this publisher is closed")
            self._have_thread()
            self._waiting.append((draft, receipt))
            self._changed.notify_all()
        return receipt

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything taken so far is sent, and say whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._held() == 0, timeout_s)

    def close(self) -> list[Event[Any]]:
        """Send what waits for at most `flush_timeout`, and return what could not be sent; that is logged and kept."""
        not_before_process_ends(self.close)
        with self._changed:
            # In one step: what another thread put in between would be neither sent nor refused.
            self._changed.wait_for(lambda: self._held() == 0, self._settings.flush_timeout.total_seconds())
            self._closing = True
            # A batch that was refused is sent one by one: its first events may be stored, or have failed.
            unsent = [one for one in (*self._sending, *self._waiting) if not one[1].is_done]
            unknown = {draft.event.id for draft, _ in self._sending} if self._may_be_stored else set()
            self._waiting.clear()
            self._changed.notify_all()
        if unsent:
            self._give_up(unsent, unknown)
        return [draft.event for draft, _ in unsent]

    def _have_thread(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="eventsys-flusher", daemon=True)
            thread.start()
            self._thread = thread  # last: what is here runs
            before_process_ends(self.close)

    def _held(self) -> int:
        return len(self._waiting) + len(self._sending)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if self._closing:
                    return
                size = min(len(self._waiting), self._settings.batch_size)
                self._sending = [self._waiting.popleft() for _ in range(size)]
                self._may_be_stored = True
            self._send(self._sending)
            with self._changed:
                self._sending = []
                self._changed.notify_all()

    def _send(self, batch: list[_Item], may_be_stored: bool = False) -> None:
        """Send a batch for as long as it takes; once this buffer is closed, what is unsent is given up."""
        waits = waits_s(self._settings.flush_interval.total_seconds())
        while not self._closing:
            try:
                outcomes = self._publish([draft for draft, _ in batch], may_be_stored)
            except (RedisUnavailableError, BackpressureError) as error:
                may_be_stored = may_be_stored or getattr(error, "may_have_run", False)
                self._wait(error, next(waits), may_be_stored)
            except Exception as error:
                self._refused(batch, error, may_be_stored)
                return
            else:
                self._outage.ends(len(batch), len(self._waiting), time.monotonic())
                for (draft, receipt), outcome in zip(batch, outcomes, strict=True):
                    if isinstance(outcome, EventConflictError):
                        self._fail(draft, receipt, outcome)
                    else:
                        receipt.resolve(outcome)
                return

    def _wait(self, error: EventsysError, wait_s: float, may_be_stored: bool) -> None:
        self._may_be_stored = may_be_stored
        self._outage.goes_on(self._held(), error, time.monotonic())
        with self._changed:
            is_closing = self._changed.wait_for(lambda: self._closing, wait_s)
            self._may_be_stored = may_be_stored or not is_closing  # else the next try is under way from here on

    def _refused(self, batch: list[_Item], error: Exception, may_be_stored: bool) -> None:
        if len(batch) == 1:
            [(draft, receipt)] = batch
            if may_be_stored and isinstance(error, RedisRefusedError):
                # Of this try; the one before it may have stored the event.
                unknown = PublishUnknownError(
                    f"event {draft.event.id!r} may or may not be stored: a reply was lost, and Redis refused the next"
                    f" try ({error}); publishing it again under this id is safe",
                    event_id=draft.event.id,
                )
                unknown.__cause__ = error
                return self._fail(draft, receipt, unknown)
            return self._fail(draft, receipt, error)
        # One event of the batch is at fault; each is judged by itself.
        for one in batch:
            self._send([one], may_be_stored)
        return None

    def _fail(self, draft: Draft, receipt: Receipt, error: Exception) -> None:
        if receipt.is_done:
            return  # it was given up when this buffer closed, or stored just then: nobody is told twice
        self.failed += 1
        receipt.fail(error)
        logger.error(
            "event %s could not be published: %s", draft.event.id, error,
            extra={"action": "publish_failed", "event_id": draft.event.id},
        )  # fmt: skip
        tell = self._on_error
        if tell is not None:
            call_back(lambda: tell(draft.event, error), "on_publish_error")

    def _give_up(self, unsent: list[_Item], unknown: set[str]) -> None:
        ids = [draft.event.id for draft, _ in unsent]
        logger.error(
            "%d events were given up before this process ended, of which %d may be stored all the same; publishing them"
            " again under their ids is safe: %s", len(ids), len(unknown & set(ids)), ", ".join(ids),
            extra={"action": "events_unsent", "count": len(ids)},
        )  # fmt: skip
        if self._settings.unsent_path is not None:
            _write_down(self._settings.unsent_path, unsent)
        for draft, receipt in unsent:
            self._fail(draft, receipt, _given_up(draft.event.id, draft.event.id in unknown))


def _given_up(event_id: str, may_be_stored: bool) -> RedisUnavailableError:
    if not may_be_stored:
        return RedisUnavailableError(f"event {event_id!r} was not sent: Redis is away")
    return PublishUnknownError(
        f"event {event_id!r} may or may not be stored: its publisher was closed before Redis answered; publishing it"
        " again under this id is safe",
        event_id=event_id,
    )


def _write_down(path: Path, unsent: list[_Item]) -> None:
    """Write events into a file; where that cannot be, who published them is told all the same."""
    try:
        with path.open("a", encoding="utf-8") as file:
            for draft, _ in unsent:
                file.write(json.dumps({"envelope": draft.envelope}) + "\n")
    except OSError as error:
        logger.exception(
            "unsent events could not be written to %s: %s", path, error.strerror,
            extra={"action": "unsent_lost", "count": len(unsent)},
        )  # fmt: skip


def waits_s(longest_s: float) -> Iterator[float]:
    """Give the seconds between one try and the next: doubling, up to `longest_s`."""
    wait_s = min(_FIRST_WAIT_S, longest_s)
    while True:
        yield wait_s
        wait_s = min(longest_s, 2 * wait_s)
