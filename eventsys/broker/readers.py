"""What reads the queues of a worker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from dramatiq.errors import ConnectionClosed

from eventsys.errors import EventsysError

from .broker import EventBroker
from .commit_trip import Fetched
from .consumer import EventConsumer
from .excess import GiveUp, give_up_nothing
from .messages import LogMessage, Place, Received
from .processing import process, refuse
from .worker_threads import PartThread, WorkerPart

#: Seconds before a queue is read again after an error: the first time, and at most.
RESTART_S = (0.2, 2.0)

#: Ticks that are fetched at first.
_TICKS_AT_ONCE = 32

#: Seconds a dispatcher waits after an event it could not dispatch, which would come back at once.
_FAILED_DISPATCH_S = 0.2

#: Takes messages that were fetched; it must not block for long.
Deliver = Callable[[Sequence[Received]], None]


class Reader(WorkerPart):
    """Fetches the messages of one queue and gives them to `deliver`.

    Args:
        broker: Where from.
        queue_name: The queue.
        threads: How many messages can be handled at once.
        timeout_ms: How long an empty queue is waited for at a time.
        deliver: Takes the messages.
        give_up: Hands back what was delivered and has not begun, where handlers stall.
    """

    def __init__(
        self,
        broker: EventBroker,
        queue_name: str,
        *,
        threads: int,
        timeout_ms: int,
        deliver: Deliver,
        give_up: GiveUp = give_up_nothing,
        **others: Any,
    ) -> None:
        super().__init__(broker, timeout_ms, **others)
        self._give_up = give_up
        self.queue_name = queue_name
        self.consumer: EventConsumer | None = None
        self._threads = threads
        self._deliver = deliver
        self._wait_s = RESTART_S[0]

    def wake(self) -> None:
        """End its wait for messages."""
        if (consumer := self.consumer) is not None:
            consumer.patience.wake()

    def read(self) -> None:
        """Fetch messages while `goes_on`; errors of Redis are outlasted."""
        while self.goes_on:
            try:
                self._consume()
            except (ConnectionClosed, EventsysError) as error:
                self._restart("Consumer of queue %r lost Redis: %s", self.queue_name, error)
            except Exception:
                self._restart("Consumer of queue %r failed.", self.queue_name, exc_info=True)

    @property
    def goes_on(self) -> bool:
        """Whether to fetch more."""
        return self.running and not self.paused

    def close(self) -> None:
        """Give back what was fetched and not delivered, and close the connection."""
        consumer, self.consumer = self.consumer, None
        if consumer is None:
            return
        try:
            consumer.close()
        except (ConnectionClosed, EventsysError) as error:
            self.broker.logger.warning("Queue %r could not be left: %s", self.queue_name, error)

    def room(self) -> int:
        """Return how many messages could begin at once while this waits for its queue to have some; else 0."""
        consumer = self.consumer
        return consumer.room() if consumer is not None and self.goes_on else 0

    def take_over(
        self, fetched: Fetched, holder: str, over: Collection[tuple[str, str, str]], deliver: Deliver
    ) -> None:
        """Have messages delivered that another thread of this process fetched for this one, while this waited for some.

        Args:
            fetched: The messages.
            holder: The name under which they were fetched.
            over: What was over before it could be noted here.
            deliver: Takes them.
        """
        if (consumer := self.consumer) is None:
            if not self.running:  # else the next one finds them
                stream, entries = fetched
                places = [Place(self.queue_name, 0, stream.decode(), entry.decode(), holder) for entry, _ in entries]
                self.broker.work.give_back(places)
            return
        try:
            messages = consumer.accept(fetched, holder, over=over)
            if self.broker.work.is_ending or self.broker.presence.is_paused(self.queue_name):
                self.broker.work.hand_back(messages)
                return
        except EventsysError:
            consumer.find_lost()
        else:
            self._hand_out(messages, deliver)

    def find_lost(self) -> None:
        """Look for messages that another thread fetched for this one, with an answer that was lost."""
        if (consumer := self.consumer) is not None:
            consumer.find_lost()

    def see_to(self, messages: Sequence[Received]) -> None:
        """Handle events or ticks, one after another, and have them committed soon: others cannot go on before."""
        for at, message in enumerate(messages):
            if not self.running:
                self.broker.work.hand_back(messages[at:])
                return
            process(self.broker, message)
            if isinstance(message, LogMessage) and message.targets is None:
                self.wait(_FAILED_DISPATCH_S)
        self.broker.work.committer.hurry()

    def _consume(self) -> None:
        consumer = self._opened()
        while self.goes_on:
            messages = consumer.take_all()
            self._wait_s = RESTART_S[0]
            self._hand_out(messages, self._deliver)
            if not messages and (excess := consumer.excess()):
                self._give_up(self.queue_name, excess)
            del messages

    def _opened(self) -> EventConsumer:
        if self.consumer is None:
            timeout_ms = int(self._timeout_s * 1000)
            self.consumer = self.broker.consume(self.queue_name, prefetch=2 * self._threads, timeout=timeout_ms)
            self.consumer.patience.lengthen()
        return self.consumer

    def _hand_out(self, messages: list[Received], deliver: Deliver) -> None:
        if not self.running:
            self.broker.work.hand_back(messages)
            return
        if None in [message.actor for message in messages]:
            for message in messages:
                if message.actor is None:
                    refuse(self.broker, message)
            messages = [message for message in messages if message.actor is not None]
        if messages:
            deliver(messages)

    def _restart(self, text: str, *facts: object, exc_info: bool = False) -> None:
        said = {"action": "consumer_failed" if exc_info else "consumer_waits", "queue": self.queue_name}
        self.broker.logger.critical(text, *facts, exc_info=exc_info, extra=said)
        self.close()
        self.wait(self._wait_s)
        self._wait_s = min(2 * self._wait_s, RESTART_S[1])


class ReaderThread(Reader, PartThread):
    """Reads a queue in a thread of its own."""

    def __init__(self, broker: EventBroker, queue_name: str, **how: Any) -> None:
        super().__init__(broker, queue_name, name=name_of(queue_name), **how)

    def run(self) -> None:
        """Fetch messages until stopped."""
        self.broker.emit_after("consumer_thread_boot", self)
        while self.running:
            if self.paused:
                self.rest()
            self.read()
        self.close()
        self.broker.emit_before("consumer_thread_shutdown", self)

    def _consume(self) -> None:
        # A process has one connection for each of its queues, and whatever else this thread asks goes over it too.
        with self.broker.link.over(self._opened().channel):
            super()._consume()


class TickReader(ReaderThread):
    """Reads the ticks of cron tasks and sees to them itself, so that handlers never stand in their way."""

    def __init__(self, broker: EventBroker, queue_name: str, *, timeout_ms: int) -> None:
        super().__init__(broker, queue_name, threads=_TICKS_AT_ONCE, timeout_ms=timeout_ms, deliver=self.see_to)


def name_of(queue_name: str) -> str:
    """Return what the reader of a queue is called."""
    return f"eventsys-consumer-{queue_name}"
