"""Finding events in the history by time, type and status."""

from __future__ import annotations

#: Most entries of one stream that a query looks at; beyond, the total is a lower bound.
MOST_SCANNED = 10_000

Place = tuple[tuple[int, int], str, bytes]
