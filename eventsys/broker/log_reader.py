"""What reads the event log of a worker and dispatches: one of its threads leads, and they take turns."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from .broker import EventBroker
from .dispatching import dispatch_all, dispatch_alone
from .handoff import Hand, Handoff
from .messages import Received
from .readers import Deliver, Reader, name_of

#: Events that are fetched at first; at 50 µs an event this is two milliseconds.
_AT_ONCE = 32


class LogReader(Reader):
    """Fetches events from the log and dispatches them, so that handlers never stand in their way.

    It has no thread of its own: one of the worker's threads leads, of which there is one more than handle messages.
    With an event that is all there is to do, that thread goes on to handle what it dispatched, and one that is idle
    takes the lead: so a lone event waits for nobody who would have to wake up first.

    Args:
        broker: Where from.
        queue_name: The queue of the log.
        timeout_ms: How long the empty log is waited for at a time.
        handoff: Where the worker's threads take messages, and the lead, from.
        reader_of: Returns who reads a queue, if anybody does.
        deliver: Passes messages on, and those that the worker's threads handle to what it is given.
    """

    def __init__(
        self,
        broker: EventBroker,
        queue_name: str,
        *,
        timeout_ms: int,
        handoff: Handoff,
        reader_of: Callable[[str], Reader | None],
        deliver: Callable[[Sequence[Received], Deliver], None],
    ) -> None:
        super().__init__(broker, queue_name, threads=_AT_ONCE, timeout_ms=timeout_ms, deliver=self._dispatch)
        self.name = name_of(queue_name)
        self._handoff = handoff
        self._reader_of = reader_of
        self._deliver_to = deliver
        self._hand: Hand = deque()
        self._leader: int | None = None
        self._ended = threading.Event()
        self.has_started = False

    def start(self) -> None:
        """Let a thread lead."""
        self.has_started = True
        self.broker.emit_after("consumer_thread_boot", self)
        self._handoff.leave_lead()

    def lead(self, hand: Hand) -> None:
        """Read the log, in a thread that took the lead, until another may take it; should it die, too."""
        self._hand, self._leader = hand, threading.get_ident()
        try:
            self.read()
        finally:
            if self._is_led_here:
                self._leader = None
                self._rest_or_end()
                self._handoff.leave_lead()

    def wake(self) -> None:
        """End its wait for events; where nobody leads, rest or end."""
        super().wake()
        if self._handoff.take_lead():
            self._rest_or_end()
            self._handoff.leave_lead()

    def join(self, timeout_s: float) -> None:
        """Wait for its end."""
        self._ended.wait(timeout_s)

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return not self._ended.is_set()

    @property
    def goes_on(self) -> bool:
        """Whether the calling thread, which led, is to fetch more."""
        return super().goes_on and self._is_led_here

    @property
    def _is_led_here(self) -> bool:
        return self._leader == threading.get_ident()

    def _rest_or_end(self) -> None:
        if self.running and self.paused:
            self.paused_event.set()
        if not self.running and not self._ended.is_set():
            self.close()
            self.broker.emit_before("consumer_thread_shutdown", self)
            self._ended.set()

    def _dispatch(self, messages: Sequence[Received]) -> None:
        work = self.broker.work
        # What waits for its commit comes first: events are dispatched in the order they were read.
        if work.in_flight.holds_one and not len(work.committer.backlog):
            messages = dispatch_alone(self.broker, messages, self._reader_of, self._go_on_with)
            if not messages:
                return  # it is committed, and another thread may lead by now
        self.see_to(dispatch_all(self.broker, messages))

    def _go_on_with(self, messages: Sequence[Received]) -> None:
        self._deliver_to(messages, self._keep)

    def _keep(self, messages: Sequence[Received]) -> None:
        hand, is_led_here = self._hand, self._is_led_here
        if is_led_here:
            self._leader = None  # before another thread can lead
        if is_led_here and self._handoff.keep(hand, messages):
            return
        if is_led_here:
            self._leader = threading.get_ident()
        self._handoff.put(messages)

    def _restart(self, text: str, *facts: object, exc_info: bool = False) -> None:
        if self._is_led_here:
            super()._restart(text, *facts, exc_info=exc_info)
        else:
            self.broker.logger.critical(text, *facts, exc_info=exc_info, extra={"action": "consumer_failed"})
