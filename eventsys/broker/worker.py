"""The worker of a process: what `eventsys worker` runs in place of Dramatiq's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dramatiq import Actor, Broker, Middleware

from eventsys.errors import EventsysError
from eventsys.store.keys import CRON_QUEUE, LOG_QUEUE

from .actor import HandlerActor
from .batch import deliveries_of
from .begun_board import BegunBoard
from .broker import EventBroker
from .collecting import Collecting, takes_batches
from .handoff import Hand, Handoff
from .log_reader import LogReader
from .loop_runner import LoopRunner, belongs_on_loop
from .messages import Received
from .readers import Deliver, ReaderThread, TickReader
from .worker_threads import WorkerThread

#: Milliseconds an empty queue is waited for at a time, and so the longest that stopping takes when nothing runs.
WORKER_TIMEOUT = 1000

#: Seconds until a thread that is to end, or to rest, is woken once more.
_WAKE_S = 0.2

#: Threads of the broker that begin with their first use and never end before it is closed.
_SHARED_THREADS = {"eventsys-committer", "eventsys-presence", "eventsys-interrupts", "eventsys-hard-limits"}


class Worker:
    """Handles the messages of all declared queues, those declared later too.

    It has the interface of `dramatiq.Worker` and sends the same signals to the middleware, but is three things more: it
    passes messages to its threads in chunks, which is faster; it dispatches events and looks at the ticks of cron tasks
    in threads of their own, which long handlers cannot hold up; and it runs coroutine handlers on the event loop, where
    they need no thread.

    Of Dramatiq's parts that its documentation does not describe it uses these, each covered by a test:
    `MessageProxy.failed`, `.fail`, `.stuff_exception` and `.clear_exception`; `Actor.fn`, `.priority` and `.options`;
    `dramatiq.asyncio.get_event_loop_thread` and `EventLoopThread` with its `loop`; the signals' names;
    `dramatiq.middleware.time_limit.TimeLimitExceeded`; the message option `notify_shutdown`.

    Args:
        broker: The broker. One worker a process.
        queues: The queues to read; None: all.
        worker_threads: How many plain handlers run at once.
        worker_timeout: Milliseconds an empty queue is waited for at a time.
        async_concurrency: How many coroutine handlers run at once.
    """

    def __init__(
        self,
        broker: EventBroker,
        *,
        queues: Iterable[str] | None = None,
        worker_threads: int = 8,
        worker_timeout: int = WORKER_TIMEOUT,
        async_concurrency: int = 100,
    ) -> None:
        self.broker = broker
        self.queues = set(queues) if queues is not None else None
        self.worker_threads = worker_threads
        self.worker_timeout = worker_timeout
        self.async_concurrency = async_concurrency
        self.consumers: dict[str, ReaderThread | LogReader] = {}
        self.workers: list[WorkerThread] = []
        self.is_running = False
        self._seen_threads: set[str] = set()
        self._handoff = Handoff(worker_threads, Collecting(lambda: broker.work.in_flight))
        self._on_loop = LoopRunner(broker, async_concurrency, self._handoff.put)
        self._aside = Handoff(1)
        self._has_aside = False
        self._telling = threading.Lock()

    def start(self) -> None:
        """Start all threads, and read every declared queue."""
        self.broker.emit_before("worker_boot", self)
        self.is_running = True
        self.broker.add_middleware(_NewQueues(self))
        for _ in range(self.worker_threads):
            self._add_thread()
        self.broker.emit_after("worker_boot", self)

    def read(self, queue_name: str) -> None:
        """Read one more queue, unless it is read already or not among `queues`."""
        if queue_name in self.consumers or (self.queues is not None and queue_name not in self.queues):
            return
        consumer: ReaderThread | LogReader
        if queue_name == LOG_QUEUE:
            consumer = LogReader(
                self.broker, queue_name, timeout_ms=self.worker_timeout, handoff=self._handoff,
                reader_of=self.consumers.get, deliver=self._deliver,
            )  # fmt: skip
            self._add_thread()
        elif queue_name == CRON_QUEUE:
            consumer = TickReader(self.broker, queue_name, timeout_ms=self.worker_timeout)
        else:
            threads = self.worker_threads + (self.async_concurrency if self._hosts_coroutines(queue_name) else 0)
            consumer = ReaderThread(
                self.broker, queue_name, threads=threads, timeout_ms=self.worker_timeout, deliver=self._deliver,
                give_up=self._give_up,
            )  # fmt: skip
        self.consumers[queue_name] = consumer
        consumer.start()

    def leave(self, queue_name: str) -> ReaderThread | LogReader:
        """Read a queue no longer, and return its reader, which is about to end."""
        consumer = self.consumers.pop(queue_name)
        consumer.stop()
        return consumer

    def pause(self) -> None:
        """Begin nothing more, and return when every thread rests: running handlers end first."""
        with self._telling:
            self._on_loop.paused = True
            parts = self._parts()  # only those that are told are waited for
            for part in parts:
                part.pause()
        self._handoff.wake()
        self._aside.wake()
        for part in parts:
            part.wake()
            while part.running and not part.paused_event.wait(_WAKE_S):
                part.wake()

    def resume(self) -> None:
        """Go on after a pause."""
        with self._telling:
            for part in self._parts():
                part.resume()
            self._on_loop.resume()

    def stop(self, timeout: int = 600_000) -> None:
        """Stop: fetch nothing more, hand back what is not begun, let running handlers end, commit.

        Args:
            timeout: Milliseconds that running handlers may take. What runs longer goes on, and its message is
                taken over by another process when this one ends.
        """
        deadline = time.monotonic() + timeout / 1000
        self.broker.emit_before("worker_shutdown", self)
        self.broker.logger.info("Shutting down...")
        self.is_running = False
        self._on_loop.paused = True
        for part in self._parts():
            part.stop()
        self._handoff.wake()
        self._aside.wake()
        self._hand_back()
        for consumer in list(self.consumers.values()):
            join_waking(consumer, deadline)
        self._hand_back()
        for thread in self.workers:
            thread.stop()
            thread.join(max(0.0, deadline - time.monotonic()))
        self._hand_back()  # one that led may have left the lead, and then passed on what it did not keep
        self._on_loop.stop(max(0.0, deadline - time.monotonic()))
        self.broker.work.committer.join(max(1.0, deadline - time.monotonic()))
        self.broker.emit_after("worker_shutdown", self)
        self.broker.logger.info("Worker has been shut down.")

    def join(self) -> None:
        """Wait until everything fetched so far is handled and committed; for tests."""
        for queue_name in list(self.consumers):
            while not self.broker.work.in_flight.wait_for_room(queue_name, 1, 1.0):
                pass
        self.broker.work.committer.join()

    def next_hard_limit(self) -> float:
        """Return when, on the monotonic clock, the next handler will count as stuck; infinity when none runs."""
        return min(self.broker.interrupts.next_hard_limit(), self._on_loop.limits.next())

    def publish_limits(self, publish: Callable[[int, float], None]) -> None:
        """Tell `publish` of each hard limit as it changes: whose it is, and when; infinity when nothing runs there."""
        self.broker.interrupts.publish = publish
        self._on_loop.limits.publish = publish

    def publish_begun(self, board: BegunBoard) -> None:
        """Note on a board what this process has begun, for whoever sees to what it held when it is dead."""
        self.broker.work.begun_board = board

    def dead_threads(self) -> list[str]:
        """Return the names of threads that ended without being told to; without them this worker is of no use."""
        dead = [part.name for part in self._parts() if part.running and part.has_started and not part.is_alive()]
        alive = {thread.name for thread in threading.enumerate()} & _SHARED_THREADS
        self._seen_threads |= alive
        gone = self._seen_threads - alive
        if self.broker.work.committer.is_dead:
            gone.add("eventsys-committer")  # it may have begun and ended between two looks
        dead += sorted(gone)
        return dead if self._on_loop.is_alive() or not self.is_running else [*dead, "the event loop"]

    def _add_thread(self) -> None:
        thread = WorkerThread(self.broker, self._handoff, self.worker_timeout, len(self.workers), self._lead)
        with self._telling:
            if self._on_loop.paused:
                thread.pause()
            self.workers.append(thread)
        thread.start()

    def _lead(self, hand: Hand) -> None:
        reader = self.consumers[LOG_QUEUE]
        if isinstance(reader, LogReader):
            reader.lead(hand)

    def _parts(self) -> list[ReaderThread | LogReader | WorkerThread]:
        return [*self.consumers.values(), *self.workers]

    def _deliver(self, messages: Sequence[Received], put: Deliver | None = None) -> None:
        """Pass messages on; those that threads handle, one by one, by `put`, or as they come."""
        if self.broker.has_batches:
            messages = self._collect(messages)
        if messages and messages[0].place.is_suspect:
            # It came alone, and begins now: behind others, each death of the process would find it waiting.
            self._deliver_suspect(messages[0])
            return
        for_loop = [message for message in messages if belongs_on_loop(message)]
        if for_loop:
            self._on_loop.put(for_loop)
            messages = [message for message in messages if not belongs_on_loop(message)]
        if messages:
            (put or self._handoff.put)(messages)

    def _collect(self, messages: Sequence[Received]) -> Sequence[Received]:
        """Let gather what is handled many at once, and return the rest."""
        alone: list[Received] = []
        for_threads: list[Received] = []
        for_loop: list[Received] = []
        for message in messages:
            if not takes_batches(message):
                alone.append(message)
            elif belongs_on_loop(message):
                for_loop.append(message)
            else:
                for_threads.append(message)
        if for_threads:
            self._handoff.collect(for_threads)
        if for_loop:
            self._on_loop.collect(for_loop)
        return alone

    def _deliver_suspect(self, suspect: Received) -> None:
        if belongs_on_loop(suspect):
            self._on_loop.put_first(suspect)
            return
        if not self._has_aside:
            self._has_aside = True
            thread = WorkerThread(self.broker, self._aside, self.worker_timeout, "suspects")
            with self._telling:
                if self._on_loop.paused:
                    thread.pause()
                self.workers.append(thread)
            thread.start()
        self._aside.put([suspect])

    def _hosts_coroutines(self, queue_name: str) -> bool:
        actors = list(self.broker.actors.values())
        return any(isinstance(one, HandlerActor) and one.is_async and one.queue_name == queue_name for one in actors)

    def _give_up(self, queue_name: str, most: int) -> None:
        """Hand back what of a queue is not begun, the last first, for others to begin before these handlers go on."""
        given_up = self._handoff.take_last(queue_name, most)
        given_up += self._on_loop.take_last(queue_name, most - sum(len(one.places) for one in given_up))
        self.broker.work.hand_back(deliveries_of(given_up))

    def _hand_back(self) -> None:
        unstarted = deliveries_of([*self._handoff.take_back(), *self._aside.take_back(), *self._on_loop.take_back()])
        try:
            self.broker.work.hand_back(unstarted)
        except EventsysError as error:
            self.broker.logger.warning(
                "%d messages could not be handed back and are taken over when this process is gone: %s",
                len(unstarted),
                error,
            )


def join_waking(part: ReaderThread | LogReader, deadline: float) -> None:
    """Wait for the end of a thread that may wait in Redis, or begin to after it was woken."""
    while part.is_alive() and (left_s := deadline - time.monotonic()) > 0:
        part.wake()
        part.join(min(_WAKE_S, left_s))


class _NewQueues(Middleware):
    """Lets a worker read the queues that are declared, those of before too: Dramatiq tells it about them."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def before_declare_actor(self, broker: Broker, actor: Actor[Any, Any]) -> None:
        """Know the actor before its queue is read, which Dramatiq declares first: what waits there would be refused."""
        broker.actors[actor.actor_name] = actor

    def after_declare_queue(self, broker: Broker, queue_name: str) -> None:  # noqa: ARG002
        """Read the queue."""
        if self.worker.is_running:
            self.worker.read(queue_name)
