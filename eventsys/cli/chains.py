"""`eventsys events trace` and `events export`: history as a tree, and as a file."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated

import typer

from eventsys.cli.faults import MISUSED, fitting, refuse
from eventsys.cli.options import AsJson, Cursor, Debug, RedisUrl, Since, Types, Until, moment_of
from eventsys.cli.printing import print_model, shown, visible
from eventsys.cli.session import service_of

AnId = Annotated[str, typer.Argument(metavar="ID", help="A correlation id, or the id of any event of the chain.")]
Most = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="Most events to show.")]


class Form(StrEnum):
    """How exported events are written."""

    JSONL = "jsonl"
    CLOUDEVENTS = "cloudevents"


FormOption = Annotated[Form, typer.Option("--form", help="A record a line, or batches of CloudEvents.")]
To = Annotated[Path | None, typer.Option("--to", help="The file to append to; else standard output.")]


def trace_events(
    an_id: AnId, limit: Most = 500, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False
) -> None:
    """Show what led to what: the events of a chain as a tree, with their deliveries."""
    with service_of(redis_url, debug=debug) as service:
        trace = service.store.trace(an_id, most=limit)
        if as_json:
            print_model(trace)
            return
        for node in trace.nodes:
            event = node.event
            when = f"due {shown(event.delay_until)}" if node.is_delayed else shown(event.created_at)
            handled = ", ".join(
                f"{visible(one.subscription)} {one.status.value}{f' ({one.attempts})' if one.attempts > 1 else ''}"
                for one in event.deliveries
            )
            said = f"{node.guide}{event.type} {visible(event.id)}  {when}  {event.status.value}"
            typer.echo(f"{said}{f'  [{handled}]' if handled else ''}")
        if not trace.is_complete:
            typer.echo(f"and more: --limit shows more than {limit:,}")


def export_events(
    types: Types = None,
    since: Since = None,
    until: Until = None,
    form: FormOption = Form.JSONL,
    to: To = None,
    cursor: Cursor = None,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Write the history out, the oldest event first, as a stream that can be resumed.

    What resumes it, as --cursor, is printed on standard error at the end, also after Ctrl-C.
    """
    with service_of(redis_url, debug=debug) as service:
        from eventsys import EventFilter
        from eventsys.store.chronicle import ExportForm

        wanted = fitting(
            EventFilter,
            types=tuple(types or ()), start_time=moment_of(since, service), end_time=moment_of(until, service),
            order="oldest", cursor=cursor,
        )  # fmt: skip
        written, reached = 0, cursor
        out = sys.stdout.buffer if to is None else _opened(to)
        try:
            for batch in service.store.export(wanted, form=ExportForm(form.value)):
                out.write(batch.data)
                out.flush()
                written, reached = written + batch.events, batch.cursor
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        finally:
            if to is not None:
                out.close()
            if written or sys.exception() is None:
                typer.echo(f"{written:,} events{f'; go on with --cursor {reached}' if reached else ''}", err=True)


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("ab")
    except OSError as error:
        refuse(f"{path} cannot be written: {error.strerror}; name another file with --to", MISUSED)
