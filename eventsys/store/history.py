"""Finding events in the history by time, type and status."""

from __future__ import annotations

from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any

from eventsys.clock import to_ms
from eventsys.model.envelope import header_target
from eventsys.model.priority import LANES
from eventsys.model.queries import EventFilter
from eventsys.model.status import EventStatus
from eventsys.store.keys import Keys
from eventsys.store.link import Link

#: Most entries of one stream that a query looks at; beyond, the total is a lower bound.
MOST_SCANNED = 10_000

Place = tuple[tuple[int, int], str, bytes]
