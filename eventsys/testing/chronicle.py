"""What happened under a harness, in the order it happened, for assertions and for people."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, overload

from eventsys.broker.messages import DeliveryMessage, LogMessage, Received
from eventsys.broker.staging import OWN_ACTORS
from eventsys.clock import Clock
from eventsys.errors import InvalidEventError, InvalidPatternError
from eventsys.middleware.witness import Outcome
from eventsys.model.envelope import decode_header, header_target, shown_event
from eventsys.model.event import Event
from eventsys.model.patterns import pattern_matches

#: Most lines of a story; what is older is left out, and the story says so.
LONGEST_STORY = 60


class Delivery:
    """One attempt at a delivery, or at a message of a plain actor, after its commit.

    Attributes:
        subscription: The name of the subscription; of a plain actor's message the actor's.
        outcome: `succeeded`; `failed`, and tried again; `dead`, a dead letter; `unhosted`, waiting for a process that
            has the handler; `expired`, too late to begin.
        attempt: Its number; 1 is the first.
        at: When it ended, by the clock of the harness.
        error: What the handler raised, None when it returned.
    """

    def __init__(self, message: Received, outcome: Outcome, error: BaseException | None, at: datetime) -> None:
        is_delivery = isinstance(message, DeliveryMessage)
        self.subscription = message.subscription if isinstance(message, DeliveryMessage) else message.actor_name
        self.outcome: Outcome = outcome
        self.attempt = message.previous + 1
        self.at = at
        self.error = error
        self.message_id = message.message_id
        self.event_type = message.header.type if isinstance(message, DeliveryMessage) else None
        self._envelope = message.args[0] if is_delivery else None

    @cached_property
    def event(self) -> Event[dict[str, Any]]:
        """The event, with its payload as a dictionary.

        Raises:
            AttributeError: If it was no event but a message of a plain actor.
        """
        if self._envelope is None:
            raise AttributeError(f"{self.subscription!r} is a plain actor; its message {self.message_id!r} is no event")
        return shown_event(decode_header(self._envelope))

    def __repr__(self) -> str:
        what = self.event_type or "a message"
        error = "" if self.error is None else f", {_short(self.error)}"
        return f"<{what} to {self.subscription}, attempt {self.attempt} {self.outcome} at {_shown(self.at)}{error}>"


class Deliveries(Sequence[Delivery]):
    """Deliveries in the order they ended; false when there are none, and its `repr` tells what happened instead."""

    def __init__(self, items: Iterable[Delivery], otherwise: str = "") -> None:
        self._items = list(items)
        self._otherwise = otherwise

    @property
    def events(self) -> list[Event[dict[str, Any]]]:
        """Their events."""
        return [one.event for one in self._items]

    @property
    def payloads(self) -> list[dict[str, Any]]:
        """The payloads of their events, as dictionaries."""
        return [one.event.payload for one in self._items]

    @overload
    def __getitem__(self, at: int) -> Delivery: ...

    @overload
    def __getitem__(self, at: slice) -> Deliveries: ...

    def __getitem__(self, at: int | slice) -> Delivery | Deliveries:
        return Deliveries(self._items[at]) if isinstance(at, slice) else self._items[at]

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        """Compare as a list does, so that `== []` says that there are none."""
        return self._items == list(other) if isinstance(other, (list, tuple, Deliveries)) else NotImplemented

    __hash__ = None  # type: ignore[assignment] # as a list

    def __repr__(self) -> str:
        return repr(self._items) if self._items else f"<none{self._otherwise}>"


class Chronicle:
    """Keeps what a witness tells.

    Args:
        clock: The time of the harness.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.attempts: list[Delivery] = []
        self._lines: list[tuple[datetime, str]] = []
        self._published: Counter[str] = Counter()

    def take(self, message: Received, outcome: Outcome, error: BaseException | None) -> None:
        """Note how an attempt ended; not the work that eventsys does for itself, unless that failed."""
        if isinstance(message, LogMessage):
            self._take_dispatch(message)
            return
        if message.actor_name.startswith(OWN_ACTORS) and error is None:
            return
        delivery = Delivery(message, outcome, error, self._clock.now())
        self.attempts.append(delivery)
        what = f"event {message.event_id}" if isinstance(message, DeliveryMessage) else f"message {message.message_id}"
        text = f"    {delivery.subscription}, attempt {delivery.attempt} at {what}: {outcome}"
        self._lines.append((delivery.at, text if error is None else f"{text}, {_short(error)}"))

    def delivered(self, what: str) -> Deliveries:
        """Return the successful deliveries of a type, a pattern, or a subscription."""
        found = [one for one in self.attempted(what) if one.outcome == "succeeded"]
        return Deliveries(found, "" if found else self._instead(what))

    def attempted(self, what: str) -> Deliveries:
        """Return all attempts at deliveries of a type, a pattern, or a subscription."""
        return Deliveries(one for one in self.attempts if is_about(what, one.subscription, one.event_type))

    def story(self) -> str:
        """Return what happened, a line each, the latest last."""
        lines = self._lines[-LONGEST_STORY:]
        left_out = len(self._lines) - len(lines)
        told = [f"... {left_out} lines before"] if left_out else []
        return "\n".join([*told, *(f"{_shown(at)}  {text}" for at, text in lines)]) or "nothing was dispatched"

    def _take_dispatch(self, message: LogMessage) -> None:
        event_id, event_type, _ = header_target(message.envelope)
        names = (message.targets or [])[1::4]
        self._published[event_type] += 1
        goes_to = ", ".join(names) if names else "nobody: no subscription wants it"
        self._lines.append((self._clock.now(), f"{event_type}, event {event_id}, goes to {goes_to}"))

    def _instead(self, what: str) -> str:
        """Return what happened in place of a delivery that somebody looks for in vain."""
        others = self.attempted(what)
        if others:
            return f" of {what!r} succeeded: {', '.join(map(repr, others[-2:]))}"
        known = sorted({*self._published, *(one.subscription for one in self.attempts)})
        if not known:
            return f" of {what!r}; nothing was dispatched yet: run() or advance()?"
        close = difflib.get_close_matches(what, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close and close[0] != what else ""
        types = ", ".join(f"{name} x{count}" for name, count in self._published.most_common(4))
        if self._published[what]:
            return f" of {what!r}, which was dispatched {self._published[what]} times, to nobody who succeeded"
        return f" of {what!r}{hint}; dispatched: {types}"


def is_about(what: str, subscription: str, event_type: str | None) -> bool:
    """Say whether a type, a pattern, or the name of a subscription means this; `#` means everything."""
    if what in ("#", subscription, event_type):
        return True
    if event_type is None or not ("*" in what or "#" in what):
        return False
    try:
        return pattern_matches(what, event_type)
    except (InvalidPatternError, InvalidEventError):
        return False  # the name of a subscription or a queue


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")[:120]
