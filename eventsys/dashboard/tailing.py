"""Events as they are stored: one follower of the log for all who watch."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Any

from eventsys.dashboard.live import away
from eventsys.errors import EventsysError
from eventsys.model.event import Event
from eventsys.model.patterns import PatternIndex
from eventsys.service import EventService

logger = logging.getLogger(__name__)

#: Who may watch at once.
MOST_WATCHERS = 50

#: Patterns that one of them may name.
MOST_PATTERNS = 100

#: Events that wait for one page; of more the oldest are left out, and their number is told.
MOST_WAITING = 100

#: Seconds between two messages to one page: so many events that nobody could read them are sent together.
PAUSE_S = 0.25

#: Events between the thread that follows the log and the loop: where the loop has no time, the thread waits.
MOST_HANDED_OVER = 1_000

#: Seconds until Redis is asked again after it did not answer.
_AGAIN_S = 2.0


class Watcher:
    """One page that watches.

    Args:
        patterns: The types it wants; none: all.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        # The loop asks for every event and every page: by an index, so that many patterns cost no more than one.
        self._patterns = PatternIndex([(one, True) for one in patterns])
        self._waiting: deque[dict[str, Any]] = deque()
        self._left_out = 0
        self._said = ""
        self._is_said_first = False
        self.has_news = asyncio.Event()
        self.is_over = False

    def give(self, event: dict[str, Any]) -> None:
        """Take what is shown of an event, if it is wanted."""
        if len(self._patterns) and not self._patterns.match(event["type"]):
            return
        if len(self._waiting) == MOST_WAITING:
            self._waiting.popleft()
            self._left_out += 1
        self._waiting.append(event)
        self.has_news.set()

    def tell(self, trouble: str) -> None:
        """Take the news that the log cannot be followed just now; or, with nothing, that it is followed on."""
        self._said = away(trouble) if trouble else _message("following", {})
        self._is_said_first = not self._waiting  # what came before an outage is not shown as if it were over
        self.has_news.set()

    def message(self) -> str:
        """Return what came since the last one, as a message of server-sent events."""
        self.has_news.clear()
        if self._said and (self._is_said_first or not self._waiting):
            said, self._said = self._said, ""
            if self._waiting:
                self.has_news.set()
            return said
        if self._said:
            self.has_news.set()
        events, left_out = list(self._waiting), self._left_out
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

    async def watch(self, patterns: Sequence[str] = ()) -> AsyncGenerator[str]:
        """Give messages of server-sent events with what is stored from now on, until who watches is gone.

        The first says `following` once nothing that is stored from then on is missed, or `away` and why not.

        Raises:
            InvalidPatternError: If a pattern cannot be.
        """
        mine = Watcher(patterns)
        if self.is_full:  # others came between the answer's beginning and this
            yield away("too many watch already")
            return
        self._watchers.add(mine)
        if self._follower is None or not self._follower.goes_on():
            self._follower = _Follower(self._events, self._watchers)
        if self._follower.trouble is not None:  # else it is told to all, once that is known
            mine.tell(self._follower.trouble)
        try:
            while True:
                await mine.has_news.wait()
                if mine.is_over:
                    break
                yield mine.message()
                await asyncio.sleep(PAUSE_S)
        finally:
            self._watchers.discard(mine)
            if not self._watchers and self._follower is not None:
                self._follower.is_wanted = False

    def end(self) -> None:
        """Let nobody watch any more: a server that ends would wait for streams that do not."""
        for watcher in self._watchers:
            watcher.is_over = True
            watcher.has_news.set()


class _Follower:
    """Follows the log in a thread of its own, and hands what it finds to those who watch, in the loop they are in.

    The thread ends when Redis answers next after nobody wants it any more, within five seconds. Who comes before that
    finds it at work: so those who come and go leave one thread behind, and not one each.

    Args:
        events: The service of the bus.
        watchers: Who watches; the set is that of the loop.

    Attributes:
        is_wanted: Whether anybody watches.
        trouble: Why the log is not followed just now, empty while it is; None: that is not known yet. It is the loop's,
            as the watchers are.
    """

    def __init__(self, events: EventService, watchers: set[Watcher]) -> None:
        self.is_wanted = True
        self.trouble: str | None = None
        self._events = events
        self._watchers = watchers
        self._loop = asyncio.get_running_loop()
        self._news: deque[Callable[[], None]] = deque()
        self._room = threading.Semaphore(MOST_HANDED_OVER)
        self._has_ended = False
        self._ending = threading.Lock()
        self._never = threading.Event()
        threading.Thread(target=self._run, name="eventsys-tail", daemon=True).start()

    def goes_on(self) -> bool:
        """Say whether it follows the log from here on, for whoever watches in this loop; else another one has to."""
        if self._loop is not asyncio.get_running_loop():
            return False
        with self._ending:
            self.is_wanted = True
            return not self._has_ended

    def _ends(self) -> bool:
        """Say whether to end, since nobody watches; from then on it has ended."""
        with self._ending:
            self._has_ended = self._has_ended or not self.is_wanted or self._loop.is_closed()
            return self._has_ended

    def _run(self) -> None:
        while not self._ends():
            try:
                following = self._events.store.follow(is_wanted=self._asked_for(), on_outage=self._tell_all)
                for event in following:
                    if not self._is_handed_over(partial(self._give, _shown(event))):
                        break
            except EventsysError as error:
                self._tell_all(str(error))
                self._never.wait(_AGAIN_S)
            except Exception:
                # Without this thread nobody would be shown anything until the process ends, nor be told.
                logger.exception("following the log failed; it is tried again", extra={"action": "tail_failed"})
                self._tell_all("something went wrong; the log of this server tells what")
                self._never.wait(_AGAIN_S)

    def _asked_for(self) -> Callable[[], bool]:
        """Return what says whether to go on; first asked when the end of the log is known, it tells that it is."""
        told: list[bool] = []

        def is_wanted() -> bool:
            if not self._ends() and not told:
                told.append(True)
                self._tell_all("")
            return not self._ends()

        return is_wanted

    def _tell_all(self, trouble: str) -> None:
        self._is_handed_over(partial(self._tell, " ".join(trouble.split())))

    def _is_handed_over(self, take: Callable[[], None]) -> bool:
        """Hand over, once there is room, what is to be done in the loop; false if nobody watches any more."""
        while not self._room.acquire(timeout=_AGAIN_S):
            if self._ends():
                return False
        self._news.append(take)
        if len(self._news) == 1:
            # The loop ends before this thread does, where the server is stopped meanwhile.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._give_all)
        return True

    def _give_all(self) -> None:
        while self._news:
            take = self._news.popleft()
            self._room.release()
            take()

    def _give(self, event: dict[str, Any]) -> None:
        for watcher in self._watchers:
            watcher.give(event)

    def _tell(self, trouble: str) -> None:
        self.trouble = trouble
        for watcher in self._watchers:
            watcher.tell(trouble)


def _shown(event: Event[Any]) -> dict[str, Any]:
    """Return what a page shows of an event: no payload, so nothing in it has to be masked."""
    return {
        "id": event.id, "type": event.type, "source": event.source, "time": event.time.isoformat(),
        "priority": event.priority.name.lower(), "correlation_id": event.correlation_id,
    }  # fmt: skip


def _message(kind: str, data: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"
