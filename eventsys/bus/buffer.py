"""The bounded buffer behind `publish_async`, and the thread that empties it."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from eventsys.bus.drafting import Draft
from eventsys.bus.receipt import Receipt
from eventsys.errors import BackpressureError, BufferFullError, EventsysError, RedisUnavailableError
from eventsys.model.event import Event
from eventsys.settings import BusSettings

#: Seconds between tries while Redis is away: the first, and the longest.
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 1.0

logger = logging.getLogger(__name__)

Publish = Callable[[list[Draft]], list[Event[Any]]]


class Buffer:
    """Holds events until they are sent, in batches.

    What waits is sent at once when nothing is under way, and with what has gathered when a batch returns, so no event
    waits longer than one round trip while Redis answers. While it does not, events are kept and sent again under the
    same ids, until the buffer is full.

    Args:
        publish: Stores drafts and returns the events, in one round trip.
        settings: Sizes and times.
        on_error: Called with an event that will never be stored, and the error.
    """

    def __init__(
        self, publish: Publish, settings: BusSettings, on_error: Callable[[Event[Any], Exception], None] | None = None
    ) -> None:
        self._publish = publish
        self._settings = settings
        self._on_error = on_error
        self._waiting: deque[tuple[Draft, Receipt]] = deque()
        self._sending = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self.failed = 0

    def put(self, draft: Draft) -> Receipt:
        """Take an event, waiting for room if need be.

        Raises:
            BufferFullError: If there is no room within `publish_timeout`. The event was not taken.
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
            self._waiting.append((draft, receipt))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="eventsys-flusher", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return receipt

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything taken so far is sent, and say whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._held() == 0, timeout_s)

    def close(self) -> list[Event[Any]]:
        """Send what waits for at most `flush_timeout`, and return what could not be sent; that is logged and kept."""
        complete = self.flush(self._settings.flush_timeout.total_seconds())
        with self._changed:
            self._closing = True
            unsent = [] if complete else [draft for draft, _ in self._waiting]
            self._changed.notify_all()
        if unsent:
            self._give_up(unsent)
        return [draft.event for draft in unsent]

    def _held(self) -> int:
        return len(self._waiting) + self._sending

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if self._closing:
                    return
                size = min(len(self._waiting), self._settings.batch_size)
                batch = [self._waiting.popleft() for _ in range(size)]
                self._sending = size
            self._send(batch)
            with self._changed:
                self._sending = 0
                self._changed.notify_all()

    def _send(self, batch: list[tuple[Draft, Receipt]]) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                events = self._publish([draft for draft, _ in batch])
            except (RedisUnavailableError, BackpressureError) as error:
                logger.warning(
                    "%d buffered events wait: %s",
                    len(batch),
                    error,
                    extra={"action": "flush_waits", "count": len(batch)},
                )
                if self._closing:
                    return self._put_back(batch)
                time.sleep(wait_s)
                wait_s = min(_LONGEST_WAIT_S, wait_s * 2)
            except EventsysError as error:
                return self._fail(batch, error)
            else:
                for (_, receipt), event in zip(batch, events, strict=True):
                    receipt.resolve(event)
                return None

    def _fail(self, batch: list[tuple[Draft, Receipt]], error: EventsysError) -> None:
        if len(batch) > 1:
            # One event of the batch is at fault; each is judged by itself.
            for one in batch:
                self._send([one])
            return
        [(draft, receipt)] = batch
        self.failed += 1
        receipt.fail(error)
        logger.error(
            "event %s could not be published: %s", draft.event.id, error,
            extra={"action": "publish_failed", "event_id": draft.event.id},
        )  # fmt: skip
        if self._on_error is not None:
            self._on_error(draft.event, error)

    def _put_back(self, batch: list[tuple[Draft, Receipt]]) -> None:
        with self._changed:
            self._waiting.extendleft(reversed(batch))

    def _give_up(self, unsent: list[Draft]) -> None:
        ids = [draft.event.id for draft in unsent]
        logger.error(
            "%d events were not sent before this process ended: %s", len(ids), ", ".join(ids),
            extra={"action": "events_unsent", "count": len(ids)},
        )  # fmt: skip
        if self._settings.unsent_path is not None:
            with self._settings.unsent_path.open("a", encoding="utf-8") as file:
                for draft in unsent:
                    file.write(json.dumps({"envelope": draft.envelope}) + "\n")
