"""Telling of the processes of a bus: that they begin, end, die and hang."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from datetime import timedelta

from eventsys.broker.broker import EventBroker
from eventsys.bus.declarations import Declarations
from eventsys.bus.system_events import SystemEvents
from eventsys.middleware import Lifecycle

#: After how long a trouble is taken as ended that no process can report as ended, such as a dead process.
_TOLD = timedelta(hours=1)

#: Seconds that a process which is to be replaced takes to say so.
_LAST_WORD_S = 2.0


def tell_of_processes(
    broker: EventBroker, system: SystemEvents, declarations: Declarations, *, announce: bool
) -> Lifecycle:
    """Have a broker tell of its process, and of others that it finds dead; return what a process without workers calls.

    Args:
        broker: The broker of this process.
        system: What publishes.
        declarations: What this process subscribed.
        announce: Whether workers publish that they begin and end.
    """

    def hosted(queues: Iterable[str] | None) -> list[str]:
        wanted = None if queues is None else set(queues)
        return [one.actor_name for one in declarations.hosted() if wanted is None or one.queue_name in wanted]

    def lost(process: str, moved: int) -> None:
        system.warn(
            f"process:{process}",
            f"process {process} is gone without a word, and what it held was taken over; its log tells why it died",
            details={"worker": process, "moved": moved},
            lasts=_TOLD,
        )

    def stuck(actor_name: str) -> None:
        system.error(
            f"stuck:{actor_name}",
            f"{actor_name} did not react to its timeout, so its process is replaced; it hangs in code that cannot be"
            " interrupted",
            details={"actor": actor_name, "host": socket.gethostname(), "pid": os.getpid()},
            lasts=_TOLD,
        )
        system.flush(_LAST_WORD_S)

    def forged(letter_id: str, why: str) -> None:
        system.warn(
            "bad_signature",
            f"{why}; it was not handled, nor is anything else that is refused for its signature: dead letters"
            " with the reason 'bad_signature' are all of it, and somebody may write to Redis who should not",
            details={"dead_letter": letter_id},
            lasts=_TOLD,
        )

    broker.work.when_forged = forged
    broker.work.when_lost = lost
    broker.when_stuck = stuck
    lifecycle = Lifecycle(system.say, system.flush, broker.clock, hosted)
    if announce:
        broker.add_middleware(lifecycle)
    return lifecycle
