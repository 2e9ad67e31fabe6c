"""A worker that a test runs in its own thread."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn

from eventsys.broker.batch import Batch
from eventsys.broker.batch_processing import open_batch, process_batch
from eventsys.broker.broker import EventBroker
from eventsys.broker.collecting import Collecting, takes_batches
from eventsys.broker.consumer import EventConsumer
from eventsys.broker.loop_runner import begin, belongs_on_loop, conclude, handle
from eventsys.broker.messages import LogMessage, Received
from eventsys.broker.processing import process, refuse
from eventsys.errors import EventsysError
from eventsys.model.priority import LANES
from eventsys.store.keys import INLINE_QUEUE, LOG_QUEUE
from eventsys.store.scripts import script
from eventsys.testing.coroutines import Coroutines

#: Messages of a queue fetched at once: the most a real worker takes, so that the order does not depend on its speed.
FETCHED_AT_ONCE = 512

#: Real seconds after which the lease is renewed, and dead processes are looked for.
_TEND_S = 2.0


class WorkerDiedError(BaseException):
    """Leaves a handler whose worker dies; no `except Exception` in it holds it up."""


class HandWorker:
    """Fetches, handles and commits what the queues of a broker hold, when it is told to.

    Everything but the threads is a worker's own: the consumers with their lanes, the hooks, the attempt and its commit.
    It dispatches what is in the log first; then it handles the queues, one after another, each as a worker fetches it.
    Deliveries that are handled many at once are gathered until there are enough, or nothing else is left to do.

    Args:
        broker: The broker; its work is done by hand.
        handled: Called after every message; what it raises ends the run, and what is not begun stays for the next.
        enforce_limits: Whether coroutine handlers are ended at their limit, in real time.
    """

    def __init__(
        self, broker: EventBroker, *, handled: Callable[[Received], None], enforce_limits: bool = True
    ) -> None:
        self.broker = broker
        self._handled = handled
        self._enforce_limits = enforce_limits
        self._consumers: dict[str, EventConsumer] = {}
        self._fetched: dict[str, deque[Received]] = {}
        self._collecting = Collecting(lambda: broker.work.in_flight)
        self._batches: deque[Batch] = deque()
        self._coroutines = Coroutines()
        self._tended_at = float("-inf")
        self._addressed: set[str] = set()
        self._dispatched_to: dict[int, bytes] = {}
        #: When something is due in the delayed store, as it was found after the queues were drained; None: never.
        self.next_ms: int | None = None

    def start(self) -> None:
        """Tell the middleware that a worker starts, as every worker does."""
        self.broker.emit_before("worker_boot", self)
        self.broker.presence.appear()
        self.broker.emit_after("worker_boot", self)

    def stop(self) -> None:
        """Hand back what is not begun, and tell the middleware that the worker is gone."""
        self.broker.emit_before("worker_shutdown", self)
        for batch in [*self._batches, *self._collecting.take_all()]:
            self.broker.work.hand_back(batch.deliveries)
        self._batches.clear()
        for queue, fetched in self._fetched.items():
            self._consumers[queue].requeue(fetched)
            fetched.clear()
        for consumer in self._consumers.values():
            consumer.close()
        self._coroutines.close()
        self.broker.emit_after("worker_shutdown", self)

    def drain(self) -> int:
        """Handle what there is, and what comes of it, until no queue holds anything; return how many messages."""
        count, queues, has_looked = 0, [LOG_QUEUE], False
        while True:
            self.tend()
            found = sum(self._serve(queue) for queue in queues)
            count += found
            if has_looked and not found:
                queues = []  # what is there is others': a lease has to end first
            else:
                addressed, self._addressed = self._addressed & self.broker.get_declared_queues(), set()
                queues, has_looked = (sorted(addressed), False) if addressed else (self._occupied(), True)
            if not queues:
                if not self._serve_gathered():
                    return count
                queues, has_looked = [LOG_QUEUE], False

    def tend(self, *, at_once: bool = False) -> None:
        """Renew the lease, take over from dead processes, and look after subscriptions; by itself each few seconds."""
        clock, presence = self.broker.clock, self.broker.presence
        if not at_once and clock.monotonic() - self._tended_at < _TEND_S:
            return
        presence.beat()
        self.broker.work.look()
        presence.scan()
        self.broker.work.after_scan()
        self._tended_at = clock.monotonic()

    def die(self) -> NoReturn:
        """End the lease, as the supervisor does for a dead worker, and leave the handler: nothing of it can commit."""
        broker = self.broker
        broker.link.call("ZADD", broker.keys.processes, 0, broker.presence.name)
        self._tended_at = float("-inf")
        raise WorkerDiedError

    def _occupied(self) -> list[str]:
        """Return the queues that hold something, with one look at all of them.

        An entry leaves its queue with its commit, and stays in the log: there it is the newest that tells.
        """
        link, prefix = self.broker.link, self.broker.keys.prefix
        queues = sorted(self.broker.get_declared_queues() - {LOG_QUEUE, INLINE_QUEUE})
        lengths, newest, next_ms = link.run(script("look"), prefix, *queues)
        self.next_ms = None if next_ms < 0 else int(next_ms)
        occupied = [queue for queue, length in zip(queues, lengths, strict=True) if length or self._fetched.get(queue)]
        is_behind = any(
            entry and entry != self._dispatched_to.get(lane) for lane, entry in zip(LANES, newest, strict=True)
        )
        if is_behind or self._fetched.get(LOG_QUEUE) or self.broker.presence.queues.have_leftovers(LOG_QUEUE):
            occupied.insert(0, LOG_QUEUE)
        return occupied

    def _serve(self, queue: str) -> int:
        """Handle what is fetched of a queue, or else can be fetched now."""
        fetched = self._fetched.setdefault(queue, deque())
        if not fetched:
            fetched.extend(self._consumer(queue).take_all())
        count = 0
        while fetched:
            message = fetched.popleft()
            if takes_batches(message):
                self._batches += self._collecting.add([message], 0.0)
                self._serve_batches()
            else:
                self._handle(message)
            count += 1
        return count

    def _serve_gathered(self) -> bool:
        """Handle what has gathered of each subscription, and say whether there was any."""
        self._batches += self._collecting.take_all()
        return self._serve_batches()

    def _serve_batches(self) -> bool:
        had_any = bool(self._batches)
        while self._batches:
            batch = self._batches.popleft()
            deliveries = list(batch.deliveries)
            self._handle_batch(batch)
            for one in deliveries:
                self._handled(one)
        return had_any

    def _handle_batch(self, batch: Batch) -> None:
        if not belongs_on_loop(batch):
            contextvars.Context().run(process_batch, self.broker, batch)
            return
        alone = open_batch(self.broker, batch)
        if batch.deliveries:
            self._handle_on_loop(batch)
        for one in alone:
            self._handle(one)

    def _consumer(self, queue: str) -> EventConsumer:
        if queue not in self._consumers:
            self._consumers[queue] = self.broker.consume(queue, prefetch=2 * FETCHED_AT_ONCE, timeout=0)
        return self._consumers[queue]

    def _handle(self, message: Received) -> None:
        if message.actor is None:
            refuse(self.broker, message)
        elif belongs_on_loop(message):
            self._handle_on_loop(message)
        else:
            contextvars.Context().run(process, self.broker, message)
        if isinstance(message, LogMessage) and message.targets is None:
            # It is handed back, and would come again for ever.
            raise EventsysError(f"an event could not be dispatched: {message.error}") from message.error
        if isinstance(message, LogMessage):
            self._addressed.update((message.targets or [])[2::4])
            self._dispatched_to[message.place.lane] = message.place.entry.encode()
        self._handled(message)

    def _handle_on_loop(self, message: Received) -> None:
        actor: Any = message.actor
        context = contextvars.Context()  # as a worker's: nothing of whoever published travels with a message
        if not context.run(begin, self.broker, message):
            return
        error: BaseException | None = None
        if not message.failed:
            limit_ms = actor.timeout_ms if self._enforce_limits else None
            error = self._coroutines.run(handle(message, limit_ms), context)
        context.run(conclude, self.broker, message, error)
