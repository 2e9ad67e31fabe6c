"""How the queues and the processes of a bus stand."""

from __future__ import annotations

from eventsys.clock import Clock
from eventsys.model.machinery import InHand, QueueState, WorkerProcess
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.machinery_look import MachineryLook
from eventsys.store.queue_control import QueueControl


class Machinery:
    """Looks at queues and processes.

    Attributes:
        control: What pauses and resumes queues.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        clock: The time.
    """

    def __init__(self, link: Link, keys: Keys, clock: Clock) -> None:
        self.control = QueueControl(link, keys)
        self._link = link
        self._keys = keys
        self._clock = clock

    def look(self) -> MachineryLook:
        """Return how all stands at this moment, for whoever asks several things: each is read once, when asked for."""
        return MachineryLook(self._link, self._keys, self._clock)

    def processes(self) -> list[WorkerProcess]:
        """Return the processes that have not ended, in the order they came."""
        return self.look().processes

    def queues(self) -> list[QueueState]:
        """Return the queues that some process ever read, sent to, or has actors of, the log first."""
        return self.look().queues

    def in_hand(self, limit: int = 20) -> list[InHand]:
        """Return some of the messages that processes hold, at most `limit` a lane, those held longest first."""
        return self.look().in_hand(limit)
