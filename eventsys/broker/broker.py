"""The Dramatiq broker on Redis Streams."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from dramatiq import Actor, Broker, Message, MessageProxy, Middleware, Worker
from dramatiq.encoder import PickleEncoder
from dramatiq.errors import ActorNotFound, ConnectionClosed, QueueJoinTimeout
from dramatiq.message import get_encoder
from dramatiq.middleware import Interrupt

from eventsys.clock import Clock
from eventsys.errors import RedisUnavailableError, SettingsError
from eventsys.model.seal import Seal
from eventsys.store.bus_format import greeting
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.redis_time import ask_by
from eventsys.store.scripts import script
from eventsys.store.steps import Step, packed, packed_steps, results_of

from .allocator import settle_allocator
from .attempt import attempt_of
from .booted import Booted
from .consumer import EventConsumer
from .endings import PARKED_MS
from .forks import end_forked_child
from .garbage import settle_garbage
from .hooks import Hooks, added_for_worker, let_go_of, let_go_of_all
from .interrupts import Interrupts
from .joining import flush, is_idle, wait_until
from .lease import Lease
from .messages import Received
from .presence import Presence
from .recycling import recycle
from .sending import leaves_with, step_of
from .staging import ActorTable
from .work import Work
from .work_queue import hand_out_by_turns

#: How long the record of a finished event is kept when nobody says otherwise: a day.
DEFAULT_RETENTION_MS = 24 * 3600 * 1000


class EventBroker(Broker):
    """Dramatiq's broker, with four priority lanes a queue, one commit for everything an attempt leaves behind, and
    takeover of what a dead process held within 15 s.

    Messages of plain `@dramatiq.actor`s and deliveries of events go the same way. Nothing is done before the first
    message is sent or consumed: no connection, no thread.

    Args:
        url: Where Redis is. Give this, or `link`.
        link: The way to Redis, if there is one already.
        name: The name of the bus.
        middleware: As for every Dramatiq broker; None: Dramatiq's default. Its `after_ack` and `after_nack` must not
            wait: the thread that commits for the whole process calls them.
        clock: The time; None: Redis's own.
        retention_ms: How long the record of a finished event is kept.
        parked_ms: How long a message of an unknown actor is tried again before it is a dead letter.
        lease: How soon this process counts as dead without a beat; None: within 15 s.
        seal: What signs messages, and refuses those that are not signed; None: nothing is signed or refused.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        link: Link | None = None,
        name: str = "default",
        middleware: list[Middleware] | None = None,
        clock: Clock | None = None,
        retention_ms: int = DEFAULT_RETENTION_MS,
        parked_ms: int = PARKED_MS,
        lease: Lease | None = None,
        seal: Seal | None = None,
    ) -> None:
        self._hooks, self.declaring = Hooks(self), threading.RLock()
        super().__init__(middleware=middleware)
        self.actors = self._actors = ActorTable()
        self.queues: set[str] = set()
        self.actor_options |= {"lane", "periodic", "transactional"}
        self.work = Work(
            link or Link(url or "redis://127.0.0.1:6379/0", greet=greeting(Keys(name))),
            Keys(name), clock or Clock(), self.actors, self._hooks, retention_ms=retention_ms, parked_ms=parked_ms,
            lease=lease or Lease(), owner=self, seal=seal,
        )  # fmt: skip
        self.clock.ask = ask_by(self.clock, self.link.call)
        self.interrupts = Interrupts(partial(recycle, self))
        self.has_batches = False
        self.when_stuck: Callable[[str], None] = lambda *_: None
        self._booted = Booted(self._hooks, self.work.last_commits.hear)
        self._threads: dict[int, int] = {}  # of Dramatiq's own workers, by how much each has fetched at once
        _brokers.add(self)

    @property
    def link(self) -> Link:
        """The way to Redis."""
        return self.work.link

    @property
    def keys(self) -> Keys:
        """The keys of the bus."""
        return self.work.keys

    @property
    def clock(self) -> Clock:
        """The time."""
        return self.work.clock

    @property
    def presence(self) -> Presence:
        """The lease of this process."""
        return self.work.presence

    @property
    def has_workers(self) -> bool:
        """Whether a worker runs in this process."""
        return self._booted.has_any

    # Declaring

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue; nothing happens in Redis. There are no delay queues: what waits is in the delayed store."""
        with self.declaring:
            if queue_name not in self.queues:
                self.emit_before("declare_queue", queue_name)
                self.queues.add(queue_name)
                self.emit_after("declare_queue", queue_name)

    def get_declared_queues(self) -> set[str]:
        """Return the names of the queues declared so far."""
        return set(self.queues)

    def add_middleware(self, middleware: Middleware, **where: Any) -> None:
        """Add a middleware, as Dramatiq does, which warns of two of one type; but each worker adds one of its own."""
        with self.declaring:  # a queue is either there already, and told to it, or declared when it is heard
            if not added_for_worker(self, middleware):
                super().add_middleware(middleware, **where)
            self._hooks.forget()

    @property
    def hooks_may_block(self) -> bool:
        """Whether some middleware, not Dramatiq's usual nor ours, has a hook that is called around a handler."""
        return self._hooks.may_block

    def remember(self) -> Callable[[], None]:
        """Return what puts actors, queues and middleware back as they are now."""
        actors, queues = dict(self.actors), set(self.queues)
        middleware, options = list(self.middleware), set(self.actor_options)

        def put_back() -> None:
            self.actors.clear()  # the same dictionary: the consumers look into it too
            self.actors.update(actors)
            self.queues, self.middleware, self.actor_options = queues, middleware, options
            self._hooks.forget()

        return put_back

    # Sending

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Send a message, now or `delay` milliseconds from now.

        Inside an attempt that takes messages it is sent when the attempt commits; the message under attempt, enqueued
        again by a hook, is its retry.

        Raises:
            ConnectionClosed: If Redis did not answer. The message may have been sent nevertheless.
            SettingsError: If the encoder is the pickling one, which would run whatever Redis holds.
        """
        if isinstance(get_encoder(), PickleEncoder):
            raise SettingsError("PickleEncoder is refused: who can write to Redis could run code; use the JSON encoder")
        if delay is not None:
            message = message.copy(options={"eta": self.clock.now_ms() + delay})
        self.emit_before("enqueue", message, delay)
        step = self._step_of(message)
        attempt = attempt_of(self)
        if attempt is not None and leaves_with(attempt, message, step):
            self.work.queue_names.mention(message.queue_name)
        else:
            self._send(step, message.queue_name)
        self.emit_after("enqueue", message, delay)
        return message

    def add(self, steps: Sequence[Step]) -> list[Any]:
        """Carry out steps now, in one round trip, and return what came of each."""
        sealed = [self.work.sealed(step) for step in steps]
        packs = packed_steps(sealed)
        return results_of(sealed, self.link.run(script("add"), self.keys.prefix, self.clock.now_ms(), *packs))

    def _send(self, step: Step, queue_name: str) -> None:
        # A tick is known again by its claim; a plain message that was sent twice would be two.
        run = self.link.run if step[0] == "tick" else self.link.run_once
        try:
            self.work.queue_names.tell([queue_name])
            run(script("add"), self.keys.prefix, self.clock.now_ms(), packed(step))
        except RedisUnavailableError as error:
            raise ConnectionClosed(str(error)) from error

    def _step_of(self, message: Message[Any]) -> Step:
        actor = self.actors.get(message.actor_name)
        lane = actor.options.get("lane") if actor is not None else None
        return step_of(message, attempt_of(self), usual_lane=lane, seal=self.work.seal)

    # Consuming

    def get_actor(self, actor_name: str) -> Actor[..., Any]:
        """Return an actor.

        Raises:
            ActorNotFound: If none of that name is declared.
        """
        actor = self._actors.seen_from_here(actor_name)
        if actor is None:
            raise ActorNotFound(actor_name)
        return actor

    def consume(self, queue_name: str, prefetch: int = 2, timeout: int = 5000) -> EventConsumer:
        """Return what reads a queue.

        Args:
            queue_name: The queue.
            prefetch: Dramatiq's figure; the consumer finds its own between the number of threads and 2048.
            timeout: Milliseconds an empty queue is waited for at a time.
        """
        threads = max(1, self._threads.get(prefetch, 0), prefetch // 2)
        return EventConsumer(self.work, queue_name, threads=threads, timeout_ms=timeout)

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Call the hooks before something, as Dramatiq does; before a message is processed, begin its attempt."""
        if signal == "process_message" and isinstance(args[0], Received):
            self.work.begin(args[0])
            self._hooks.before_message(args[0])
            return
        if signal == "worker_boot":
            hand_out_by_turns(args[0])
            if isinstance(args[0], Worker):
                self._threads[args[0].queue_prefetch] = args[0].worker_threads
            self._booted.before_boot(args[0])
        elif signal == "worker_shutdown":
            with self.declaring:  # a thread it is about to start for a queue has been started then
                let_go_of(self, args[0])
            self._hooks.forget()
            self._booted.before_shutdown(args[0])
        elif signal != "nack" or not isinstance(args[0], Received) or not self.work.parks(args[0]):
            self._hooks.call_before("before_" + signal, *args, **kwargs)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Call the hooks after something, as Dramatiq does.

        After a message is processed, first close what its handler published. After an acknowledgement, wait for the
        commit: until then nothing is acknowledged.
        """
        if signal == "process_message":
            self._hooks.after_message(args[0], **self._handler_ended(args[0], kwargs))
            return
        if signal in {"ack", "nack"} and isinstance(args[0], Received):
            return
        if signal == "worker_boot":
            self._booted.after_boot(args[0])
            return
        if signal == "worker_shutdown":
            self._booted.after_shutdown(args[0])
            return
        if signal == "process_boot":
            settle_garbage()
            settle_allocator()
        self._hooks.call_after("after_" + signal, *args, **kwargs)

    def _handler_ended(self, message: MessageProxy, kwargs: dict[str, Any]) -> dict[str, Any]:
        if isinstance(message, Received) and message.attempt is not None and message.attempt.is_anothers:
            end_forked_child(message)
        try:
            if self.interrupts.watches_caller():
                self.interrupts.leave()
        except Interrupt as interrupt:
            # The limit struck after the handler returned and before this line: it was too late, so it timed out.
            self.interrupts.leave()
            message.stuff_exception(interrupt)
            kwargs = {"exception": interrupt}
        if isinstance(message, Received) and message.attempt is not None:
            is_fine = kwargs.get("exception") is None or message.keeps_steps
            message.attempt.handler_ended(succeeded=is_fine and not message.failed)
        return kwargs

    # Tending

    def close(self) -> None:
        """Commit what is over, hand back what is not begun, and end this process's lease."""
        self.work.close()
        self.interrupts.close()
        self.link.close()

    def flush(self, queue_name: str) -> None:
        """Drop all messages of a queue, those that wait for their time too; its deliveries end as cancelled."""
        now_ms, retention_ms = self.clock.now_ms(), self.work.retention_ms
        flush(self.link, self.keys, queue_name, now_ms=now_ms, retention_ms=retention_ms)

    def flush_all(self) -> None:
        """Drop all messages of all declared queues."""
        for queue_name in self.get_declared_queues():
            self.flush(queue_name)

    def join(self, queue_name: str, *, timeout: int | None = None) -> None:
        """Wait until nothing of a queue waits, runs, is uncommitted or delayed.

        Raises:
            QueueJoinTimeout: If that takes longer than `timeout` milliseconds.
        """
        if not wait_until(lambda: is_idle(self.link, self.keys, queue_name), timeout):
            raise QueueJoinTimeout(queue_name)

    def forget_process(self) -> None:
        """Begin anew in a forked child, with a lease of its own."""
        self.clock.forget_process()
        self.work.forget_process()
        self.interrupts, self.declaring = Interrupts(partial(recycle, self)), threading.RLock()
        self._booted.forget_process()
        let_go_of_all(self)
        self._hooks.forget()


_brokers: weakref.WeakSet[EventBroker] = weakref.WeakSet()


def _forget_all() -> None:
    """In a forked child: the lease, what it holds, and the threads that tend it are the parent's."""
    for broker in list(_brokers):
        broker.forget_process()


os.register_at_fork(after_in_child=_forget_all)
