"""What `eventsys top` shows of a look."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from eventsys.cli.printing import STYLES, shown
from eventsys.cli.top.samples import History, Sample

_BARS = "▁▂▃▄▅▆▇█"

#: Most rows of a part of the screen.
_ROWS = 15


def draw(history: History) -> RenderableType:
    """Return the screen for what has been seen so far."""
    now = history.now
    return Group(_figures(history), _subscriptions(now), _queues(now), _in_hand(now))


def sparkline(values: Sequence[float]) -> str:
    """Return values as a curve of one line; the tallest bar is the largest of them."""
    most = max(values, default=0.0)
    if most <= 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[min(len(_BARS) - 1, int(value / most * (len(_BARS) - 1) + 0.5))] for value in values)


def _figures(history: History) -> Table:
    totals = history.now.totals
    table = Table.grid(padding=(0, 2))
    for name, values, unit in (
        ("events", history.events_a_second(), "/s"),
        ("deliveries", history.deliveries_a_second(), "/s"),
        ("backlog", history.backlog(), ""),
    ):
        latest = values[-1] if values else 0.0
        table.add_row(Text(name, style="bold"), Text(f"{shown(round(latest, 1))}{unit}"), Text(sparkline(values)))
    latency, lateness = totals.latency, totals.lateness
    table.add_row(Text("latency", style="bold"), Text(f"p50 {shown(latency.p50)}"), Text(f"p99 {shown(latency.p99)}"))
    table.add_row(
        Text("lateness", style="bold"), Text(f"p50 {shown(lateness.p50)}"), Text(f"p99 {shown(lateness.p99)}")
    )
    workers, dead = len(history.now.processes), totals.dead_letters
    table.add_row(
        Text("workers", style="bold"),
        Text(shown(workers), style="" if workers else STYLES["problem"]),
        Text(f"{shown(dead)} dead letters, {shown(totals.pending_events)} events pending"),
    )
    return table


def _subscriptions(now: Sample) -> Table:
    table = _table("SUBSCRIPTION", "STATE", "ATTEMPTS/S", "BACKLOG", "WAITING", "DEAD", "LATENCY P99", "TOOK P99")
    for standing in now.standings[:_ROWS]:
        figures = now.by_subscription.get(standing.name)
        state = standing.state.value
        _row(
            table,
            standing.name,
            Text(state, style=STYLES.get(state, "")),
            None if figures is None else figures.rate.one_minute,
            None if figures is None else figures.backlog,
            standing.waiting,
            standing.dead_letters,
            None if figures is None else figures.latency.p99,
            None if figures is None else figures.duration.p99,
        )
    return _with_rest(table, len(now.standings))


def _queues(now: Sample) -> Table:
    table = _table("QUEUE", "WAITING", "RUNNING", "DELAYED", "OLDEST", "READERS")
    for state in now.queues[:_ROWS]:
        _row(
            table, state.name, state.waiting, state.running, state.delayed, state.oldest_waiting, len(state.readers)
        )  # fmt: skip
    return _with_rest(table, len(now.queues))


def _in_hand(now: Sample) -> Table:
    table = _table("IN HAND", "PROCESS", "SINCE")
    for one in sorted(now.in_hand, key=lambda one: one.since, reverse=True)[:_ROWS]:
        _row(table, one.handler, one.process, one.since)
    return _with_rest(table, len(now.in_hand))


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, expand=False)
    table.add_column(first, no_wrap=True)
    for title in numbers:
        table.add_column(title, justify="left" if title in {"STATE", "PROCESS"} else "right")
    return table


def _row(table: Table, *values: object) -> None:
    table.add_row(*(value if isinstance(value, Text) else Text(shown(value)) for value in values))


def _with_rest(table: Table, count: int) -> Table:
    if count > _ROWS:
        table.caption = f"and {count - _ROWS} more"
    return table
