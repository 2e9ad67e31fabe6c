"""Events as they are stored: one follower of the log for all who watch."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

from eventsys.errors import EventsysError
from eventsys.model.event import Event
from eventsys.model.patterns import check_pattern, pattern_matches
from eventsys.service import EventService

#: Who may watch at once.
MOST_WATCHERS = 50

#: Events that wait for one page; of more the oldest are left out, and their number is told.
MOST_WAITING = 100

#: Seconds between two messages to one page: so many events that nobody could read them are sent together.
PAUSE_S = 0.25

#: Seconds until Redis is asked again after it did not answer.
_AGAIN_S = 2.0


class Watcher:
    """One page that watches.

    Args:
        patterns: The types it wants; none: all.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [check_pattern(one) for one in patterns]
        self._waiting: deque[Event[Any]] = deque()
        self._left_out = 0
        self._trouble = ""
        self.has_news = asyncio.Event()

    def give(self, event: Event[Any]) -> None:
        """Take an event, if it is wanted."""
        if self._patterns and not any(pattern_matches(one, event.type) for one in self._patterns):
            return
        if len(self._waiting) == MOST_WAITING:
            self._waiting.popleft()
            self._left_out += 1
        self._waiting.append(event)
        self.has_news.set()

    def tell(self, trouble: str) -> None:
        """Take the news that the log cannot be followed just now."""
        self._trouble = trouble
        self.has_news.set()

    def message(self) -> str:
        """Return what came since the last one, as a message of server-sent events."""
        self.has_news.clear()
        if self._trouble:
            said, self._trouble = self._trouble, ""
            return _message("away", {"said": said})
        events, left_out = [_shown(one) for one in self._waiting], self._left_out
        self._waiting.clear()
        self._left_out = 0
        return _message("events", {"events": events, "left_out": left_out})


class Tail:
    """Follows the log while somebody watches, once for all of them, and not at all while nobody does.

    Args:
        events: The service of the bus.
    """

    def __init__(self, events: EventService) -> None:
        self._events = events
        self._watchers: set[Watcher] = set()
        self._follower: _Follower | None = None

    @property
    def is_full(self) -> bool:
        """Whether nobody more may watch."""
        return len(self._watchers) >= MOST_WATCHERS

    async def watch(self, patterns: Sequence[str] = ()) -> AsyncIterator[str]:
        """Give messages of server-sent events with what is stored from now on, until who watches is gone.

        Raises:
            InvalidPatternError: If a pattern cannot be.
        """
        mine = Watcher(patterns)
        self._watchers.add(mine)
        if self._follower is None:
            self._follower = _Follower(self._events, self._watchers)
        try:
            yield _message("following", {})
            while True:
                await mine.has_news.wait()
                yield mine.message()
                await asyncio.sleep(PAUSE_S)
        finally:
            self._watchers.discard(mine)
            if not self._watchers and self._follower is not None:
                self._follower.stop()
                self._follower = None


class _Follower:
    """Follows the log in a thread of its own, and hands what it finds to those who watch, in the loop they are in.

    Args:
        events: The service of the bus.
        watchers: Who watches; the set is that of the loop.
    """

    def __init__(self, events: EventService, watchers: set[Watcher]) -> None:
        self._events = events
        self._watchers = watchers
        self._loop = asyncio.get_running_loop()
        self._news: deque[Callable[[Watcher], None]] = deque()
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="eventsys-tail", daemon=True).start()

    def stop(self) -> None:
        """Follow no longer; the thread ends when Redis answers next, within five seconds."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                for event in self._events.store.follow(is_wanted=lambda: not self._stopped.is_set()):
                    self._hand_over(partial(_give, event=event))
                    if self._stopped.is_set():
                        return
            except EventsysError as error:
                self._hand_over(partial(_tell, trouble=" ".join(str(error).split())))
                self._stopped.wait(_AGAIN_S)

    def _hand_over(self, take: Callable[[Watcher], None]) -> None:
        self._news.append(take)
        if len(self._news) == 1:
            # The loop ends before this thread does, where the server is stopped meanwhile.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._give_all)

    def _give_all(self) -> None:
        while self._news:
            take = self._news.popleft()
            for watcher in () if self._stopped.is_set() else self._watchers:
                take(watcher)


def _give(watcher: Watcher, event: Event[Any]) -> None:
    watcher.give(event)


def _tell(watcher: Watcher, trouble: str) -> None:
    watcher.tell(trouble)


def _shown(event: Event[Any]) -> dict[str, Any]:
    """Return what a page shows of an event: no payload, so nothing in it has to be masked."""
    return {
        "id": event.id, "type": event.type, "source": event.source, "time": event.time.isoformat(),
        "priority": event.priority.name.lower(), "correlation_id": event.correlation_id,
    }  # fmt: skip


def _message(kind: str, data: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"
