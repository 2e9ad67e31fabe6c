"""The overview as it changes: one look at the bus every two seconds, for all who watch."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

from anyio import to_thread

from eventsys.dashboard.charts import charts_of
from eventsys.errors import EventsysError
from eventsys.model.metrics import EventMetrics
from eventsys.readable import shown
from eventsys.service import EventService

logger = logging.getLogger(__name__)

#: Seconds between two looks. Nothing tells that a rate has changed, so it is looked at, as `eventsys top` does.
EVERY_S = 2.0

#: Who may watch at once.
MOST_WATCHERS = 100


class Message(NamedTuple):
    """What was seen, as messages of server-sent events.

    Attributes:
        page: For the overview: figures as it shows them, and the bars of its charts.
        api: For a program: the figures as the library has them.
    """

    page: str
    api: str


class Live:
    """Looks at the bus while somebody watches, once for all of them, and not at all while nobody does.

    Its methods are called in the event loop that serves the pages.

    Args:
        events: The service of the bus.
    """

    def __init__(self, events: EventService) -> None:
        self._events = events
        self._watchers: set[asyncio.Queue[Message | None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._is_asking = False

    @property
    def is_full(self) -> bool:
        """Whether nobody more may watch."""
        return len(self._watchers) >= MOST_WATCHERS

    async def watch(self, *, for_page: bool = True) -> AsyncGenerator[str]:
        """Give a message of server-sent events at every look, until who watches is gone.

        Args:
            for_page: Whether the overview watches, or else a program.
        """
        if self.is_full:  # others came between the answer's beginning and this
            yield away("too many watch already")
            return
        mine: asyncio.Queue[Message | None] = asyncio.Queue(maxsize=1)
        self._watchers.add(mine)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_again_and_again())
        try:
            while (message := await mine.get()) is not None:
                yield message.page if for_page else message.api
        finally:
            self._watchers.discard(mine)
            # A look that is being taken cannot be called off. Whoever comes next gets it: else those who come and go
            # while Redis is slow would leave a thread behind each.
            if not self._watchers and self._looking is not None and not self._is_asking:
                self._looking.cancel()
                self._looking = None

    async def _look_again_and_again(self) -> None:
        while self._watchers:
            self._is_asking = True
            try:
                message = await to_thread.run_sync(self._look)
            finally:
                self._is_asking = False
            self._tell(message)
            if self._watchers:
                await asyncio.sleep(EVERY_S)

    def end(self) -> None:
        """Let nobody watch any more: a server that ends would wait for streams that do not."""
        if self._looking is not None:
            self._looking.cancel()
        self._tell(None)

    def _tell(self, message: Message | None) -> None:
        for watcher in self._watchers:
            # Who does not keep up gets the newest look, not every one.
            with contextlib.suppress(asyncio.QueueEmpty):
                watcher.get_nowait()
            watcher.put_nowait(message)

    def _look(self) -> Message:
        try:
            look = self._events.store.metrics.look()
            totals = look.totals()
            charts = charts_of(look.activity())
        except EventsysError as error:
            said = away(" ".join(str(error).split()))
            return Message(said, said)
        except Exception:
            # Without an answer nobody who watches would be shown anything any more, nor be told.
            logger.exception("looking at the bus failed; it is tried again", extra={"action": "look_failed"})
            said = away("something went wrong; the log of this server tells what")
            return Message(said, said)
        drawn = {one.name: {"bars": one.bars, "most": shown(one.most), "said": one.said} for one in charts}
        told: dict[str, Any] = {**figures_of(totals), "charts": drawn}
        return Message(
            page=f"event: figures\ndata: {json.dumps(told)}\n\n",
            api=f"event: metrics\ndata: {totals.model_dump_json()}\n\n",
        )


def away(said: str) -> str:
    """Return the message that there is nothing to see just now, and why."""
    return f"event: away\ndata: {json.dumps({'said': said})}\n\n"


def figures_of(totals: EventMetrics) -> dict[str, str]:
    """Return the figures that the overview shows, as text, by the names that its elements have."""
    ratio = totals.success_ratio
    found: dict[str, Any] = {
        "events": totals.total_events, "rate": totals.rate.one_minute, "rate5": totals.rate.five_minutes,
        "pending": totals.pending_events, "backlog": totals.backlog, "oldest": totals.oldest_waiting,
        "dead": totals.dead_letters, "retries": totals.retries, "unrouted": totals.unrouted_events,
        "latency50": totals.latency.p50, "latency99": totals.latency.p99, "duration50": totals.duration.p50,
        "duration99": totals.duration.p99, "lateness50": totals.lateness.p50, "lateness99": totals.lateness.p99,
    }  # fmt: skip
    told = {name: shown(value) for name, value in found.items()}
    return {**told, "ratio": "-" if ratio is None else f"{ratio:.2%}"}
