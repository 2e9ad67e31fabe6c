"""What `publish_async` gives back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import Any

from eventsys.broker.attempt import Attempt, current_attempt
from eventsys.broker.callbacks import call_back
from eventsys.errors import NotCommittedError, WaitTimeoutError
from eventsys.model.durations import DurationLike, parse_duration
from eventsys.model.event import Event


class Receipt:
    """The promise that an event will be stored.

    Attributes:
        event: The event as it was accepted.
    """

    def __init__(self, event: Event[Any], *, attempt: Attempt | None = None) -> None:
        self.event = event
        self._attempt = attempt
        self._future: Future[Event[Any]] = Future()

    @property
    def is_done(self) -> bool:
        """Whether the event is stored, or never will be."""
        return self._future.done()

    def result(self, timeout: DurationLike | None = None) -> Event[Any]:
        """Return the event once Redis holds it.

        Args:
            timeout: How long to wait; None: as long as it takes.

        Raises:
            WaitTimeoutError: If it is not stored by then; it still may be.
            NotCommittedError: If asked inside the attempt that publishes it, which has to end first.
            EventsysError: What kept it from being stored.
        """
        if self._attempt is not None and self._attempt is current_attempt():
            raise NotCommittedError(
                f"event {self.event.id!r} is stored when this handler has returned; ask for its result after that"
            )
        try:
            return self._future.result(None if timeout is None else parse_duration(timeout).total_seconds())
        except FutureTimeoutError:
            raise WaitTimeoutError(f"event {self.event.id!r} is not stored yet; it is kept and sent again") from None

    def when_done(self, call: Callable[[Receipt], None]) -> None:
        """Have `call` called once the event is stored, or never will be.

        It is called in the thread that has learnt of it, or at once where that is known. What it raises is logged, and
        ends neither that thread nor the process: `sys.exit` does nothing there.
        """
        self._future.add_done_callback(lambda _: call_back(lambda: call(self), "what waited for a receipt"))

    def resolve(self, event: Event[Any]) -> None:
        """Say that the event is stored, unless it was given up."""
        with suppress(InvalidStateError):
            self._future.set_result(event)

    def fail(self, error: BaseException) -> None:
        """Say that the event will never be stored, unless it is."""
        with suppress(InvalidStateError):
            self._future.set_exception(error)
