"""The Dramatiq broker on Redis Streams."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from dramatiq import Broker, Message, MessageProxy, Middleware
from dramatiq.encoder import PickleEncoder
from dramatiq.errors import ConnectionClosed, QueueJoinTimeout
from dramatiq.message import get_encoder
from dramatiq.middleware import Interrupt, MiddlewareError

from eventsys.clock import Clock
from eventsys.errors import EventsysError, InvalidEventError, RedisUnavailableError, SettingsError
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.scripts import script
from eventsys.store.steps import Step, packed

from .actor import HandlerActor
from .attempt import FOLLOWING, Attempt, attempt_of, enter_attempt, leave_attempt
from .committer import Committer, Finished
from .consumer import EventConsumer
from .endings import PARKED_MS, Ending, ending_of_failure, ending_of_junk, ending_of_success
from .hooks import Hooks
from .in_flight import InFlight
from .interrupts import Interrupts
from .joining import flush, is_idle, wait_until
from .messages import LogMessage, Place, Received
from .presence import Lease, Presence
from .sending import step_of

#: The exit code of a process that ends because a handler cannot be interrupted: EX_SOFTWARE.
RECYCLE_EXIT = 70

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
        middleware: As for every Dramatiq broker; None: Dramatiq's default.
        clock: The time; None: Redis's own.
        retention_ms: How long the record of a finished event is kept.
        parked_ms: How long a message of an unknown actor is tried again before it is a dead letter.
        lease: How soon this process counts as dead without a beat; None: within 15 s.
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
    ) -> None:
        self._hooks = Hooks()
        super().__init__(middleware=middleware)
        self.queues: set[str] = set()
        self.actor_options |= {"lane", "transactional"}
        self.link = link or Link(url or "redis://127.0.0.1:6379/0")
        self.keys = Keys(name)
        self.clock = clock or Clock()
        self.retention_ms = retention_ms
        self.parked_ms = parked_ms
        self.lease = lease or Lease()
        self.in_flight = InFlight()
        self.interrupts = Interrupts(self._recycle)
        self.is_stopping = False
        self.after_scan: Callable[[], None] = lambda: None
        self._booted = 0
        self._process: tuple[Presence, Committer] | None = None
        _brokers.add(self)
        self._lock = threading.Lock()

    @property
    def presence(self) -> Presence:
        """The lease of this process."""
        return self._processing()[0]

    @property
    def committer(self) -> Committer:
        """What ends attempts in this process."""
        return self._processing()[1]

    # Declaring

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue; nothing happens in Redis. There are no delay queues: what waits is in the delayed store."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def get_declared_queues(self) -> set[str]:
        """Return the names of the queues declared so far."""
        return set(self.queues)

    def add_middleware(self, middleware: Middleware, **where: Any) -> None:
        """Add a middleware, as Dramatiq does."""
        super().add_middleware(middleware, **where)
        self._hooks.forget()

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
        if attempt is not None and attempt.phase == FOLLOWING and message.message_id == attempt.message.message_id:
            attempt.retry = step
        elif attempt is not None and (attempt.phase == FOLLOWING or attempt.takes_sends):
            attempt.add(step, len(packed(step)))
        else:
            self._send(step)
        self.emit_after("enqueue", message, delay)
        return message

    def add(self, steps: Sequence[Step]) -> list[Any]:
        """Carry out steps now, in one round trip, and return what came of each."""
        results: list[Any] = self.link.run(
            script("add"), self.keys.prefix, self.clock.now_ms(), *[packed(step) for step in steps]
        )
        return results

    def _send(self, step: Step) -> None:
        try:
            self.link.run_once(script("add"), self.keys.prefix, self.clock.now_ms(), packed(step))
        except RedisUnavailableError as error:
            raise ConnectionClosed(str(error)) from error

    def _step_of(self, message: Message[Any]) -> Step:
        actor = self.actors.get(message.actor_name)
        return step_of(message, attempt_of(self), usual_lane=actor.options.get("lane") if actor is not None else None)

    # Consuming

    def consume(self, queue_name: str, prefetch: int = 2, timeout: int = 5000) -> EventConsumer:
        """Return what reads a queue.

        Args:
            queue_name: The queue.
            prefetch: Dramatiq's figure, two for each thread; the consumer finds its own between the number of threads
                and 512.
            timeout: Milliseconds an empty queue is waited for at a time.
        """
        return EventConsumer(self, queue_name, threads=max(1, prefetch // 2), timeout_ms=timeout)

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Call the hooks before something, as Dramatiq does; before a message is processed, begin its attempt."""
        if signal == "process_message":
            self._begin(args[0])
        elif signal == "worker_boot":
            self._booted += 1
        if self._is_inner(signal):
            return
        if signal in {"worker_boot", "worker_shutdown"}:
            self.is_stopping = signal == "worker_shutdown"
        signal = "before_" + signal
        for middleware, hook in self._hooks.of(signal, self.middleware):
            try:
                hook(self, *args, **kwargs)
            except MiddlewareError:
                raise
            except Exception:
                self.logger.critical("Unexpected failure in %s of %r.", signal, middleware, exc_info=True)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Call the hooks after something, as Dramatiq does.

        After a message is processed, first close what its handler published. After an acknowledgement, wait for the
        commit: until then nothing is acknowledged.
        """
        if signal == "process_message":
            kwargs = self._handler_ended(args[0], kwargs)
        if signal in {"ack", "nack"} and isinstance(args[0], Received):
            return
        is_inner = self._is_inner(signal)
        if signal == "worker_shutdown":
            self._booted = max(0, self._booted - 1)
        if not is_inner:
            self._call_after(signal, args, kwargs)

    def _is_inner(self, signal: str) -> bool:
        """Say whether this is about one worker of several in this process: the middleware hears of the first and last.

        An application may start its run-time handlers beside a worker; one poller and one event loop serve both.
        """
        return signal in {"worker_boot", "worker_shutdown"} and self._booted > 1

    def _handler_ended(self, message: MessageProxy, kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            self.interrupts.leave()
        except Interrupt as interrupt:
            # The limit struck after the handler returned and before this line: it was too late, so it timed out.
            self.interrupts.leave()
            message.stuff_exception(interrupt)
            kwargs = {"exception": interrupt}
        if isinstance(message, Received) and message.attempt is not None:
            message.attempt.handler_ended(succeeded=kwargs.get("exception") is None and not message.failed)
        return kwargs

    def _call_after(self, signal: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        signal = "after_" + signal
        for middleware, hook in reversed(self._hooks.of(signal, self.middleware)):
            try:
                hook(self, *args, **kwargs)
            except Exception:
                self.logger.critical("Unexpected failure in %s of %r.", signal, middleware, exc_info=True)

    def _begin(self, message: MessageProxy) -> None:
        if not isinstance(message, Received):
            return
        actor = message.actor
        takes_sends = isinstance(actor, HandlerActor) or bool(actor and actor.options.get("transactional"))
        message.attempt = Attempt(message, takes_sends=takes_sends, owner=self)
        message.token = enter_attempt(message.attempt)
        message.started_ms = self.clock.now_ms()

    # Ending

    def end(self, message: MessageProxy, *, succeeded: bool) -> None:
        """End an attempt: hand it to the committer, with everything it leaves behind."""
        if not isinstance(message, Received):
            return
        attempt = message.attempt
        if attempt is not None:
            attempt.seal()
            if message.token is not None:
                token, message.token = message.token, None
                leave_attempt(token)
        if isinstance(message, LogMessage) and message.targets is None:
            self._dispatch_failed(message)
            return
        ending = self._ending_of(message, succeeded=succeeded)
        resolve = getattr(message.actor, "resolve_again", None) if isinstance(message, LogMessage) else None
        finished = Finished(
            message.place,
            ending,
            attempt.steps if attempt is not None else [],
            self._when_committed(message, "ack" if succeeded else "nack"),
            (lambda: self._resolved(message, resolve)) if resolve is not None else None,
        )
        self.in_flight.handled(message.place)
        self.committer.put(finished)

    def end_unread(self, place: Place, ending: Ending) -> None:
        """End what could not be read as a message."""
        self.in_flight.handled(place)
        self.committer.put(Finished(place, ending, []))

    def hand_back(self, messages: Sequence[Received]) -> None:
        """Return messages that were not started, for any process to take."""
        places = [message.place for message in messages]
        for start in range(0, len(places), 200):
            part = places[start : start + 200]
            pairs = [value for place in part for value in (place.stream, place.entry)]
            self.link.run(script("hand_back"), self.keys.prefix, self.presence.name, *pairs)
            self.in_flight.hold_no_more(part)

    def _ending_of(self, message: Received, *, succeeded: bool) -> Ending:
        number = self.presence.number
        if succeeded:
            return ending_of_success(message, number)
        return ending_of_failure(
            message, number, now_ms=self.clock.now_ms(), parked_ms=self.parked_ms, known=self._known_subscription
        )

    def _resolved(self, message: LogMessage, resolve: Callable[[LogMessage], None]) -> Ending:
        resolve(message)
        return ending_of_success(message, self.presence.number)

    def _dispatch_failed(self, message: LogMessage) -> None:
        if isinstance(message.error, InvalidEventError):
            # It could never be dispatched: a person has to look at it.
            place = message.place
            junk = [b"e", message.envelope.encode()]
            self.end_unread(place, ending_of_junk(f"{place.stream}|{place.entry}", str(message.error), junk))
            return
        self.logger.critical("event %s could not be dispatched and is handed back", message.event_id)
        try:
            self.hand_back([message])
        except EventsysError:
            # It stays pending for this process, and is read again with the next lease or connection.
            self.in_flight.hold_no_more([message.place])

    def _when_committed(self, message: Received, signal: str) -> Callable[[str], None] | None:
        attempt = message.attempt
        waits = bool(self._hooks.of("after_" + signal, self.middleware))
        if not waits and (attempt is None or not attempt.is_awaited):
            return None

        error = message.error

        def committed(result: str) -> None:
            if attempt is not None:
                attempt.settle(committed=result == "ok")
                if attempt.when_over is not None:
                    attempt.when_over()
            if result == "ok" and waits:
                self._tell_hooks(signal, message, error)

        return committed

    def _tell_hooks(self, signal: str, message: Received, error: BaseException | None) -> None:
        """Call the hooks after a commit with the error in its place, which the worker cleared when it went on."""
        if error is not None:
            message.stuff_exception(error)
        self._call_after(signal, (message,), {})
        message.clear_exception()

    def _recycle(self, message: MessageProxy, error: BaseException) -> None:
        """End an attempt that cannot be interrupted, hand back what is not begun, and end the process with it."""
        self.logger.critical("%s does not react to its timeout; this process ends and is replaced", message)
        message.stuff_exception(error)
        self.emit_after("process_message", message, exception=error)
        self.end(message, succeeded=not message.failed)
        self.committer.join(5.0)
        self.hand_back(self.in_flight.unstarted())
        os._exit(RECYCLE_EXIT)

    def _known_subscription(self, name: str) -> tuple[int, bool]:
        number, row = self.link.pipeline(
            [("HGET", self.keys.subscription_numbers, name), ("HEXISTS", self.keys.subscriptions, name)]
        )
        return int(number or 0), bool(row)

    # Tending

    def close(self) -> None:
        """Commit what is over, hand back what is not begun, and end this process's lease."""
        self.is_stopping = True
        if self._process is not None:
            presence, committer = self._process
            committer.close(10.0)
            try:
                presence.leave()
            except EventsysError as error:
                self.logger.warning("this process could not say that it ends: %s", error)
            self._process = None
        self.link.close()
        self.is_stopping = False

    def flush(self, queue_name: str) -> None:
        """Drop all messages of a queue, those that wait for their time too; its deliveries end as cancelled."""
        flush(self.link, self.keys, queue_name, now_ms=self.clock.now_ms(), retention_ms=self.retention_ms)

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
        self._lock = threading.Lock()
        self._process = None
        self.in_flight = InFlight()
        self.interrupts = Interrupts(self._recycle)

    def _processing(self) -> tuple[Presence, Committer]:
        if self._process is None:
            with self._lock:
                if self._process is None:
                    presence = Presence(
                        self.link, self.keys, self.clock, self.lease, after_scan=lambda: self.after_scan()
                    )
                    committer = Committer(
                        self.link,
                        self.keys.prefix,
                        self.clock,
                        retention_ms=self.retention_ms,
                        forget=self.in_flight.forget,
                        lease_ended=presence.beat,
                        more_is_coming=lambda: self.in_flight.is_busy,
                    )
                    self._process = (presence, committer)
        return self._process


_brokers: weakref.WeakSet[EventBroker] = weakref.WeakSet()


def _forget_all() -> None:
    """In a forked child: the lease, what it holds, and the threads that tend it are the parent's."""
    for broker in list(_brokers):
        broker.forget_process()


os.register_at_fork(after_in_child=_forget_all)
