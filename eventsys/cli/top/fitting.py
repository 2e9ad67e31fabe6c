"""Tables that fit a terminal, however narrow and low it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from eventsys.cli.printing import STYLES, Column, shown

#: Columns between two values.
_BETWEEN = 2

#: Letters that a name keeps, however narrow the terminal is.
_SHORTEST_NAME = 16


def fitting_table(columns: Sequence[Column], rows: Sequence[Any], width: int, most: int) -> Table:
    """Return a table that is no wider than it may be: the last columns are left out, and the first is cut.

    Args:
        columns: What is shown of each row, a name and then the most important first.
        rows: The rows, of which the first ones are shown.
        width: Columns of the terminal.
        most: Most rows; how many more there are is said below.
    """
    texts = [[shown(column.value(row)) for column in columns] for row in rows[:most]]
    widths = [max([len(column.title), *(len(line[at]) for line in texts)]) for at, column in enumerate(columns)]
    kept = _kept(widths, width)
    room = width - sum(size + _BETWEEN for size in widths[1:kept])
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _BETWEEN - 1, 0, 0))
    for at, column in enumerate(columns[:kept]):
        size = min(widths[at], room) if at == 0 else widths[at]
        table.add_column(
            column.title, justify="right" if column.is_number else "left", no_wrap=True, overflow="ellipsis",
            width=max(1, size),
        )  # fmt: skip
    for line in texts:
        table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in line[:kept]))
    if len(rows) > most:
        table.caption = Text(f"and {len(rows) - most:,} more")
        table.caption_justify = "left"
    return table


def shares(needs: Sequence[int], room: int) -> list[int]:
    """Return how many rows each table gets of those there is room for: what it needs, or as much as the others.

    Args:
        needs: The rows of each.
        room: The rows there is room for; each table gets one at least.
    """
    given = [min(need, 1) for need in needs]
    left = max(0, room - sum(given))
    while left > 0 and (hungry := [at for at, need in enumerate(needs) if given[at] < need]):
        for at in hungry[:left]:
            given[at] += 1
        left -= min(left, len(hungry))
    return given


def _kept(widths: Sequence[int], width: int) -> int:
    """Return how many columns there is room for beside a name that may be cut."""
    taken = min(widths[0], _SHORTEST_NAME)
    for at, size in enumerate(widths[1:], start=1):
        taken += size + _BETWEEN
        if taken > width:
            return at
    return len(widths)
