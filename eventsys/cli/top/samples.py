"""What `eventsys top` sees at one look, and how it changes from look to look."""

from __future__ import annotations

import time
from collections import deque
from datetime import timedelta
from itertools import pairwise
from typing import NamedTuple

from eventsys.model.histogram import Histogram
from eventsys.model.machinery import InHand, QueueState, WorkerProcess
from eventsys.model.metrics import EventMetrics, SubscriptionMetrics
from eventsys.model.standing import SubscriptionStanding
from eventsys.service import EventService

#: Looks that the little curves show.
LONGEST = 60


class Sample(NamedTuple):
    """The bus at one moment.

    Attributes:
        at: When it was looked at, in seconds that only grow.
        totals: Its figures.
        by_subscription: Those of each subscription.
        standings: How each subscription stands.
        queues: Its queues.
        processes: Its processes.
        in_hand: What some of them hold.
        waits: How long deliveries waited, since the bus began.
    """

    at: float
    totals: EventMetrics
    by_subscription: dict[str, SubscriptionMetrics]
    standings: list[SubscriptionStanding]
    queues: list[QueueState]
    processes: list[WorkerProcess]
    in_hand: list[InHand]
    waits: Histogram = Histogram(timedelta(milliseconds=1))


def look(events: EventService) -> Sample:
    """Look at a bus once."""
    metrics, machinery = events.store.metrics.look(), events.machinery.look()
    return Sample(
        at=time.monotonic(),
        totals=metrics.totals(),
        by_subscription=metrics.by_subscription(),
        standings=events.subscriptions.list(metrics),
        queues=machinery.queues,
        processes=machinery.processes,
        in_hand=machinery.in_hand(),
        waits=metrics.waits(),
    )


class History:
    """The looks so far, of which the last minute or so is kept.

    Attributes:
        missed: Why the newest look failed; empty: it did not.
    """

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=LONGEST + 1)
        self.missed = ""

    def add(self, sample: Sample) -> None:
        """Take one more look into account."""
        self._samples.append(sample)
        self.missed = ""

    def miss(self, reason: str) -> None:
        """Note that one more look failed; what was seen before stays."""
        self.missed = reason

    def age_s(self) -> float:
        """Return how many seconds ago the last look was that did not fail."""
        return time.monotonic() - self.now.at

    @property
    def now(self) -> Sample:
        """The last look."""
        return self._samples[-1]

    def events_a_second(self) -> list[float]:
        """Return how many events were published a second, between any two looks."""
        return self._rates([one.totals.total_events for one in self._samples])

    def deliveries_a_second(self) -> list[float]:
        """Return how many deliveries ended a second, between any two looks."""
        return self._rates([_ended(one.totals) for one in self._samples])

    def backlog(self) -> list[float]:
        """Return how many deliveries were open at each look."""
        return [float(one.totals.backlog) for one in self._samples]

    def latency(self) -> list[float]:
        """Return the p99, in seconds, of what began to be handled between any two looks; 0 where nothing did."""
        found = [(newer.waits - older.waits).percentile(0.99) for older, newer in pairwise(self._samples)]
        return [0.0 if length is None else length.total_seconds() for length in found]

    def _rates(self, totals: list[int]) -> list[float]:
        times = [one.at for one in self._samples]
        return [
            max(0.0, (totals[at] - totals[at - 1]) / max(1e-6, times[at] - times[at - 1]))
            for at in range(1, len(totals))
        ]


def _ended(totals: EventMetrics) -> int:
    return totals.succeeded + totals.dead + totals.expired + totals.cancelled
