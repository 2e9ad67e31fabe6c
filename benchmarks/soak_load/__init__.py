"""Who publishes in the soak, in every way there is, until SIGTERM: `python -m benchmarks.soak_load RATE`."""

from __future__ import annotations

import signal
import threading
import time

from benchmarks.soak_app import DUE, HAPPENED, events, plain


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
