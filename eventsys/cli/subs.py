"""`eventsys subs`: what stands between events and handlers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsys.cli.options import AsJson, Debug, RedisUrl, Yes, confirm
from eventsys.cli.printing import Column, print_facts, print_model, print_models, print_table, span, visible
from eventsys.cli.session import service_of

if TYPE_CHECKING:
    from eventsys import EventService
    from eventsys.model.standing import SubscriptionStanding

subs = typer.Typer(help="Subscriptions: list, hold back, let go on, end.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the subscription.")]

_COLUMNS = (
    Column("NAME", lambda one: one.name, is_whole=True),
    Column("PATTERN", lambda one: one.subscription.pattern),
    Column("STATE", lambda one: one.state.value),
    Column("HOSTS", lambda one: len(one.hosts), is_number=True),
    Column("WAITING", lambda one: one.waiting, is_number=True),
    Column("DEAD", lambda one: one.dead_letters, is_number=True),
    Column("QUEUE", lambda one: one.subscription.queue),
)


@subs.command("ls")
def list_subscriptions(as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """List the subscriptions by name: whether they run, who hosts them, what waits."""
    with service_of(redis_url, debug=debug) as service:
        found = service.subscriptions.list()
        if as_json:
            print_models(found)
        else:
            print_table(_COLUMNS, found)


@subs.command("show")
def show_subscription(name: Name, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Show one subscription: what was declared, and how it stands."""
    _tell(lambda service: service.subscriptions.get(name), as_json, redis_url, debug=debug)


@subs.command("pause")
def pause_subscription(name: Name, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Hold a subscription back: what comes waits in order, until it is resumed; deploys change nothing about that."""
    _tell(lambda service: service.subscriptions.pause(name), as_json, redis_url, debug=debug)


@subs.command("resume")
def resume_subscription(name: Name, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Let a subscription go on: what waits first, in the order it came."""
    _tell(lambda service: service.subscriptions.resume(name), as_json, redis_url, debug=debug)


@subs.command("delete")
def delete_subscription(
    name: Name, yes: Yes = False, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False
) -> None:
    """End a subscription for good; its open deliveries end as cancelled, its dead letters stay."""
    with service_of(redis_url, debug=debug) as service:
        standing = service.subscriptions.get(name)
        confirm(
            f"End subscription {name!r}? {standing.backlog:,} deliveries are open, and end as cancelled.",
            yes=yes, or_see=False,
        )  # fmt: skip
        service.subscriptions.delete(name)
        if as_json:
            print_model(standing)
        else:
            typer.echo(f"{visible(name)} has ended")


def _tell(
    ask: Callable[[EventService], SubscriptionStanding], as_json: bool, redis_url: str | None, *, debug: bool
) -> None:
    with service_of(redis_url, debug=debug) as service:
        standing = ask(service)
        if as_json:
            print_model(standing)
        else:
            print_facts(_facts(standing))


def _facts(standing: SubscriptionStanding) -> list[tuple[str, object]]:
    import json

    declared: Any = standing.subscription
    facts: list[tuple[str, object]] = [
        ("name", standing.name),
        ("pattern", declared.pattern),
        ("filter", json.dumps(declared.where) if declared.where else None),
        ("state", standing.state.value),
        ("hosts", ", ".join(standing.hosts) or "nobody"),
        ("unhosted since", standing.unhosted_since),
        ("waiting", standing.waiting),
        ("waiting since", standing.oldest_waiting),
        ("dead letters", standing.dead_letters),
        ("queue", declared.queue),
        ("max retries", declared.max_retries),
        ("retry delay", f"{_length(declared.retry_delay_ms)}{', doubling' if declared.backoff else ''}"),
        ("timeout", None if declared.timeout_ms is None else _length(declared.timeout_ms)),
        ("rate", declared.rate),
        ("concurrency", declared.concurrency),
        ("batch", _batch(declared)),
        ("breaker", _breaker(declared)),
        ("persistent", "yes" if declared.persistent else "no"),
    ]
    return facts


def _breaker(declared: Any) -> str | None:
    if declared.breaker is None:
        return None
    return f"after {declared.breaker} failures in a row{', and open' if declared.state.value == 'open' else ''}"


def _batch(declared: Any) -> str | None:
    if declared.batch_size is None:
        return None
    return f"at most {declared.batch_size} a call, gathered for {_length(declared.batch_wait_ms)}"


def _length(milliseconds: int) -> str:
    return span(timedelta(milliseconds=milliseconds))
