"""What `eventsys top` shows of a look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from eventsys.cli.printing import STYLES, Column, shown
from eventsys.cli.top.fitting import fitting_table, shares
from eventsys.cli.top.samples import History
from eventsys.model.metrics import SubscriptionMetrics
from eventsys.model.standing import SubscriptionStanding

_BARS = "▁▂▃▄▅▆▇█"

#: Lines of the figures, and those of a table that are no row: a blank one, its head, and how many more there are.
_FIGURES, _BESIDES = 6, 4

#: Rows that a table shows of more where nothing says how high the screen is.
_ROWS = 15

#: Columns beside a curve.
_BESIDE_CURVE = 28

_Row = tuple[SubscriptionStanding, SubscriptionMetrics | None]

# The first is the name, and is cut where there is no room; of the others the last ones are left out first.
_SUBSCRIPTIONS = (
    Column("SUBSCRIPTION", lambda row: row[0].name),
    Column("STATE", lambda row: row[0].state.value),
    Column("BACKLOG", lambda row: _of(row, "backlog"), is_number=True),
    Column("DEAD", lambda row: row[0].dead_letters, is_number=True),
    Column("ATTEMPTS/S", lambda row: _of(row, "rate", "one_minute"), is_number=True),
    Column("LATENCY P99", lambda row: _of(row, "latency", "p99"), is_number=True),
    Column("WAITING", lambda row: row[0].waiting, is_number=True),
    Column("TOOK P99", lambda row: _of(row, "duration", "p99"), is_number=True),
)
_QUEUES = (
    Column("QUEUE", lambda state: state.name),
    Column("WAITING", lambda state: state.waiting, is_number=True),
    Column("RUNNING", lambda state: state.running, is_number=True),
    Column("OLDEST", lambda state: state.oldest_waiting, is_number=True),
    Column("READERS", lambda state: len(state.readers), is_number=True),
    Column("DELAYED", lambda state: state.delayed, is_number=True),
)
_IN_HAND = (
    Column("IN HAND", lambda one: one.handler),
    Column("SINCE", lambda one: one.since, is_number=True),
    Column("PROCESS", lambda one: one.process),
)


def draw(history: History, width: int, height: int | None = None) -> RenderableType:
    """Return the screen for what has been seen so far.

    Args:
        history: The looks.
        width: Columns of the terminal; a table gives up columns rather than break them.
        height: Its lines; the tables share them. None: as many as are needed, within reason.
    """
    now = history.now
    in_hand = sorted(now.in_hand, key=lambda one: one.since, reverse=True)
    parts: list[tuple[Sequence[Column], Sequence[Any]]] = [
        (_SUBSCRIPTIONS, [(one, now.by_subscription.get(one.name)) for one in now.standings]),
        (_QUEUES, now.queues),
        (_IN_HAND, in_hand),
    ]
    needs = [len(rows) for _, rows in parts]
    if height is None:
        rows_of = [min(need, _ROWS) for need in needs]
    else:
        rows_of = shares(needs, height - _FIGURES - _BESIDES * len(parts))
    tables = [
        fitting_table(columns, rows, width, count) for (columns, rows), count in zip(parts, rows_of, strict=True)
    ]  # fmt: skip
    return Group(_figures(history, width), *(part for table in tables for part in ("", table)))


def sparkline(values: Sequence[float]) -> str:
    """Return values as a curve of one line; the tallest bar is the largest of them."""
    most = max(values, default=0.0)
    if most <= 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[min(len(_BARS) - 1, int(value / most * (len(_BARS) - 1) + 0.5))] for value in values)


def _figures(history: History, width: int) -> Table:
    table = Table.grid(padding=(0, 2))
    newest = max(1, width - _BESIDE_CURVE)
    for name, values, unit in (
        ("events", history.events_a_second(), "/s"),
        ("deliveries", history.deliveries_a_second(), "/s"),
        ("backlog", history.backlog(), ""),
    ):
        latest = values[-1] if values else 0.0
        curve = Text(sparkline(values[-newest:]), no_wrap=True)
        table.add_row(Text(name, style="bold"), Text(f"{shown(round(latest, 1))}{unit}"), curve)
    for cells in _facts(history, newest):
        table.add_row(*cells)
    return table


def _facts(history: History, room: int) -> Iterable[tuple[Text, Text, Text]]:
    now, totals = history.now, history.now.totals
    for name, times, curve in (("latency", totals.latency, history.latency()), ("lateness", totals.lateness, [])):
        said = f"p99 {shown(times.p99)}"
        left = max(0, room - len(said) - 2)
        drawn = f"{said}  {sparkline(curve[-left:])}" if curve and left else said
        yield Text(name, style="bold"), Text(f"p50 {shown(times.p50)}"), Text(drawn, no_wrap=True)
    if history.missed:
        said = f"seen {history.age_s():.0f} s ago; {history.missed}"
        yield Text("Redis", style="bold"), Text("no answer", style=STYLES["problem"]), Text(said, no_wrap=True)
        return
    workers = sum(one.is_alive for one in now.processes)
    yield (
        Text("workers", style="bold"),
        Text(shown(workers), style="" if workers else STYLES["problem"]),
        Text(f"{shown(totals.dead_letters)} dead letters, {shown(totals.pending_events)} events pending"),
    )


def _of(row: _Row, *names: str) -> object:
    """Return a figure of a subscription; None where it has none yet."""
    found: object = row[1]
    for name in names:
        found = None if found is None else getattr(found, name)
    return found
