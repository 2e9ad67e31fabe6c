"""What is done before a process ends by itself."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Callable

Call = Callable[[], object]

logger = logging.getLogger(__name__)

#: What is to be called, and whether it comes last: a server must not stop before what is sent to it is sent.
_calls: dict[Call, bool] = {}
_watched: set[str] = set()


def before_process_ends(call: Call, *, last: bool = False) -> None:
    """Have something called when this process ends, unless a signal ends it.

    `atexit` alone is not enough: a process that `multiprocessing` started, such as a worker of the `dramatiq` command,
    skips it.

    Args:
        call: What is called, once however often it is given.
        last: Whether it is called after everything that is not.
    """
    _calls[call] = last
    if "atexit" not in _watched:
        _watched.add("atexit")
        atexit.register(_end)
    if "multiprocessing" not in _watched and "multiprocessing" in sys.modules:
        from multiprocessing import parent_process, util

        if parent_process() is not None:
            _watched.add("multiprocessing")
            util.Finalize(None, _end, exitpriority=0)


def not_before_process_ends(call: Call) -> None:
    """Have it called no longer."""
    _calls.pop(call, None)


def _end() -> None:
    while _calls:
        call = min(_calls, key=lambda one: _calls[one])
        del _calls[call]
        try:
            call()
        except Exception:
            logger.exception("something could not be ended with its process", extra={"action": "end_failed"})


def _forget_all() -> None:
    # In a forked child: what the parent has to end is the parent's.
    _calls.clear()
    _watched.clear()


os.register_at_fork(after_in_child=_forget_all)
