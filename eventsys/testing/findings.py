"""What a test asks a harness after something was to happen."""

from __future__ import annotations

from typing import Any

from eventsys.bus.handlers import STANDS_FOR
from eventsys.errors import EventsysError
from eventsys.model.dead_letter import DeadLetter
from eventsys.service import EventService
from eventsys.testing.chronicle import Chronicle, Deliveries, is_about
from eventsys.testing.letters import dead_letters_of, owner_of
from eventsys.testing.waiting import Waiting, what_waits

#: Most lines a story has of what waits, and of what is dead.
_MOST_LISTED = 20


class Findings:
    """What happened under a harness, what waits, and what was given up.

    Args:
        events: The service.
        chronicle: What was seen.
    """

    def __init__(self, events: EventService, chronicle: Chronicle) -> None:
        self.events = events
        self._chronicle = chronicle

    def delivered(self, what: Any = "#") -> Deliveries:
        """Return the deliveries that succeeded, in the order they ended; false when there are none.

        Args:
            what: A type, a pattern such as `user.*`, the name of a subscription or of a plain actor, or a handler.
        """
        return self._chronicle.delivered(self._name_of(what))

    def attempts(self, what: Any = "#") -> Deliveries:
        """Return all attempts, failed ones too, in the order they ended; `what` as for `delivered`."""
        return self._chronicle.attempted(self._name_of(what))

    def assert_delivered(self, what: Any, *, times: int | None = None) -> Deliveries:
        """Return what `delivered` does, or fail with everything that did happen.

        Args:
            what: As for `delivered`.
            times: How many there must be; None: any but none.

        Raises:
            AssertionError: If there are none, or not so many.
        """
        found = self.delivered(what)
        if len(found) == times or (times is None and found):
            return found
        wanted = "none was" if times is None else f"{len(found)} and not {times} were"
        raise AssertionError(f"of {self._name_of(what)!r} {wanted} delivered: {found!r}\n{self.story()}")

    def dead_letters(self, what: Any = "#") -> list[DeadLetter]:
        """Return the dead letters, the oldest first; `what` as for `delivered`."""
        name = self._name_of(what)
        return [one for one in dead_letters_of(self.events) if is_about(name, owner_of(one), one.type)]

    def pending(self, what: Any = "#") -> list[Waiting]:
        """Return what has not ended: delayed events, retries and messages by due time, then events; empty: all is done.

        Args:
            what: A type or pattern; or a subscription or a handler, for what is still to come to it; or a queue.
        """
        name = self._name_of(what)
        return [
            one
            for one in what_waits(self.events)
            if any(is_about(name, other, one.event_type) for other in (one.name, *one.subscriptions))
        ]

    def story(self) -> str:
        """Return what happened, a line each, then what waits and what is dead: for a person whose test failed."""
        waiting = [f"  {one.kind} {one.name} {one.id}, due {one.due or 'now'}" for one in what_waits(self.events)]
        dead = [f"  {owner_of(one)} {one.id}: {one.reason}, {one.error}" for one in dead_letters_of(self.events)]
        parts = [f"under the harness, until {self.events.broker.clock.now()}:", self._chronicle.story()]
        for title, lines in (("waiting:", waiting), ("dead letters:", dead)):
            if lines:
                left_out = [f"  ... and {len(lines) - _MOST_LISTED} more"] if len(lines) > _MOST_LISTED else []
                parts += [title, *lines[:_MOST_LISTED], *left_out]
        return "\n".join(parts)

    def _name_of(self, what: Any) -> str:
        if isinstance(what, str):
            return what
        for name, actor in self.events.broker.actors.items():
            handler = getattr(actor, "handler", None)
            if what in (handler, getattr(handler, STANDS_FOR, None), actor):
                return name
        raise EventsysError(f"{what!r} handles nothing on this service; give a type, a subscription, or a handler")
