"""Changes: each is made once, and it is on record who made it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from eventsys.dashboard.access import Caller
from eventsys.model.builtin_payloads import SystemChange
from eventsys.model.catalog import SYSTEM_CHANGE
from eventsys.service import EventService

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LONGEST_TARGET = 300


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
            **details: What else was said, as JSON; None is left out.
        """
        result = make()
        told = {name: value for name, value in details.items() if value is not None}
        logger.info(
            "%s: %s %s", self.caller.said, action, target[:_LONGEST_TARGET],
            extra={"action": "changed", "change": action, "target": target[:_LONGEST_TARGET], "who": self.caller.said},
        )  # fmt: skip
        payload = SystemChange(who=self.caller.said, action=action, target=target[:_LONGEST_TARGET], details=told)
        self.events.bus.system.say(SYSTEM_CHANGE, payload)
        return result
