"""The threads of a worker that handle messages, and what all its parts have."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .batch import Batch
from .batch_processing import process_batch
from .broker import EventBroker
from .handoff import Hand, Handoff
from .processing import process


class WorkerPart:
    """A part of a worker that can be paused and stopped.

    Attributes:
        running: Whether it has not been told to stop.
        paused: Whether it has been told to pause.
        paused_event: Set while it rests.
    """

    def __init__(self, broker: EventBroker, timeout_ms: int, **others: Any) -> None:
        super().__init__(**others)
        self.broker = broker
        self.running = True
        self.paused = False
        self.paused_event = threading.Event()
        self._timeout_s = timeout_ms / 1000
        self._told = threading.Event()

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


class PartThread(threading.Thread):
    """The thread of a part that has one of its own.

    Attributes:
        has_started: Whether it has begun to run; before that it does not count as ended.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.has_started = False

    def start(self) -> None:
        """Begin to run."""
        super().start()
        self.has_started = True


class WorkerThread(WorkerPart, PartThread):
    """Handles messages, one after another, from what was handed to it; in between it may have to lead.

    Args:
        broker: The broker.
        handoff: Where messages come from.
        timeout_ms: How long it waits for some at a time.
        label: What it is called.
        lead: Called with its hand when it is to lead, until another thread does.
    """

    def __init__(
        self,
        broker: EventBroker,
        handoff: Handoff,
        timeout_ms: int,
        label: int | str,
        lead: Callable[[Hand], None] = lambda _: None,
    ) -> None:
        super().__init__(broker, timeout_ms, name=f"eventsys-worker-{label}")
        self._handoff = handoff
        self._hand = handoff.new_hand()
        self._lead = lead

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
                if self._handoff.fill(self._hand, self._timeout_s):
                    self._lead(self._hand)
                continue
            if isinstance(message, Batch):
                process_batch(self.broker, message)
            else:
                process(self.broker, message)
            del message  # it may be large, and the next one may be long in coming
        self.broker.emit_before("worker_thread_shutdown", self)
