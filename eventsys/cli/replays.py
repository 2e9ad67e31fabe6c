"""`eventsys replays`, and the commands that begin one: history given to a subscription again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsys.cli.faults import MISUSED, fitting, refuse
from eventsys.cli.options import (
    AsJson,
    Debug,
    DryRun,
    Limit,
    Rate,
    RedisUrl,
    Since,
    Types,
    Until,
    Yes,
    confirm,
    moment_of,
)
from eventsys.cli.printing import Column, print_facts, print_model, print_models, print_table, shown, span, visible
from eventsys.cli.session import service_of

if TYPE_CHECKING:
    from eventsys.model.replay import Replay, ReplayCount

replays = typer.Typer(help="Replays: history that is given to a subscription again.", no_args_is_help=True)

ReplayId = Annotated[str, typer.Argument(metavar="ID", help="The id of the replay.")]
To = Annotated[str | None, typer.Option("--sub", metavar="NAME", help="The subscription that gets the events.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the subscription.")]
Source = Annotated[str | None, typer.Option("--source", help="Only those that this source published.")]
Chain = Annotated[str | None, typer.Option("--correlation-id", help="Only those of this chain.")]

_COLUMNS = (
    Column("ID", lambda replay: replay.id, is_whole=True),
    Column("SUBSCRIPTION", lambda replay: f"{replay.subscription}#{replay.number}"),
    Column("STATE", lambda replay: replay.state.value),
    Column("GIVEN", lambda replay: replay.delivered, is_number=True),
    Column("SKIPPED", lambda replay: replay.skipped, is_number=True),
    Column("REACHED (UTC)", lambda replay: replay.reached_at),
    Column("ASKED BY", lambda replay: replay.requested_by),
)


@replays.command("ls")
def list_replays(limit: Limit = 20, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """List the newest replays with their progress."""
    with service_of(redis_url, debug=debug) as service:
        found = service.replays.list(limit)
        if as_json:
            print_models(found)
        else:
            print_table(_COLUMNS, found)


@replays.command("show")
def show_replay(replay_id: ReplayId, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Show one replay and its progress."""
    with service_of(redis_url, debug=debug) as service:
        _tell(service.replays.get(replay_id), as_json=as_json)


@replays.command("cancel")
def cancel_replay(
    replay_id: ReplayId, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False
) -> None:
    """End a replay; what it gave until now is handled."""
    with service_of(redis_url, debug=debug) as service:
        _tell(service.replays.cancel(replay_id, requested_by=_who()), as_json=as_json)


def replay_events(
    subscription: To = None,
    types: Types = None,
    source: Source = None,
    correlation_id: Chain = None,
    since: Since = None,
    until: Until = None,
    rate: Rate = "100/s",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Give events of the history to one subscription again; workers do it, at a limited rate.

    For example: eventsys events replay --sub mail --type 'user.*' --since 2h --dry-run
    """
    if subscription is None:
        refuse("say to which subscription: --sub NAME; eventsys subs ls lists them", MISUSED)
    wanted = {
        "types": tuple(types or ()), "sources": (source,) if source else (), "correlation_id": correlation_id,
    }  # fmt: skip
    _begin(
        subscription, wanted, since, until, rate, backfill=False, dry_run=dry_run, yes=yes, as_json=as_json,
        redis_url=redis_url, debug=debug,
    )  # fmt: skip


def backfill_subscription(
    name: Name,
    types: Types = None,
    since: Since = None,
    until: Until = None,
    rate: Rate = "100/s",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Give a new subscription the history it was not there for."""
    wanted = {"types": tuple(types or ())}
    _begin(
        name, wanted, since, until, rate, backfill=True, dry_run=dry_run, yes=yes, as_json=as_json,
        redis_url=redis_url, debug=debug,
    )  # fmt: skip


def _begin(
    subscription: str,
    wanted: dict[str, Any],
    since: str | None,
    until: str | None,
    rate: str | None,
    *,
    backfill: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    redis_url: str | None,
    debug: bool,
) -> None:
    with service_of(redis_url, debug=debug) as service:
        from eventsys import EventFilter

        times = {"start_time": moment_of(since, service), "end_time": moment_of(until, service)}
        chosen, rate = fitting(EventFilter, **wanted, **times), rate or "100/s"
        count = service.replays.count(subscription, chosen, rate=rate, backfill=backfill)
        if dry_run:
            if as_json:
                print_model(count)
            else:
                typer.echo(_counted(count))
            return
        confirm(f"Give {_counted(count)}?", yes=yes)
        replay = service.replays.replay(subscription, chosen, rate=rate, requested_by=_who(), backfill=backfill)
        _tell(replay, as_json=as_json)


def _counted(count: ReplayCount) -> str:
    from datetime import timedelta

    types = ", ".join(f"{number:,} {visible(name)}" for name, number in sorted(count.by_type.items()))
    times = f", from {shown(count.oldest_at)} to {shown(count.newest_at)} UTC" if count.oldest_at else ""
    took = span(timedelta(seconds=count.seconds))
    return f"{count.events:,} events ({types or 'none'}{times}) to {visible(count.subscription)}, in some {took}"


def _tell(replay: Replay, *, as_json: bool) -> None:
    if as_json:
        print_model(replay)
        return
    print_facts(
        [
            ("id", replay.id),
            ("to", f"{replay.subscription}#{replay.number}"),
            ("state", replay.state.value),
            ("given", replay.delivered),
            ("skipped", replay.skipped),
            ("looked at", replay.scanned),
            ("reached", replay.reached_at),
            ("rate", f"{replay.rate:g}/s"),
            ("asked by", replay.requested_by),
            ("error", replay.error),
        ]
    )


def _who() -> str:
    """Return who runs this command, for the record."""
    import getpass
    import socket

    return f"{getpass.getuser()}@{socket.gethostname()}"
