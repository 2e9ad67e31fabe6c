"""`eventsys dead`: what was given up, and is kept for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsys.cli.faults import FAILED, MISUSED, fitting, note_unknown, note_unknown_reason, refuse
from eventsys.cli.options import (
    AsJson,
    Cursor,
    Debug,
    DryRun,
    Limit,
    Rate,
    RedisUrl,
    Since,
    Subscription,
    Types,
    Until,
    Yes,
    confirm,
    moment_of,
)
from eventsys.cli.printing import (
    Column,
    done_to,
    many,
    masked,
    print_count,
    print_facts,
    print_model,
    print_table,
    span,
    visible,
)
from eventsys.cli.session import service_of

if TYPE_CHECKING:
    from eventsys import EventService
    from eventsys.model.dead_letter import DeadLetter, DeadLetterFilter, RedriveResult

dead = typer.Typer(help="Dead letters: list, show, send again, drop.", no_args_is_help=True)

LetterId = Annotated[str, typer.Argument(metavar="ID", help="The id of the dead letter.")]
SomeIds = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids; or say which by options.")]
ActorName = Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Only those of this plain actor.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Such as failed, timeout, rejected, crash_loop.")]
All = Annotated[bool, typer.Option("--all", help="All there are.")]
Force = Annotated[bool, typer.Option("--force", help="Also those that were sent again ten times before.")]

_COLUMNS = (
    Column("DIED (UTC)", lambda letter: letter.died_at),
    Column("FOR", lambda letter: letter.subscription or letter.actor),
    Column("TYPE", lambda letter: letter.type),
    Column("REASON", lambda letter: letter.reason),
    Column("TRIES", lambda letter: letter.attempts, is_number=True),
    Column("REDRIVES", lambda letter: letter.redrives, is_number=True),
    Column("ERROR", lambda letter: letter.error[:60]),
    Column("ID", lambda letter: letter.id, is_whole=True),
)


@dead.command("ls")
def list_letters(
    subscription: Subscription = None,
    actor: ActorName = None,
    types: Types = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """List dead letters, the newest first."""
    with service_of(redis_url, debug=debug) as service:
        wanted = _filter(service, subscription, actor, types, reason, since, until, page_size=limit, cursor=cursor)
        page = service.dead_letters.list(wanted)
        if not page.items:
            _note_unknown(service, subscription, reason)
        if as_json:
            print_model(page)
            return
        more = f"; the next: --cursor {page.next_cursor}" if page.next_cursor else ""
        total = f"{'' if page.total_is_exact else 'at least '}{page.total:,}"
        print_table(_COLUMNS, page.items, caption=f"{len(page.items)} of {total} dead letters{more}")


@dead.command("show")
def show_letter(letter_id: LetterId, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Show one dead letter: why it died, its traceback, its event."""
    with service_of(redis_url, debug=debug) as service:
        letter = service.dead_letters.show(letter_id)
        if as_json:
            print_model(letter)
        else:
            _print_letter(masked(letter))


@dead.command("redrive")
def redrive_letters(
    letter_ids: SomeIds = None,
    subscription: Subscription = None,
    actor: ActorName = None,
    types: Types = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    everything: All = False,
    rate: Rate = None,
    force: Force = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Send dead letters again: their deliveries go on, with their retries anew.

    For example: eventsys dead redrive --sub mail --reason timeout --rate 50/s
    """
    from eventsys.model.rates import interval_of_rate

    chosen = (subscription, actor, types, reason, since, until)
    _refuse_unsaid(letter_ids, any(chosen), everything=everything)
    if letter_ids and rate is not None:
        refuse("--rate spreads what options choose; single IDs are sent at once", MISUSED)
    with service_of(redis_url, debug=debug) as service:
        if rate is not None:
            interval_of_rate(rate)  # what cannot be is refused before anybody is asked
        if letter_ids:
            result = service.dead_letters.redrive_many(letter_ids, force=force, dry_run=dry_run)
        else:
            wanted = _filter(service, *chosen)
            if not dry_run:
                count = many(service.dead_letters.count(wanted), "dead letter", "dead letters")
                confirm(f"Send {count} again?", yes=yes)
            result = service.dead_letters.redrive_all(wanted, rate=rate, force=force, dry_run=dry_run)
        if not result.matched:
            _note_unknown(service, subscription, reason)
        _tell(result, dry_run=dry_run, as_json=as_json)


@dead.command("purge")
def purge_letters(
    letter_ids: SomeIds = None,
    subscription: Subscription = None,
    actor: ActorName = None,
    types: Types = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    everything: All = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Drop dead letters for good; their events are failed, and an event that could not fire is gone with its letter."""
    chosen = (subscription, actor, types, reason, since, until)
    _refuse_unsaid(letter_ids, any(chosen), everything=everything)
    with service_of(redis_url, debug=debug) as service:
        letters = service.dead_letters
        wanted = _filter(service, *chosen)  # once: what is dropped is no older, nor younger, than what was counted
        count = letters.purge(*letter_ids, dry_run=True) if letter_ids else letters.purge_all(wanted, dry_run=True)
        if not count:
            _note_unknown(service, subscription, reason)
        if not dry_run:
            confirm(f"Drop {many(count, 'dead letter', 'dead letters')} for good?", yes=yes)
            count = letters.purge(*letter_ids) if letter_ids else letters.purge_all(wanted)
        print_count(count, "dead letter", "dropped", dry_run=dry_run, as_json=as_json)
        if letter_ids and count < len(set(letter_ids)):
            refuse(f"{len(set(letter_ids)) - count:,} of these are not there; eventsys dead ls shows all", FAILED)


def _filter(
    service: EventService,
    subscription: str | None,
    actor: str | None,
    types: list[str] | None,
    reason: str | None,
    since: str | None,
    until: str | None,
    **more: Any,
) -> DeadLetterFilter:
    from eventsys.model.dead_letter import DeadLetterFilter

    return fitting(
        DeadLetterFilter,
        subscription=subscription, actor=actor, types=tuple(types or ()), reason=reason,
        start_time=moment_of(since, service), end_time=moment_of(until, service), **more,
    )  # fmt: skip


def _note_unknown(service: EventService, subscription: str | None, reason: str | None) -> None:
    note_unknown(service, subscription)
    note_unknown_reason(reason)


def _refuse_unsaid(letter_ids: list[str] | None, is_filtered: bool, *, everything: bool) -> None:
    if (bool(letter_ids) + is_filtered + everything) != 1:
        refuse("say which: ids, or a filter such as --sub or --reason, or --all", MISUSED)


def _tell(result: RedriveResult, *, dry_run: bool, as_json: bool) -> None:
    from datetime import timedelta

    if as_json:
        print_model(result)
    else:
        number = result.matched - sum(result.refused.values()) if dry_run else result.redriven
        spread = f" over {span(timedelta(seconds=result.takes_s))}" if result.takes_s else ""
        typer.echo(done_to(number, "dead letter", f"sent again{spread}", dry_run=dry_run))
        for cause, count in result.refused.items():
            typer.echo(f"{count:,} {'would not be' if dry_run else 'was not' if count == 1 else 'were not'}: {cause}")
    if result.refused and not dry_run:
        raise typer.Exit(FAILED)


def _print_letter(letter: DeadLetter) -> None:
    import json

    print_facts(
        [
            ("id", letter.id),
            ("for", letter.subscription or letter.actor),
            ("reason", letter.reason),
            ("error", letter.error or None),
            ("attempts", letter.attempts),
            ("redrives", letter.redrives),
            ("first failed", letter.first_failed_at),
            ("died", letter.died_at),
            ("queue", letter.queue),
        ]
    )
    if letter.event is not None:
        typer.echo(f"event {visible(letter.event.id)}, {letter.event.type}")
        for line in json.dumps(letter.event.payload, indent=2, ensure_ascii=False, default=str).splitlines():
            typer.echo(f"  {visible(line)}")
    for name, value in letter.content.items():
        typer.echo(f"{visible(name)}: {visible(value)[:2000]}")
    for line in letter.traceback.splitlines():
        typer.echo(f"| {visible(line)}")
