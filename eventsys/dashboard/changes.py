"""Changes: each is made once, and it is on record who made it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from pydantic_core import to_json

from eventsys.dashboard.access import Caller
from eventsys.errors import InlineHandlerError
from eventsys.model.builtin_payloads import SystemChange
from eventsys.model.catalog import SYSTEM_CHANGE
from eventsys.model.event import Event
from eventsys.service import EventService

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LONGEST_TARGET = 300


class Published(NamedTuple):
    """What became of an event that was published.

    Attributes:
        event: The event as it is stored.
        is_handled: Whether no handler failed that ran at once.
    """

    event: Event[Any]
    is_handled: bool


def published(publish: Callable[[], Event[Any]]) -> Published:
    """Publish an event; where a handler failed that runs inside `publish`, it is published all the same.

    It is stored then, and everybody else gets it: whoever heard of an error would send it once more. Its record tells
    of the handler, and so does the log.
    """
    try:
        return Published(publish(), is_handled=True)
    except InlineHandlerError as error:
        logger.warning("%s", error, extra={"action": "inline_handler_failed", "event_id": error.event.id})
        return Published(error.event, is_handled=False)


#: Bytes of JSON that what else was said of a change may have.
_MOST_BYTES = 16 * 1024

#: What is kept of that where it has more, of each list and of each text: as many as fit.
_KEPT = ((20, 200), (5, 40), (0, 0))


class Desk:
    """Where one caller makes changes.

    Args:
        events: The service of the bus.
        caller: Who makes them.
    """

    def __init__(self, events: EventService, caller: Caller) -> None:
        self.events = events
        self.caller = caller

    def change(self, action: str, target: str, make: Callable[[], T], **details: Any) -> T:
        """Make a change, and return what it returned; then say who made it: a log record, and `system.change`.

        What fails raises, and is not on record as a change.

        Args:
            action: What is done: `delayed.cancel`.
            target: To what.
            make: Does it.
            **details: What else was said, as JSON; None is left out. Of more than 16 KiB the beginning of each list and
                text is on record, with how long it is.
        """
        result = make()
        told = _bounded({name: value for name, value in details.items() if value is not None})
        target = _brief(target[:_LONGEST_TARGET])
        logger.info(
            "%s: %s %s", self.caller.said, action, target,
            extra={"action": "changed", "change": action, "target": target, "who": self.caller.said},
        )  # fmt: skip
        payload = SystemChange(who=self.caller.said, action=action, target=target, details=told)
        self.events.bus.system.say(SYSTEM_CHANGE, payload)
        return result


def _bounded(details: dict[str, Any]) -> Any:
    """Return details that an event takes, whatever was sent: padding keeps no change off the record."""
    told = _brief(details)
    for kept in _KEPT:
        if len(to_json(told)) <= _MOST_BYTES:
            break
        told = _brief(details, *kept)
    return told


def _brief(value: Any, items: int | None = None, letters: int | None = None) -> Any:
    """Return JSON with so much of each list and text at most, None for all of it, and with text that is Unicode."""
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode()
        return text if letters is None or len(text) <= letters else f"{text[:letters]}… ({len(text):,} letters)"
    if isinstance(value, dict):
        return {name: _brief(one, items, letters) for name, one in value.items()}
    if isinstance(value, list | tuple):
        first = [_brief(one, items, letters) for one in value[:items]]
        return first if len(first) == len(value) else {"count": len(value), "first": first}
    return value
