"""Which exceptions of handlers a test gets to see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from eventsys.broker.interrupts import is_interrupt
from eventsys.broker.messages import Received
from eventsys.broker.processing import asks_for_retry


class Surfacing:
    """Raises what a handler raised, after its attempt was recorded, where that is asked for.

    What is no `Exception` surfaces always: Ctrl-C, and how test frameworks fail and skip, are not for a handler.

    Args:
        always: Whether it is asked for when nothing else is said.
    """

    def __init__(self, *, always: bool) -> None:
        self._always = always
        self._raises = always
        self._noted: BaseException | None = None

    @contextmanager
    def raising(self, wanted: bool | None) -> Iterator[None]:
        """Ask for it, or not, meanwhile; None: as always."""
        self._raises = self._always if wanted is None else wanted
        self._noted = None
        try:
            yield
        finally:
            self._raises = self._always

    def note(self, error: BaseException | None) -> None:
        """Note what the attempt that ended last had raised; of several at once, the first error."""
        self._noted = error if self._noted is None else self._noted

    def look(self, message: Received) -> None:  # noqa: ARG002 - the worker tells of each
        """Raise what was noted, if it is to be seen."""
        error, self._noted = self._noted, None
        if error is None:
            return
        is_fault = isinstance(error, Exception) or is_interrupt(error)
        if not is_fault or (self._raises and not asks_for_retry(error)):
            raise error
