"""A worker process for tests that kill it: `python -m tests.broker.crash_app URL THREADS`."""

from __future__ import annotations

import os
import signal
import sys
import threading

import dramatiq
from dramatiq import Worker

from eventsys.broker.broker import EventBroker
from eventsys.broker.lease import Lease
from eventsys.middleware import default_middleware
from eventsys.scheduling.poller import PollerMiddleware

#: A fortieth of the usual figures, so that a test need not wait 15 s for a takeover.
LEASE = Lease(lease_ms=600, beat_s=0.15, scan_s=0.1)


def make(url: str) -> EventBroker:
    """Return the broker, with its actors declared."""
    broker = EventBroker(url, middleware=[*default_middleware(), PollerMiddleware()], lease=LEASE)
    dramatiq.set_broker(broker)

    @dramatiq.actor(actor_name="note")
    def note(number):
        broker.link.call("HINCRBY", "handled", number, 1)

    @dramatiq.actor(actor_name="hold")
    def hold(number):
        broker.link.call("HINCRBY", "started", number, 1)
        threading.Event().wait(60)

    @dramatiq.actor(actor_name="crash")
    def crash():
        broker.link.call("INCR", "crashed")
        os.kill(os.getpid(), signal.SIGSEGV)
        threading.Event().wait(60)

    return broker


if __name__ == "__main__":
    worker = Worker(make(sys.argv[1]), worker_timeout=100, worker_threads=int(sys.argv[2]))
    worker.start()
    signal.sigwait([signal.SIGTERM])
    worker.stop()
    worker.broker.close()
