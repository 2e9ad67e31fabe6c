"""Running coroutine handlers, many at once, on the event loop of the process."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from dramatiq.asyncio import EventLoopThread, get_event_loop_thread
from dramatiq.middleware import SkipMessage
from dramatiq.middleware.time_limit import TimeLimitExceeded

from .actor import HandlerActor
from .batch import Batch
from .batch_processing import open_batch
from .broker import EventBroker
from .collecting import Collecting
from .excess import split_last
from .forks import end_forked_child
from .hard_limits import HardLimits
from .messages import Received
from .processing import end, failed, may_begin, renew_actor, skipped, succeeded
from .recycling import recycle

#: Threads that call hooks for the loop where one may block: the loop must not wait for it.
_HOOK_THREADS = 4


def belongs_on_loop(message: Received) -> bool:
    """Say whether a message is for a coroutine handler."""
    return isinstance(message.actor, HandlerActor) and message.actor.is_async


class LoopRunner:
    """Handles messages of coroutine handlers, `concurrency` at once, on one event loop.

    Each attempt has a context of its own. The hooks run in it too, so what they set is there for the handler: on the
    loop itself as long as none of them may block, else on threads beside it. The loop is that of Dramatiq's AsyncIO
    middleware, if the broker has it, so that coroutine handlers and coroutine actors can share what belongs to a loop.

    Args:
        broker: Whose messages are handled.
        concurrency: How many handlers run at once.
        pass_on: Takes messages whose handler is a coroutine function no longer, or is gone.
    """

    def __init__(self, broker: EventBroker, concurrency: int, pass_on: Callable[[Sequence[Received]], None]) -> None:
        self._pass_on = pass_on
        self.limits = HardLimits(partial(recycle, broker))
        self._collecting = Collecting(lambda: broker.work.in_flight)
        self._collected = threading.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._broker = broker
        self._concurrency = concurrency
        self._waiting: deque[Received] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._hooks = ThreadPoolExecutor(_HOOK_THREADS, thread_name_prefix="eventsys-hooks")
        self._own: EventLoopThread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._ended = threading.Condition()
        self.paused = False

    def put(self, messages: Sequence[Received]) -> None:
        """Take messages to be handled as soon as there is room."""
        self._waiting.extend(messages)
        self._started_loop().call_soon_threadsafe(self._start_more)

    def put_first(self, message: Received) -> None:
        """Take a message to be handled before those that wait."""
        self._waiting.appendleft(message)
        self._started_loop().call_soon_threadsafe(self._start_more)

    def collect(self, messages: Sequence[Received]) -> None:
        """Take deliveries that are handled many at once, as soon as there are enough or they have waited enough."""
        with self._collected:
            self._waiting.extend(self._collecting.add(messages, time.monotonic()))
        self._started_loop().call_soon_threadsafe(self._look_at_due)

    def _look_at_due(self) -> None:
        """Begin the batches that are due, and come back when the next one is."""
        loop, now = asyncio.get_running_loop(), time.monotonic()
        with self._collected:
            self._waiting.extend(self._collecting.take_due(now))
            next_due = self._collecting.next_due
        if self._timer is not None:
            self._timer.cancel()
        wait_s = max(0.0, next_due - now)
        self._timer = None if next_due == float("inf") else loop.call_later(wait_s, self._look_at_due)
        self._start_more()

    def take_back(self) -> list[Received]:
        """Return what is not begun; it is nobody's then."""
        with self._collected:
            messages: list[Received] = [*self._collecting.take_all()]
        return messages + self._unstarted()

    def take_last(self, queue: str, most: int) -> list[Received]:
        """Return the last messages of a queue that are not begun, at most so many; they are nobody's then."""
        last, others = split_last(self._unstarted(), queue, most)
        if others:
            self._waiting.extendleft(reversed(others))
            self._started_loop().call_soon_threadsafe(self._start_more)
        return last

    def _unstarted(self) -> list[Received]:
        messages: list[Received] = []
        while self._waiting:
            try:
                messages.append(self._waiting.popleft())
            except IndexError:  # the loop began the last one in this moment
                break
        return messages

    def resume(self) -> None:
        """Begin handlers again after a pause."""
        self.paused = False
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._start_more)

    def is_alive(self) -> bool:
        """Say whether the loop runs, or was not needed yet."""
        return self._loop is None or self._loop.is_running()

    def stop(self, timeout_s: float) -> bool:
        """Wait until what runs has ended, for at most `timeout_s`, and say whether it has; begin nothing more."""
        self.paused = True
        deadline = time.monotonic() + timeout_s
        with self._ended:
            ended = self._ended.wait_for(lambda: not self._running, max(0.0, deadline - time.monotonic()))
        self._hooks.shutdown(wait=ended)
        if self._own is not None:
            self._own.loop.call_soon_threadsafe(self._own.loop.stop)
            self._own.join(1.0)
        return ended

    def _started_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            with self._lock:
                if self._loop is None:
                    self._loop = self._shared_or_own_loop()
        return self._loop

    def _shared_or_own_loop(self) -> asyncio.AbstractEventLoop:
        shared = get_event_loop_thread()
        if shared is None:
            shared = self._own = EventLoopThread(self._broker.logger)
            shared.daemon = True
            shared.start(timeout=5.0)
        return shared.loop

    def _start_more(self) -> None:
        while self._waiting and len(self._running) < self._concurrency and not self.paused:
            try:
                message = self._waiting.popleft()
            except IndexError:
                return
            task = asyncio.get_running_loop().create_task(self._process(message))
            self._running.add(task)
            task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broker.logger.critical("An attempt on the event loop broke.", exc_info=error)
        with self._ended:
            self._running.discard(task)
            self._ended.notify_all()
        self._start_more()

    async def _process(self, message: Received) -> None:
        if not (renew_actor(self._broker, message) and belongs_on_loop(message)):
            self._pass_on([message])
            return
        if isinstance(message, Batch) and not await self._open(message):
            return
        loop = asyncio.get_running_loop()
        context = contextvars.Context()
        if self._may_block():
            begins = await _whole(loop.run_in_executor(self._hooks, context.run, begin, self._broker, message))
        else:
            begins = context.run(begin, self._broker, message)
        if not begins:
            return
        error: BaseException | None = None
        if not message.failed:
            try:
                error = await _whole(loop.create_task(self._handle(message), context=context))
            except asyncio.CancelledError as cancelled:  # by the handler itself, after the last thing it waited for
                error = cancelled
        if self._may_block(error):
            await _whole(loop.run_in_executor(self._hooks, context.run, conclude, self._broker, message, error))
        else:
            context.run(conclude, self._broker, message, error)

    async def _open(self, batch: Batch) -> bool:
        """Leave in a batch what may be handled together, and say whether there is any; the rest goes one by one."""
        if self._may_block():
            loop = asyncio.get_running_loop()
            alone = await _whole(loop.run_in_executor(self._hooks, open_batch, self._broker, batch))
        else:
            alone = open_batch(self._broker, batch)
        self._waiting.extendleft(reversed(alone))
        return bool(batch.deliveries)

    def _may_block(self, error: BaseException | None = None) -> bool:
        """Say whether the hooks, or what else comes before or after a handler, may wait for something.

        Redis is asked where this process may be dead for the others. An error is logged with its traceback, and may be
        one that Redis is asked about.
        """
        return error is not None or self._broker.hooks_may_block or self._broker.presence.may_have_ended

    async def _handle(self, message: Received) -> BaseException | None:
        actor: Any = message.actor
        limit_ms = actor.timeout_ms
        if limit_ms is not None:
            self.limits.enter(message, limit_ms)
        try:
            return await handle(message, limit_ms)
        finally:
            # First of all: the thread that watches the limits may have held its lock when the child was made.
            if message.attempt is not None and message.attempt.is_anothers:
                end_forked_child(message)
            self.limits.leave(message)


async def _whole(future: asyncio.Future[Any]) -> Any:
    """Wait for something to its end, and return what came of it: a handler may cancel all tasks there are."""
    while not future.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(future)
    return future.result()


# The parts of one attempt at a coroutine handler, as the loop of a worker runs them, and a test in its own thread.


def begin(broker: EventBroker, message: Received) -> bool:
    """Call the hooks before the handler, and say whether it is to run."""
    if not isinstance(message, Batch) and not may_begin(broker, message):
        return False
    message.is_on_loop = True
    # Dramatiq would raise its shutdown notice in the thread that calls the hooks, not in the handler.
    message.options["notify_shutdown"] = False
    try:
        broker.emit_before("process_message", message)
    except SkipMessage as skip:
        skipped(broker, message, skip)
    except BaseException as error:  # a hook may refuse the message with any error
        failed(broker, message, error)
    else:
        return True
    end(broker, message)
    return False


async def handle(message: Received, limit_ms: float | None) -> BaseException | None:
    """Run the handler, and return what it raised; its limit is raised too when it comes back late."""
    actor: Any = message.actor
    try:
        async with asyncio.timeout(None if limit_ms is None else limit_ms / 1000) as limit:
            await (message.handle_async() if isinstance(message, Batch) else actor.run(*message.args, **message.kwargs))
    except BaseException as error:  # a handler may raise anything, and the loop goes on
        return TimeLimitExceeded() if limit.expired() else error
    return TimeLimitExceeded() if limit.expired() else None


def conclude(broker: EventBroker, message: Received, error: BaseException | None) -> None:
    """Call the hooks after the handler, and end the attempt."""
    if error is None:
        succeeded(broker, message, None)
    elif isinstance(error, SkipMessage):
        skipped(broker, message, error)
    else:
        failed(broker, message, error)
    end(broker, message)
