"""The threads of a worker: those that fetch, those that handle, and those that dispatch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from dramatiq.errors import ConnectionClosed

from eventsys.errors import EventsysError

from .batch import Batch
from .batch_processing import process_batch
from .broker import EventBroker
from .consumer import EventConsumer
from .dispatching import dispatch_all
from .handoff import Handoff
from .messages import LogMessage, Received
from .processing import process, refuse

#: Seconds before a queue is read again after an error: the first time, and at most.
RESTART_S = (0.2, 2.0)

#: Seconds the dispatcher waits after an event it could not dispatch, which would come back at once.
_FAILED_DISPATCH_S = 0.2


class WorkerPart(threading.Thread):
    """A thread of a worker that can be paused and stopped.

    Attributes:
        running: Whether it has not been told to stop.
        has_started: Whether it has begun to run; before that it does not count as ended.
        paused: Whether it has been told to pause.
        paused_event: Set while it rests.
    """

    def __init__(self, broker: EventBroker, name: str, timeout_ms: int) -> None:
        super().__init__(name=name, daemon=True)
        self.broker = broker
        self.running = True
        self.has_started = False
        self.paused = False
        self.paused_event = threading.Event()
        self._timeout_s = timeout_ms / 1000
        self._told = threading.Event()

    def start(self) -> None:
        """Begin to run."""
        super().start()
        self.has_started = True

    def pause(self) -> None:
        """Rest after what is being done; `paused_event` is set then."""
        self.paused_event.clear()
        self._told.clear()
        self.paused = True

    def resume(self) -> None:
        """Go on."""
        self.paused = False
        self.paused_event.clear()
        self._told.set()

    def stop(self) -> None:
        """End after what is being done; join the thread to know when."""
        self.running = False
        self._told.set()

    def wake(self) -> None:
        """Have it look around now, should it wait for something; to be repeated until it has."""

    def rest(self) -> None:
        """Stand still until `resume` or `stop`."""
        self.paused_event.set()
        self._told.wait()

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond `stop`."""
        if self.running:
            self._told.clear()
            if self.running:
                self._told.wait(seconds)


class WorkerThread(WorkerPart):
    """Handles messages, one after another, from what was handed to it."""

    def __init__(self, broker: EventBroker, handoff: Handoff, timeout_ms: int, label: int | str) -> None:
        super().__init__(broker, f"eventsys-worker-{label}", timeout_ms)
        self._handoff = handoff
        self._hand = handoff.new_hand()

    def run(self) -> None:
        """Handle messages until stopped."""
        self.broker.emit_after("worker_thread_boot", self)
        while self.running:
            if self.paused:
                self.rest()
                continue
            try:
                message = self._hand.popleft()
            except IndexError:
                self._handoff.fill(self._hand, self._timeout_s)
                continue
            if isinstance(message, Batch):
                process_batch(self.broker, message)
            else:
                process(self.broker, message)
            del message  # it may be large, and the next one may be long in coming
        self.broker.emit_before("worker_thread_shutdown", self)


class ConsumerThread(WorkerPart):
    """Fetches the messages of one queue and gives them to `deliver`.

    Args:
        broker: Where from.
        queue_name: The queue.
        threads: How many messages can be handled at once.
        timeout_ms: How long an empty queue is waited for at a time.
        deliver: Takes the messages; it must not block for long.
    """

    def __init__(
        self,
        broker: EventBroker,
        queue_name: str,
        *,
        threads: int,
        timeout_ms: int,
        deliver: Callable[[Sequence[Received]], None],
    ) -> None:
        super().__init__(broker, f"eventsys-consumer-{queue_name}", timeout_ms)
        self.queue_name = queue_name
        self.consumer: EventConsumer | None = None
        self._threads = threads
        self._deliver = deliver
        self._wait_s = RESTART_S[0]

    def wake(self) -> None:
        """End its wait for messages."""
        if (consumer := self.consumer) is not None:
            consumer.patience.wake()

    def run(self) -> None:
        """Fetch messages until stopped; errors of Redis are outlasted."""
        self.broker.emit_after("consumer_thread_boot", self)
        while self.running:
            if self.paused:
                self.rest()
                continue
            try:
                self._consume()
            except (ConnectionClosed, EventsysError) as error:
                self._restart("Consumer of queue %r lost Redis: %s", self.queue_name, error)
            except Exception:
                self._restart("Consumer of queue %r failed.", self.queue_name, exc_info=True)
        self.close()
        self.broker.emit_before("consumer_thread_shutdown", self)

    def close(self) -> None:
        """Give back what was fetched and not delivered, and close the connection."""
        consumer, self.consumer = self.consumer, None
        if consumer is None:
            return
        try:
            consumer.close()
        except (ConnectionClosed, EventsysError) as error:
            self.broker.logger.warning("Queue %r could not be left: %s", self.queue_name, error)

    def _consume(self) -> None:
        if self.consumer is None:
            timeout_ms = int(self._timeout_s * 1000)
            self.consumer = self.broker.consume(self.queue_name, prefetch=2 * self._threads, timeout=timeout_ms)
            self.consumer.patience.lengthen()
        while self.running and not self.paused:
            messages = self.consumer.take_all()
            self._wait_s = RESTART_S[0]
            if messages:
                self._hand_out(messages)
            del messages

    def _hand_out(self, messages: list[Received]) -> None:
        if not self.running:
            self.broker.work.hand_back(messages)
            return
        if None in [message.actor for message in messages]:
            for message in messages:
                if message.actor is None:
                    refuse(self.broker, message)
            messages = [message for message in messages if message.actor is not None]
        if messages:
            self._deliver(messages)

    def _restart(self, text: str, *facts: object, exc_info: bool = False) -> None:
        said = {"action": "consumer_failed" if exc_info else "consumer_waits", "queue": self.queue_name}
        self.broker.logger.critical(text, *facts, exc_info=exc_info, extra=said)
        self.close()
        self.wait(self._wait_s)
        self._wait_s = min(2 * self._wait_s, RESTART_S[1])


class DispatcherThread(ConsumerThread):
    """Fetches events from the log, or ticks, and sees to them itself, so that handlers never stand in their way."""

    #: What it fetches at first; at 50 µs an event this is two milliseconds.
    AT_ONCE = 32

    def __init__(self, broker: EventBroker, queue_name: str, *, timeout_ms: int) -> None:
        super().__init__(broker, queue_name, threads=self.AT_ONCE, timeout_ms=timeout_ms, deliver=self._dispatch)

    def _dispatch(self, messages: Sequence[Received]) -> None:
        messages = dispatch_all(self.broker, messages)
        for at, message in enumerate(messages):
            if not self.running:
                self.broker.work.hand_back(messages[at:])
                return
            process(self.broker, message)
            if isinstance(message, LogMessage) and message.targets is None:
                self.wait(_FAILED_DISPATCH_S)
        self.broker.work.committer.hurry()
