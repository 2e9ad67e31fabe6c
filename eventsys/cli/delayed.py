"""`eventsys delayed`: what waits for its time."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsys.cli.events import StatusOption
from eventsys.cli.faults import MISUSED, fitting, note_unknown, refuse
from eventsys.cli.options import AsJson, Cursor, Debug, DryRun, Limit, RedisUrl, Types, Yes, confirm, date_of
from eventsys.cli.printing import Column, masked, print_count, print_facts, print_model, print_table, visible
from eventsys.cli.publish import EventType, Payload, Urgency, read_payload
from eventsys.cli.session import service_of

if TYPE_CHECKING:
    from eventsys import DelayedEvent, EventService

delayed = typer.Typer(help="Delayed events and retries: list, schedule, cancel, move, let go.", no_args_is_help=True)

EventId = Annotated[str, typer.Argument(metavar="ID", help="The id of the event.")]
Page = Annotated[int, typer.Option("--page", min=1, help="Which page.")]
Delay = Annotated[str | None, typer.Option("--delay", metavar="DURATION", help="So long from now: 30s, 10m, 1h30m.")]
At = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="A date and time, in this machine's zone if it has none.")
]
Source = Annotated[str | None, typer.Option("--source", help="Only those that this source scheduled.")]
Key = Annotated[str | None, typer.Option("--key", help="The caller's name for it: at most one event has it.")]
Chain = Annotated[str | None, typer.Option("--correlation-id", help="Only those of this chain.")]
Retries = Annotated[bool, typer.Option("--retries", help="The deliveries that wait for their next attempt instead.")]
Sub = Annotated[str | None, typer.Option("--sub", metavar="NAME", help="With --retries: those of this subscription.")]
SomeId = Annotated[str | None, typer.Argument(metavar="[ID]", help="The id of the event; or say which by an option.")]

_EVENTS = (
    Column("DUE (UTC)", lambda event: event.delay_until),
    Column("TYPE", lambda event: event.type),
    Column("ID", lambda event: event.id, is_whole=True),
    Column("PRIORITY", lambda event: event.priority.name.lower()),
    Column("SOURCE", lambda event: event.source),
    Column("KEY", lambda event: event.key),
)
_RETRIES = (
    Column("DUE (UTC)", lambda retry: retry.due_at),
    Column("SUBSCRIPTION", lambda retry: retry.subscription),
    Column("TYPE", lambda retry: retry.event.type),
    Column("EVENT", lambda retry: retry.event.id, is_whole=True),
    Column("ATTEMPTS", lambda retry: retry.attempts, is_number=True),
)


@delayed.command("ls")
def list_delayed(
    types: Types = None,
    source: Source = None,
    status: StatusOption = None,
    retries: Retries = False,
    subscription: Sub = None,
    limit: Limit = 20,
    page: Page = 1,
    cursor: Cursor = None,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """List what waits, the next one due first; --retries lists deliveries that failed and are tried again."""
    if retries and (types or source or status):
        refuse("--retries lists deliveries: they are chosen by --sub alone", MISUSED)
    if cursor is not None and page != 1:
        refuse("--cursor takes the place of --page; give one of them", MISUSED)
    if subscription is not None and not retries:
        refuse("an event waits for no subscription in particular; --sub goes with --retries", MISUSED)
    with service_of(redis_url, debug=debug) as service:
        found: Any
        if retries:
            found = service.delayed.get_waiting_retries(subscription, page=page, page_size=limit, cursor=cursor)
            if not found.items:
                note_unknown(service, subscription)
        else:
            from eventsys import EventFilter

            wanted = fitting(
                EventFilter,
                types=tuple(types or ()), sources=(source,) if source else (), status=status and status.value,
                page=page, page_size=limit, cursor=cursor,
            )  # fmt: skip
            found = service.get_delayed_events(wanted)
        if as_json:
            print_model(found)
            return
        total = f"{'' if found.total_is_exact else 'at least '}{found.total:,}"
        more = f"; the next: --cursor {found.next_cursor}" if found.next_cursor else ""
        print_table(_RETRIES if retries else _EVENTS, found.items, caption=f"{len(found.items)} of {total}{more}")


@delayed.command("show")
def show_delayed(event_id: EventId, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Show one delayed event: when it is due, or what became of it."""
    _tell(lambda service: service.get_delayed_event(event_id), as_json, redis_url, debug=debug)


@delayed.command("schedule")
def schedule_event(
    event_type: EventType,
    payload: Payload,
    delay: Delay = None,
    at: At = None,
    source: Annotated[str, typer.Option("--source", help="Who schedules it.")] = "",
    priority: Annotated[Urgency, typer.Option("--priority", help="How urgent it is.")] = Urgency.NORMAL,
    key: Key = None,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Publish an event later. With --key it takes the place of one that waits under the same key."""
    _check_due(delay, at)
    content, moment = read_payload(payload), _moment(at)

    def schedule(service: EventService) -> DelayedEvent[Any]:
        from eventsys import Priority

        return service.schedule(
            event_type, content, at=moment, delay=delay, source=source, priority=Priority[priority.name], key=key
        )

    _tell(schedule, as_json, redis_url, debug=debug)


@delayed.command("cancel")
def cancel_events(
    event_id: SomeId = None,
    key: Key = None,
    types: Types = None,
    correlation_id: Chain = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Take an event back by its id or --key; or all that wait of a --type or a --correlation-id.

    Of an event that has fired, the deliveries end that nobody has begun.
    """
    if sum(given is not None and given != [] for given in (event_id, key, types or correlation_id)) != 1:
        refuse("say which: an ID, --key, or all of a --type or --correlation-id", MISUSED)
    if types is None and correlation_id is None:
        _tell(lambda service: service.cancel(event_id, key=key), as_json, redis_url, debug=debug)
        return
    with service_of(redis_url, debug=debug) as service:
        from eventsys import EventFilter

        wanted = fitting(EventFilter, types=tuple(types or ()), correlation_id=correlation_id)
        many = service.store.delayed.many
        if dry_run:
            count = many.count_all(wanted)
        else:
            if not yes:
                confirm(f"Cancel {many.count_all(wanted):,} delayed events?", yes=yes)
            count = many.cancel(wanted, service.broker.clock.now_ms())
        print_count(count, "delayed event", "cancelled", dry_run=dry_run, as_json=as_json)


@delayed.command("reschedule")
def reschedule_event(
    event_id: EventId,
    delay: Delay = None,
    at: At = None,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Let a delayed event wait for another time; it keeps its id."""
    _check_due(delay, at)
    moment = _moment(at)
    _tell(
        lambda service: service.reschedule(event_id, at=moment, delay=delay), as_json, redis_url, debug=debug
    )  # fmt: skip


@delayed.command("run")
def run_event(event_id: EventId, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Let a delayed event fire now, before its time."""
    _tell(lambda service: service.run_now(event_id), as_json, redis_url, debug=debug)


def _tell(
    change: Callable[[EventService], DelayedEvent[Any]], as_json: bool, redis_url: str | None, *, debug: bool
) -> None:
    with service_of(redis_url, debug=debug) as service:
        event = change(service)
        if as_json:
            print_model(event)
        else:
            event = masked(event)
            print_facts(
                [
                    ("id", event.id),
                    ("type", event.type),
                    ("status", event.status.value),
                    ("due", event.delay_until),
                    ("priority", event.priority.name.lower()),
                    ("source", event.source or None),
                    ("key", event.key),
                    ("scheduled", event.created_at),
                    ("payload", visible(json.dumps(event.model_dump(mode="json")["payload"], ensure_ascii=False))),
                ]
            )


def _check_due(delay: str | None, at: str | None) -> None:
    if (delay is None) == (at is None):
        refuse("say when it is due: --delay 10m or --at 2026-12-24T18:00, one of them", MISUSED)


def _moment(at: str | None) -> datetime | None:
    return None if at is None else date_of(at)
