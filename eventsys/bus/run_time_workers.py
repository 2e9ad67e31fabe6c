"""Running what a process subscribed at run time, in threads of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from dramatiq import Worker as DramatiqWorker
from dramatiq.errors import ActorNotFound

from eventsys.broker.actor import HandlerActor
from eventsys.broker.attempt import current_attempt
from eventsys.broker.broker import EventBroker
from eventsys.broker.leaving import have_lost_found, leave_queue
from eventsys.broker.worker import Worker
from eventsys.bus.settling import is_own_queue
from eventsys.forking import begins_anew_in_children

#: Milliseconds an idle worker waits at a time, and so the longest that `stop` takes when nothing runs.
_WORKER_TIMEOUT_MS = 500

logger = logging.getLogger(__name__)


class RunTimeWorkers:
    """The handlers that a process subscribed at run time, each with a worker of its own once they are started.

    A handler has a queue to itself, unless its options name one, so its worker ends with it: it may have been
    unsubscribed here or elsewhere.

    Args:
        broker: What the handlers are declared on.
        threads: How many threads each worker has.
    """

    def __init__(self, broker: EventBroker, threads: int) -> None:
        self._broker = broker
        self._threads = threads
        self._actors: list[HandlerActor] = []
        self.forget_process()
        begins_anew_in_children(self)

    def forget_process(self) -> None:
        """In a forked child: the workers are the parent's; `start` runs the handlers here too."""
        self._workers: dict[str, Any] = {}
        self._ending: list[threading.Thread] = []
        self._to_end: list[Callable[[], None]] = []
        self._gives_up = threading.Event()
        self._is_started = False
        # A worker that starts declares what this process hosts, and waits for Redis; who drops a handler waits for
        # none of that, and may hold what a declaration needs.
        self._lock = threading.RLock()
        self._noting = threading.Lock()

    @property
    def are_started(self) -> bool:
        """Whether the handlers are run here, those subscribed from now on too."""
        return self._is_started

    @property
    def handlers(self) -> list[HandlerActor]:
        """The handlers."""
        return list(self._actors)

    def add(self, actor: HandlerActor) -> None:
        """Note a handler, and run it where the others are run."""
        with self._noting:
            self._actors = [*self._actors, actor]
        if not self._is_declared(actor):  # its subscription has ended already, and whoever saw to that came too early
            self.drop(actor)
        with self._lock:
            if self._is_started and actor in self._actors:
                self._run(actor)

    def drop(self, actor: HandlerActor) -> None:
        """Forget a handler that is declared no longer, and have its threads stopped by another one.

        Nothing is waited for: the handler may have unsubscribed itself, and its threads are waited for by theirs.
        """
        name = actor.actor_name
        with self._noting:
            present = self._broker.actors.get(name)
            left = [one for one in self._actors if one.actor_name != name or one is present]
            if len(left) == len(self._actors):
                return
            self._actors = left
        self._end(partial(self._stop_unused, actor))

    def refuse(self, actor: HandlerActor) -> None:
        """Leave what a handler was to read that could not be subscribed; a worker that reads all queues began to."""
        self._end(partial(self._stop_unused, actor))

    def make_round(self) -> bool:
        """End what could not be ended at once, and say whether some of it is left."""
        with self._noting:
            self._ending = [one for one in self._ending if one.is_alive()]
            while self._to_end:
                thread = threading.Thread(target=self._to_end[0], name="eventsys-unsubscribe", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:  # this process may have no more threads
                    logger.warning("%s; what was unsubscribed ends later", error, extra={"action": "threads_stay"})
                    return True
                del self._to_end[0]
                self._ending.append(thread)
        return False

    def start(self) -> None:
        """Run the handlers, those that are added later too."""
        with self._lock:
            for actor in self._actors:
                self._run(actor)
            self._is_started = True

    def stop(self) -> bool:
        """Let running handlers end, forget all, and say whether some were dropped before."""
        with self._lock:
            workers, self._workers = self._workers, {}
            self._is_started = False
        with self._noting:
            self._actors = []
            ending, self._ending = self._ending, []
            to_end, self._to_end = self._to_end, []
        self._gives_up.set()
        is_handler = current_attempt() is not None  # then it may be this one that they would wait for
        for worker in workers.values():
            if is_handler:
                self._end(worker.stop)
            else:
                worker.stop()
        if not is_handler:
            for thread in ending:
                thread.join()
            for end in to_end:
                end()
        self._gives_up = threading.Event()  # the process may subscribe again
        return bool(ending or to_end)

    def remember(self) -> Callable[[], None]:
        """Return what puts the handlers back as they are now."""
        actors = self._actors

        def put_back() -> None:
            self._actors = actors

        return put_back

    def _is_declared(self, actor: HandlerActor) -> bool:
        try:
            return self._broker.get_actor(actor.actor_name) is actor
        except ActorNotFound:
            return False

    def _run(self, actor: HandlerActor) -> None:
        queue, former = actor.queue_name, self._workers.get(actor.queue_name)
        # Dramatiq's worker hands out one message at a time; ours gathers batches.
        is_fit = former is not None and (actor.batching is None or isinstance(former, Worker))
        if is_fit or self._broker.work.by_hand:
            return
        kind: Any = Worker if self._broker.has_batches else DramatiqWorker
        worker = kind(self._broker, queues={queue}, worker_threads=self._threads, worker_timeout=_WORKER_TIMEOUT_MS)
        self._workers[queue] = worker
        worker.start()
        if former is not None:
            self._end(partial(self._stop_former, former, queue))

    def _end(self, end: Callable[[], None]) -> None:
        """Have a thread of its own end something."""
        with self._noting:
            self._to_end.append(end)
        self.make_round()

    def _stop_former(self, former: Any, queue: str) -> None:
        """Stop a worker that another one has replaced, which may have begun before the former lost something."""
        former.stop()
        have_lost_found(self._broker, queue)

    def _stop_unused(self, former: HandlerActor) -> None:
        """Stop the worker of a handler that is gone, unless it was subscribed anew meanwhile."""
        queue = former.queue_name
        with self._lock:
            is_used = any(actor.queue_name == queue for actor in self._actors)
            worker = None if is_used else self._workers.pop(queue, None)
        if worker is not None:
            worker.stop()
        leave_queue(self._broker, queue, former.actor_name, is_own=is_own_queue(queue), gives_up=self._gives_up)
