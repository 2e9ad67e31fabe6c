"""The event loop that coroutine handlers run on."""

from __future__ import annotations

import os
import threading
from typing import Any

from dramatiq import Broker
from dramatiq.asyncio import EventLoopThread, get_event_loop_thread, set_event_loop_thread
from dramatiq.middleware import AsyncIO

#: Seconds the loop may take to start.
_START_S = 5.0


class EventLoop(AsyncIO):
    """Keeps one event loop for all workers of a process, from the first that starts to the last that stops.

    Dramatiq's own starts one for each worker in the same place: the loop before would be forgotten, and its thread
    would keep the process from ending.
    """

    def before_worker_boot(self, broker: Broker, worker: Any) -> None:  # noqa: ARG002
        """Start the loop, or join the one that runs."""
        global _users
        with _lock:
            _users += 1
            if get_event_loop_thread() is None:
                thread = EventLoopThread(self.logger)
                thread.daemon = True
                thread.start(timeout=_START_S)
                set_event_loop_thread(thread)

    def after_worker_shutdown(self, broker: Broker, worker: Any) -> None:  # noqa: ARG002
        """Stop the loop after the last worker."""
        global _users
        with _lock:
            _users -= 1
            thread = get_event_loop_thread()
            if _users > 0 or thread is None:
                return
            set_event_loop_thread(None)
        thread.stop()
        thread.join()


_users = 0
_lock = threading.Lock()


def _forget() -> None:
    """In a forked child: whoever began the loop, it runs in the parent, and does nothing that is given to it here."""
    global _users, _lock
    set_event_loop_thread(None)
    _users, _lock = 0, threading.Lock()


os.register_at_fork(after_in_child=_forget)
