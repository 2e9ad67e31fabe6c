"""Staying awake for the replies to calls that come one right after another."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

from eventsys.processors import usable_processors

#: Calls that begin within so many seconds of the one before come one right after another.
_IN_A_ROW_S = 0.001

#: Seconds to stay awake for a reply: several times what a Redis nearby takes for a small call.
_AWAKE_S = 0.000_2

#: A look for the reply that takes longer had to wait: other threads want the interpreter, or others the processor.
_SHARED_S = 0.000_03

#: Most calls that sleep before the next try, where each try is in vain, as over a network.
_MOST_ASLEEP = 128


class Wakeful:
    """Waits for a reply without falling asleep, where that pays: for one thread, on one connection.

    To put a thread to sleep and wake it again takes longer than Redis takes for a small call, and more of the processor
    than to stay awake so long. So a thread that calls in a loop gets half as much again done, for a tenth more of the
    processor in all. A call by itself sleeps: it finds Redis asleep too, perhaps on this very processor. So does one
    whose looks take long, or whose reply does: the tries, when they are in vain, become rare.

    Args:
        now: The time, in seconds since whenever.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._called_at = float("-inf")
        self._asleep_for = self._in_vain = 0
        # Where there is one processor, Redis needs it.
        self._may_try = usable_processors() > 1

    def await_reply(self, sock: socket.socket | None) -> None:
        """Return when there is something to read, or soon anyhow: at once where to stay awake does not pay."""
        before, self._called_at = self._called_at, self._now()
        if not self._may_try or self._called_at - before > _IN_A_ROW_S:
            return
        if self._asleep_for:
            self._asleep_for -= 1
        elif sock is not None and (file := sock.fileno()) >= 0:  # else another thread closed it; who reads is told
            self._look(file)

    def _look(self, file: int) -> None:
        poller = select.poll()
        poller.register(file, select.POLLIN)
        now = self._called_at
        while not poller.poll(0):  # which lets other threads run
            looked_at, now = now, self._now()
            if now - self._called_at > _AWAKE_S or now - looked_at > _SHARED_S:
                self._in_vain = min(2 * self._in_vain + 1, _MOST_ASLEEP)
                self._asleep_for = self._in_vain
                return
        self._in_vain = 0
