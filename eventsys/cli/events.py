"""`eventsys events`: what happened."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsys.cli.faults import fitting, note_unknown
from eventsys.cli.options import (
    AsJson,
    Cursor,
    Debug,
    Limit,
    RedisUrl,
    Since,
    Subscription,
    Types,
    Until,
    moment_of,
)
from eventsys.cli.printing import Column, masked, print_facts, print_model, print_table, shown, span, visible
from eventsys.cli.publish import publish
from eventsys.cli.session import service_of

if TYPE_CHECKING:
    from eventsys import EventRecord

events = typer.Typer(help="What happened: list, show, follow and publish events.", no_args_is_help=True)
events.command("publish")(publish)

EventId = Annotated[str, typer.Argument(metavar="ID", help="The id of the event.")]


class Status(StrEnum):
    """Where an event stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


StatusOption = Annotated[Status | None, typer.Option("--status", help="Only those that stand so.")]
Source = Annotated[str | None, typer.Option("--source", help="Only those that this source published.")]
Chain = Annotated[str | None, typer.Option("--correlation-id", help="Only those of this chain.")]
Text = Annotated[str | None, typer.Option("--text", help="Only those whose stored form contains this text.")]
Oldest = Annotated[bool, typer.Option("--oldest-first", help="The oldest first, not the newest.")]

_COLUMNS = (
    Column("TIME (UTC)", lambda record: record.created_at),
    Column("TYPE", lambda record: record.type),
    Column("ID", lambda record: record.id, is_whole=True),
    Column("STATUS", lambda record: record.status.value),
    Column("HANDLED", lambda record: _handled(record)),
    Column("SOURCE", lambda record: record.source),
    Column("ERROR", lambda record: (record.error or "")[:60]),
)


@events.command("ls")
def list_events(
    types: Types = None,
    status: StatusOption = None,
    source: Source = None,
    subscription: Subscription = None,
    correlation_id: Chain = None,
    text: Text = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    oldest_first: Oldest = False,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """List events, the newest first.

    For example: eventsys events ls --type 'order.*' --status failed --since 2h
    """
    with service_of(redis_url, debug=debug) as service:
        from eventsys import EventFilter

        wanted = fitting(
            EventFilter,
            types=tuple(types or ()), status=status and status.value, sources=(source,) if source else (),
            subscription=subscription, correlation_id=correlation_id, text=text,
            start_time=moment_of(since, service), end_time=moment_of(until, service), page_size=limit, cursor=cursor,
            order="oldest" if oldest_first else "newest",
        )  # fmt: skip
        page = service.get_event_records(wanted)
        if not page.items:
            note_unknown(service, subscription)
        if as_json:
            print_model(page)
            return
        total = f"{'' if page.total_is_exact else 'at least '}{page.total:,}"
        more = f"; the next: --cursor {page.next_cursor}" if page.next_cursor else ""
        print_table(_COLUMNS, page.items, caption=f"{len(page.items)} of {total} events{more}")


@events.command("show")
def show_event(event_id: EventId, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Show one event: its payload, and every delivery with its attempts, errors and times.

    Fields that are declared secret are masked.
    """
    with service_of(redis_url, debug=debug) as service:
        record = service.get_event(event_id)
        if as_json:
            print_model(record)
        else:
            _print_record(masked(record))


@events.command("tail")
def follow_events(
    types: Types = None,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Follow events as they are published, until Ctrl-C; --json prints one event a line.

    An outage of Redis is told on standard error, and so is its end; what was stored meanwhile is shown then.
    """
    with service_of(redis_url, debug=debug) as service:
        for event in service.store.follow(types or (), on_outage=_note_outage):
            if as_json:
                print_model(event)
            else:
                typer.echo(f"{shown(event.time)}  {event.type}  {visible(event.id)}  {visible(event.source)}")


def _note_outage(reason: str) -> None:
    away = f"{reason.removesuffix('.')}; it is asked again until it answers, and what is stored by then is shown"
    typer.echo(f"note: {away if reason else 'Redis answers again'}", err=True)


def _handled(record: EventRecord[Any]) -> str:
    done = sum(not one.status.is_open for one in record.deliveries)
    return f"{done}/{len(record.deliveries)}"


def _print_record(record: EventRecord[Any]) -> None:
    import json

    print_facts(
        [
            ("id", record.id),
            ("type", record.type),
            ("status", record.status.value),
            ("source", record.source or None),
            ("priority", record.priority.name.lower()),
            ("time", record.time),
            ("due", record.delay_until),
            ("ended", record.processed_at),
            ("correlation", record.correlation_id if record.correlation_id != record.id else None),
            ("caused by", record.causation_id),
        ]
    )
    typer.echo("payload")
    for line in json.dumps(record.model_dump(mode="json")["payload"], indent=2, ensure_ascii=False).splitlines():
        typer.echo(f"  {visible(line)}")
    if not record.deliveries:
        typer.echo("no subscription wanted it" if record.status.is_final else "not dispatched yet")
    for delivery in record.deliveries:
        typer.echo(f"{visible(delivery.subscription)}: {delivery.status.value}, attempts {delivery.attempts}")
        for attempt in delivery.history:
            took = "" if attempt.duration is None else f" after {span(attempt.duration)}"
            where = f" on {visible(attempt.worker)}" if attempt.worker else ""
            typer.echo(f"  {attempt.number}. {shown(attempt.started_at)} {attempt.status}{took}{where}")
            if attempt.error:
                typer.echo(f"     {visible(attempt.error)}")
        for line in (delivery.traceback or "").splitlines():
            typer.echo(f"     | {visible(line)}")
