"""Calling what the application asked to be called: whatever that raises ends no thread."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .interrupts import is_interrupt

logger = logging.getLogger(__name__)


def call_back(call: Callable[[], object], what: str) -> None:
    """Call something of the application's, and log what it raises, `SystemExit` too.

    The thread is often one that everybody needs and nobody starts again, and a thread that is not the main one cannot
    end the process by an exit anyway. Only what comes from outside is passed on to whoever it is meant for: Ctrl-C, and
    the end of a handler's time. Neither ever strikes in a thread of ours.

    Args:
        call: What is called.
        what: What it is, for the log.
    """
    try:
        call()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or is_interrupt(error):
            raise
        logger.exception(
            "%s failed; what it raises ends neither this thread nor the process", what,
            extra={"action": "callback_failed"},
        )  # fmt: skip
