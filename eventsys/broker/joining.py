"""Waiting until a queue is empty; for tests and shutdown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from eventsys.model.priority import LANES
from eventsys.store.keys import LOG_QUEUE, Keys
from eventsys.store.link import Link

#: Seconds between two looks.
_LOOK_S = 0.02


def is_idle(link: Link, keys: Keys, queue: str) -> bool:
    """Say whether nothing of a queue waits, runs, is uncommitted or delayed.

    A message leaves its lane with the commit that ends it, so a lane's length counts the first three.
    """
    if queue == LOG_QUEUE:
        return bool(link.call("ZCARD", keys.pending) == 0)
    commands = [("XLEN", keys.lane(queue, lane)) for lane in LANES]
    *lengths, delayed = link.pipeline([*commands, ("HGET", keys.delayed_queues, queue)])
    return not any(lengths) and not int(delayed or 0)


def wait_until(is_so: Callable[[], bool], timeout_ms: int | None) -> bool:
    """Look until something is so, for at most `timeout_ms`, and say whether it is."""
    deadline = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000
    never = threading.Event()
    while not is_so():
        if deadline is not None and time.monotonic() >= deadline:
            return False
        never.wait(_LOOK_S)
    return True
