"""One coloured log for people: what happens in every process of an application, as it happens."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from rich.console import Console
from rich.text import Text

from eventsys.broker.messages import DeliveryMessage, LogMessage, Received
from eventsys.broker.staging import OWN_ACTORS
from eventsys.middleware.witness import Outcome
from eventsys.runtime.development.options import Development
from eventsys.runtime.plain_log import tell_outages_seldom
from eventsys.runtime.readable_trace import readable_trace
from eventsys.settings import load_settings

_LEVELS = {"DEBUG": "dim", "INFO": "", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}
_OUTCOMES = {
    "succeeded": ("✓", "green"),
    "failed": ("↻", "yellow"),
    "dead": ("✗", "red"),
    "unhosted": ("…", "yellow"),
    "expired": ("✗", "yellow"),
}

#: What other loggers say of an attempt, which has a line of its own here.
_TOLD_TWICE = ("Failed to process message", "This process has no actor")

attempts = logging.getLogger("eventsys.attempts")


class _Output(Console):
    """Prints for as long as somebody reads."""

    def on_broken_pipe(self) -> None:
        """Print no more, and raise nothing: it would end whoever logs, in the middle of his own work."""
        with suppress(SystemExit):
            super().on_broken_pipe()


class TerminalLog(logging.Handler):
    """Prints records in one line each: when, which process, what; errors with the application's own frames.

    Into a pipe that nobody reads any more, nothing is printed.

    Args:
        source: The name of this process in the log.
        whole_traces: Whether tracebacks show the machinery too.
        console: Where to; None: the standard output.
    """

    def __init__(self, source: str, *, whole_traces: bool = False, console: Console | None = None) -> None:
        super().__init__()
        self._source = source
        self._whole_traces = whole_traces
        self._console = console or _Output(file=sys.stdout, soft_wrap=True, highlight=False)

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record; an error while printing is told as logging tells it."""
        try:
            if not self._whole_traces and record.getMessage().startswith(_TOLD_TWICE):
                return
            self._console.print(self.line_of(record), soft_wrap=True)
        except Exception:
            self.handleError(record)

    def line_of(self, record: logging.LogRecord) -> Text:
        """Return what is printed of a record."""
        time = datetime.fromtimestamp(record.created).astimezone()
        line = Text()
        line.append(f"{time:%H:%M:%S}.{int(record.msecs):03d} ", style="dim")
        line.append(f"{self._source:<9} ", style="cyan")
        sign, style = _OUTCOMES.get(getattr(record, "outcome", ""), ("", _LEVELS.get(record.levelname, "")))
        text = _printable(record.getMessage())
        line.append(f"{sign} {text}" if sign else text, style=style)
        if record.exc_info and record.exc_info[1] is not None:
            line.append("\n" + _indented(self._trace(record.exc_info[1])), style="red")
        return line

    def _trace(self, error: BaseException) -> str:
        return "".join(traceback.format_exception(error)) if self._whole_traces else readable_trace(error)


def log_to_terminal(source: str, *, whole_traces: bool = False) -> None:
    """Have all log records of this process printed for people."""
    logging.basicConfig(level=logging.INFO, handlers=[TerminalLog(source, whole_traces=whole_traces)], force=True)
    tell_outages_seldom()
    for chatty in ("dramatiq", "periodiq"):
        logging.getLogger(chatty).setLevel(logging.INFO if whole_traces else logging.WARNING)


def say_hello(modules: Sequence[str], development: Development, dashboard: str = "") -> None:
    """Say what runs, what saving a file does, and where the dashboard is, if there is something to say about that."""
    redis_url = load_settings().redis_url
    where = "embedded, in .eventsys/" if redis_url is None else "as configured"
    how = ", by polling" if development.polls else ""
    saved = f"takes effect at once{how}" if development.reloads else "has no effect (--no-reload)"
    dev = logging.getLogger("eventsys.dev")
    dev.info("handlers of %s; Redis %s; a saved module %s; Ctrl-C ends all", ", ".join(modules), where, saved)
    if dashboard:
        dev.info(dashboard)


def tell_attempt(message: Received, outcome: Outcome, error: BaseException | None) -> None:
    """Log how an attempt ended: event, handler, duration; the error, if it failed."""
    if isinstance(message, LogMessage) or (message.actor_name.startswith(OWN_ACTORS) and error is None):
        return
    took = f"{message.took_us / 1000:.1f} ms"
    what = message.actor_name
    if isinstance(message, DeliveryMessage):
        what = f"{message.header.type} → {message.actor_name}"
    number = f", attempt {message.previous + 1}" if message.previous or outcome != "succeeded" else ""
    ending = {"failed": "failed, and is tried again", "dead": "failed for good: a dead letter"}.get(outcome, outcome)
    if outcome == "expired":
        attempts.warning("%s expired: it was too late to begin", what, extra={"outcome": outcome})
    elif outcome == "unhosted":
        attempts.warning("%s waits: no handler of this name is here", what, extra={"outcome": outcome})
    elif error is None:
        attempts.info("%s  %s%s", what, took, number, extra={"outcome": outcome})
    else:
        attempts.error("%s  %s%s %s", what, took, number, ending, exc_info=error, extra={"outcome": outcome})


def _printable(text: str) -> str:
    """Return `text` so that nothing in it moves the cursor or colours the screen; new lines stay."""
    return "".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in text)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in _printable(text).splitlines())
