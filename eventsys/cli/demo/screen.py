"""What the demo shows: lines that read well in a terminal and in a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, OverflowMethod
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from eventsys import CronTask, DelayedEvent, EventRecord
    from eventsys.cli.demo.chronicle import Attempted, Published
    from eventsys.cli.demo.summary import Summary

_NAME_WIDTH = 22

#: What is shown of the events that tell of a cron task's runs.
_TOLD_OF_RUNS = ("task", "scheduled_for")


class Screen:
    """Prints what happens, and in a terminal says in a last line what is waited for."""

    def __init__(self) -> None:
        # Values are printed as they are: no colours guessed for numbers, no markup read in payloads.
        self._console = Console(highlight=False, markup=False, emoji=False)
        can_draw = (self._console.encoding or "").lower().startswith("utf")
        self._status = self._console.status("", spinner="dots" if can_draw else "line")
        self._overflow: OverflowMethod = "ellipsis" if can_draw else "crop"
        self._arrow, self._done, self._failed, self._later = "→✓✗◷" if can_draw else ">+x@"

    def title(self) -> None:
        """Say what this is."""
        self.say(Text.assemble(("eventsys demo", "bold"), "  the examples of actors/, live"))

    def say(self, text: Text | str = "", *, indent: int = 0, cut: bool = False) -> None:
        """Print one line, whole; with `cut` a terminal shows what fits."""
        line = Text(" " * indent) + (text if isinstance(text, Text) else Text(text))
        if cut and self._console.is_terminal:
            self._console.print(line, no_wrap=True, overflow=self._overflow)
        else:
            self._console.print(line, soft_wrap=True)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Take back at the end what is said to be waited for."""
        try:
            yield
        finally:
            self._status.stop()

    def waits_for(self, what: str) -> None:
        """Say in a terminal's last line what is waited for, until something else is or nothing is."""
        if what:
            self._status.update(Text(what, "dim"))
            self._status.start()
        else:
            self._status.stop()

    def waits_for_event(self, event: DelayedEvent[Any], left: timedelta) -> None:
        """Say how long it is until an event is due."""
        self.waits_for(f"{event.type} is due in {left.total_seconds():.1f} s")

    def scene(self, number: int, what: str) -> None:
        """Begin a scene."""
        self.waits_for("")
        self.say()
        self.say(Text.assemble((f"{number}  ", "bold cyan"), (what, "bold")))

    def scheduled(self, event: DelayedEvent[Any], remark: str) -> None:
        """Show an event that is due later."""
        priority = event.priority.name.lower()
        self._event(self._later, event.type, f"due at {event.delay_until:%H:%M:%S} UTC, priority {priority}")
        self.say(Text(remark, "dim"), indent=6 + _NAME_WIDTH)

    def repeats(self, task: CronTask, remark: str) -> None:
        """Show a cron task that was created."""
        self._event(self._later, task.name, f"due at {task.schedule!r}, priority {task.priority.name.lower()}")
        self.say(Text(remark, "dim"), indent=6 + _NAME_WIDTH)

    def published(self, happening: Published) -> None:
        """Show an event that was published, or fired."""
        self.waits_for("")
        record = happening.record
        told = _content(record)
        if record.delay_until is not None:
            told = f"fired {duration(record.created_at - record.delay_until)} after it was due"
        self._event(self._arrow, record.type, told)

    def attempted(self, happening: Attempted) -> None:
        """Show an attempt that ended."""
        attempt, after = happening.attempt, duration(happening.after)
        sign, style = (self._failed, "red") if attempt.error else (self._done, "green")
        told = f"attempt {attempt.number} {attempt.status} " if attempt.number > 1 or attempt.error else ""
        name = happening.subscription.ljust(_NAME_WIDTH - 2)
        self.say(Text.assemble((f"{sign} ", style), f"{name} {told}after {after}"), indent=5)
        if attempt.error:
            self.say(Text(attempt.error, "red"), indent=6 + _NAME_WIDTH)

    def summary(self, summary: Summary) -> None:
        """Print the table of events, and the totals."""
        # Fits into 80 columns, title and all.
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
        for name in ("event", "priority", "status"):
            table.add_column(name, no_wrap=True, overflow=self._overflow)
        for name in ("events", "deliveries", "retries", "took"):
            table.add_column(name, justify="right", overflow=self._overflow)
        for row in summary.rows:
            numbers = (str(row.events), str(row.deliveries), str(row.retries or ""), duration(row.longest))
            table.add_row(row.event_type, row.priority, row.status, *numbers)
        self.say()
        self.say(Text("What the history tells", "bold"))
        self.say()
        self._console.print(table)
        self.say()
        self.say(
            f"{summary.events} events, {summary.deliveries} deliveries, {summary.retries} retries;"
            f" {'every delivery succeeded' if summary.has_succeeded else 'NOT every delivery succeeded'}."
        )
        self.say(
            f"From publish, or due, to handler: half within {duration(summary.median_wait)},"
            f" all within {duration(summary.longest_wait)}."
        )

    def _event(self, sign: str, event_type: str, told: str) -> None:
        line = Text.assemble((f"{sign} ", "yellow"), (event_type.ljust(_NAME_WIDTH), "yellow"), " ", told)
        self.say(line, indent=3, cut=True)


def duration(length: timedelta) -> str:
    """Return a duration as people say it."""
    milliseconds = length / timedelta(milliseconds=1)
    if milliseconds < 1:
        return "<1 ms"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _content(record: EventRecord[Any]) -> str:
    names = _TOLD_OF_RUNS if record.type.startswith("cron.task.") else record.payload
    simple = {name: record.payload[name] for name in names if isinstance(record.payload[name], str | int | float)}
    return ", ".join(f"{name} {value}" for name, value in simple.items())
