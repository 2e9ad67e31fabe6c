"""Who publishes in the soak, in every way there is, until SIGTERM: `python -m benchmarks.soak_load RATE`."""

from __future__ import annotations

import signal
import threading
import time

from benchmarks.soak_app import DUE, HAPPENED, TASK, events, plain

#: Runs begun at once while the log of cron events is filled, and how many events may be open then.
_AT_ONCE, _MOST_OPEN = 25, 50


def main(rate: float) -> None:
    """Publish `rate` events a second, every other one through the buffer; now and then many at once, and for later."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    number, due_at = 0, time.monotonic()
    while not stopped.is_set():
        payload = {"number": number % 100, "text": "x" * 150, "sent_at": time.monotonic()}
        if number % 2:
            events.publish(HAPPENED, payload)
        else:
            events.publish_async(HAPPENED, payload)
        if number % 50 == 0:
            events.publish_many([(DUE, {"number": one}) for one in range(20)])
            plain.send(number)
            kept = events.schedule(DUE, {}, delay="30s")
            events.cancel(kept.id)
        number += 1
        due_at = max(due_at + 1 / rate, time.monotonic() - 1)
        stopped.wait(max(0.0, due_at - time.monotonic()))
    events.stop()


def fill(most: int) -> None:
    """Run the cron task by hand until so many events about cron tasks are kept, no faster than workers handle them.

    Each run is three of them: that it began, what runs it, and that it ended.
    """
    link, keys = events.broker.link, events.broker.keys
    while link.call("XLEN", keys.log("cron")) < most:
        for _ in range(_AT_ONCE):
            events.cron.run_now(TASK)
        _wait_until_open_are(_MOST_OPEN)
    _wait_until_open_are(0)
    events.stop()


def _wait_until_open_are(most: int) -> None:
    while events.broker.link.call("ZCARD", events.broker.keys.pending) > most:
        time.sleep(0.005)
