"""A worker process for tests of limits: `python -m tests.service.limits_app URL BUS THREADS`."""

from __future__ import annotations

import signal
import sys
import threading

from eventsys import Event, EventService
from eventsys.broker.lease import Lease
from eventsys.broker.worker import Worker

#: So short that a test need not wait 15 s for a takeover, and so long that a busy machine takes nobody living for dead.
LEASE = Lease(lease_ms=4_000, beat_s=0.5, scan_s=0.2)


def make(url: str, bus: str) -> EventService:
    """Return the service, with a handler of which two run at once at most, and one that anybody may run."""
    events = EventService(redis_url=url, name=bus, app="limits")
    events.broker.work.lease = LEASE
    link = events.broker.link

    @events.on("job.done", name="limited", concurrency=2, max_retries=0, timeout="60s")
    def limited(event: Event) -> None:
        """Note how many run at once; those that are to hold on do so until somebody says that they may end."""
        running = link.call("INCR", f"{bus}:running")
        link.call("ZADD", f"{bus}:most", "GT", running, "running")
        link.call("HINCRBY", f"{bus}:begun", event.id, 1)
        while event.payload.get("holds") and not link.call("EXISTS", f"{bus}:go-on"):
            threading.Event().wait(0.01)
        link.call("DECR", f"{bus}:running")

    return events


if __name__ == "__main__":
    service = make(sys.argv[1], sys.argv[2])
    worker = Worker(service.broker, worker_timeout=100, worker_threads=int(sys.argv[3]))
    worker.start()
    signal.sigwait([signal.SIGTERM])
    worker.stop()
    service.stop()
