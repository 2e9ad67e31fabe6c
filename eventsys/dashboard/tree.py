"""A chain of events drawn as a tree: where each line and each name stands."""

from __future__ import annotations

from typing import Any, NamedTuple

from eventsys.model.event import EventRecord
from eventsys.model.trace import Trace

#: Pixels between two rows, and between a cause and what it led to.
ROW, STEP = 30, 26

#: Levels that are drawn one beside another; deeper ones stand below the last.
_MOST_LEVELS = 24

#: Pixels that the widest letter of a type takes in the fonts of the style sheet, and those of what
#: stands behind the type: when, and how it ended.
_LETTER, _REST = 15, 230


class Leaf(NamedTuple):
    """One event of the drawing.

    Attributes:
        event: The event.
        x: Where its circle is.
        y: The same.
        cause_x: Where the circle of its cause is; None where it has none here.
        cause_y: The same.
        is_delayed: Whether it waits for its time.
    """

    event: EventRecord[Any]
    x: int
    y: int
    cause_x: int | None
    cause_y: int | None
    is_delayed: bool


class Tree(NamedTuple):
    """A drawing and its size in pixels."""

    leaves: list[Leaf]
    width: int
    height: int
    is_complete: bool


def drawn(trace: Trace) -> Tree:
    """Return where everything of a chain stands: a row for each event, its cause above and to the left."""
    places: dict[str, tuple[int, int]] = {}
    leaves: list[Leaf] = []
    for row, node in enumerate(trace.nodes):
        x, y = 14 + STEP * min(node.depth, _MOST_LEVELS), ROW // 2 + ROW * row
        cause_x, cause_y = places.get(node.event.causation_id or "", (None, None)) if node.depth else (None, None)
        places[node.event.id] = (x, y)
        leaves.append(Leaf(node.event, x, y, cause_x, cause_y, node.is_delayed))
    width = max((leaf.x + _LETTER * len(leaf.event.type) + _REST for leaf in leaves), default=0)
    return Tree(leaves, width, ROW * len(leaves), trace.is_complete)
