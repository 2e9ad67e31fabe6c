"""The least that could be called a worker: one thread that reads, calls the handler, and commits by our own script.

It has no lease, limits, attempts, hooks, retries or hand-off, and commits nothing that a handler published. What it
does not reach no worker with one thread reaches on the same Redis; what `eventsys worker` is slower is the price of all
those.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec

from benchmarks import own_app
from benchmarks.own_app import EVENT_TYPE, QUEUE
from eventsys import EventService
from eventsys.broker.endings import DONE, Ending
from eventsys.model.envelope import decode_event
from eventsys.store.commit_batch import Attempt, CommitBatch
from eventsys.store.keys import GROUP, LOG_QUEUE
from eventsys.store.link import run_script
from eventsys.store.scripts import script

#: As many as a worker that is fed well reads at once.
_AT_ONCE = 256

_PROCESS = "floor"

_decode = msgspec.json.Decoder().decode


class Floor:
    """Takes what is on the normal lanes of the log and the queue to its end."""

    def __init__(self, events: EventService) -> None:
        self._events, self._broker = events, events.broker
        events.bus.prepare()
        self._channel = self._broker.link.channel()
        self._log, self._queue = (self._broker.keys.lane(queue, 5) for queue in (LOG_QUEUE, QUEUE))
        # Under a lease that does not end.
        self._channel.call("ZADD", self._broker.keys.processes, 2**50, _PROCESS)
        run_script(self._channel, script("create_groups"), self._broker.keys.prefix, self._log, self._queue)

    def run(self) -> None:
        """Go on until the process is ended."""
        read = ("XREADGROUP", "GROUP", GROUP, _PROCESS, "COUNT", _AT_ONCE, "BLOCK", 1000)
        while True:
            reply = self._channel.call(*read, "STREAMS", self._log, self._queue, ">", ">")
            for stream, entries in reply or ():
                name = stream.decode()
                self._commit([(name, entry.decode(), self._ending(fields), [], None) for entry, fields in entries])

    def _ending(self, fields: list[bytes]) -> Ending:
        """Handle one entry, and return how it ends."""
        if fields[0] == b"m":
            message = _decode(fields[1])
            own_app.do_nothing(*message["args"])
            return DONE
        if fields[0] == b"s":
            event: Any = decode_event(fields[3], dict)
            own_app.handle(event)
            number = int(fields[1].rpartition(b"_")[2]) + 1
            return ("ended", event.id, number, "s1795480641690,467,1", True, EVENT_TYPE, 12, 467)
        envelope = fields[1].decode()
        route = self._events.bus.router.route(envelope)
        return ("dispatched", route.event_id, route.version, 5, envelope, route.targets, route.event_type, False)

    def _commit(self, attempts: list[Attempt]) -> None:
        arguments = CommitBatch(attempts).arguments()
        now_ms, retention_ms = self._broker.clock.now_ms(), self._broker.work.retention_ms
        told = run_script(
            self._channel, script("commit"), self._broker.keys.prefix, now_ms, _PROCESS, retention_ms, *arguments
        )
        assert len(told) == 1, told


def run() -> None:
    """Work on the Redis at REDIS_URL until killed."""
    Floor(own_app.declare(os.environ["REDIS_URL"]).events).run()
