"""The overview as it changes: one look at the bus every two seconds, for all who watch."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from anyio import to_thread

from eventsys.dashboard.charts import charts_of
from eventsys.errors import EventsysError
from eventsys.model.metrics import EventMetrics
from eventsys.readable import shown
from eventsys.service import EventService

#: Seconds between two looks. Nothing tells that a rate has changed, so it is looked at, as `eventsys top` does.
EVERY_S = 2.0

#: Pages that may watch at once.
MOST_WATCHERS = 100


class Live:
    """Looks at the bus while somebody watches, once for all of them, and not at all while nobody does.

    Its methods are called in the event loop that serves the pages.

    Args:
        events: The service of the bus.
    """

    def __init__(self, events: EventService) -> None:
        self._events = events
        self._watchers: set[asyncio.Queue[str | None]] = set()
        self._looking: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether nobody more may watch."""
        return len(self._watchers) >= MOST_WATCHERS

    async def watch(self) -> AsyncIterator[str]:
        """Give a message of server-sent events at every look, until who watches is gone."""
        mine: asyncio.Queue[str | None] = asyncio.Queue(maxsize=1)
        self._watchers.add(mine)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_again_and_again())
        try:
            while (message := await mine.get()) is not None:
                yield message
        finally:
            self._watchers.discard(mine)
            if not self._watchers and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look_again_and_again(self) -> None:
        while self._watchers:
            message = await to_thread.run_sync(self._look)
            self._tell(message)
            await asyncio.sleep(EVERY_S)

    def end(self) -> None:
        """Let nobody watch any more: a server that ends would wait for streams that do not."""
        if self._looking is not None:
            self._looking.cancel()
        self._tell(None)

    def _tell(self, message: str | None) -> None:
        for watcher in self._watchers:
            # Who does not keep up gets the newest look, not every one.
            with contextlib.suppress(asyncio.QueueEmpty):
                watcher.get_nowait()
            watcher.put_nowait(message)

    def _look(self) -> str:
        try:
            look = self._events.store.metrics.look()
            told: dict[str, Any] = figures_of(look.totals())
            charts = charts_of(look.activity())
        except EventsysError as error:
            return f"event: away\ndata: {json.dumps({'said': ' '.join(str(error).split())})}\n\n"
        drawn = {one.name: {"bars": one.bars, "most": shown(one.most), "said": one.said} for one in charts}
        return f"event: figures\ndata: {json.dumps({**told, 'charts': drawn})}\n\n"


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
