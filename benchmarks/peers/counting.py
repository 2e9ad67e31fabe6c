"""What the handlers of a peer do: count their calls, and note how late they were called.

A handler must cost next to nothing, and the benchmark must see how far it is from outside. So handlers count in the
memory of their process, and a thread of it tells Redis the sum fifty times a second. It ends when nothing has come for
a second, so that an idle worker is idle. A message counts when its handler returns, before it is acknowledged: that is
to the peer's advantage.
"""

from __future__ import annotations

import os
import threading
import time

import redis

#: How many calls have ended, over all processes.
COUNT_KEY = "bench:count"

#: Microseconds by which each timed call came after its moment; below zero: before it.
TIMES_KEY = "bench:times"

_TELL_EVERY_S = 0.02
_IDLE_LOOKS = 50


class Counter:
    """Counts calls in one process, and in each process forked from it by itself.

    Args:
        at_once: Tell Redis in the call itself: for a worker that forks a process for each job, which has no later.
    """

    def __init__(self, *, at_once: bool = False) -> None:
        self._at_once = at_once
        self._start_over()

    def count(self, calls: int = 1) -> None:
        """Count one call, or the messages of a call that takes many."""
        if os.getpid() != self._pid:
            self._start_over()
        with self._lock:
            self._calls += calls
        self._tell_soon()

    def time(self, payload: dict[str, object]) -> None:
        """Count one call, and note how long after its moment, `at_us` of the payload, it is made."""
        late_us = time.monotonic_ns() // 1000 - int(payload["at_us"])  # type: ignore[call-overload]
        if os.getpid() != self._pid:
            self._start_over()
        with self._lock:
            self._times.append(late_us)
        self.count()

    def _start_over(self) -> None:
        self._pid, self._calls, self._told = os.getpid(), 0, 0
        self._times: list[int] = []
        self._telling = False
        self._lock = threading.Lock()
        self._client = redis.Redis.from_url(os.environ["REDIS_URL"])

    def _tell_soon(self) -> None:
        if self._at_once:
            self._tell()
        elif not self._telling:
            with self._lock:
                if not self._telling:
                    self._telling = True
                    threading.Thread(target=self._keep_telling, daemon=True).start()

    def _keep_telling(self) -> None:
        idle = 0
        while idle < _IDLE_LOOKS:
            time.sleep(_TELL_EVERY_S)
            idle = 0 if self._tell() else idle + 1
        self._telling = False
        self._tell()  # a call that came before that line found the thread telling

    def _tell(self) -> bool:
        """Send what is new; return whether there was any."""
        with self._lock:
            calls, times, self._times = self._calls, self._times, []
        new = calls - self._told
        if not new and not times:
            return False
        with self._client.pipeline(transaction=False) as pipe:
            if times:
                pipe.rpush(TIMES_KEY, *times)
            pipe.incrby(COUNT_KEY, new)
            pipe.execute()
        self._told = calls
        return True
