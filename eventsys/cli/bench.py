"""`eventsys bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from eventsys.cli.options import AsJson, Debug, RedisUrl
from eventsys.cli.printing import print_facts, print_model
from eventsys.cli.session import service_of

if TYPE_CHECKING:
    from eventsys.model.bench_result import BenchResult, Spread

Quick = Annotated[
    bool, typer.Option("--quick", help="Only see that it works: a few seconds, whose figures mean nothing.")
]


def bench(quick: Quick = False, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Measure this machine and its Redis, with one publisher and one worker process, in less than a minute.

    It works on a bus of a new name, beside what else Redis holds, and deletes it afterwards. Other work of the machine
    and of Redis meanwhile shows in the figures, and feels them. A Redis user who may do only what
    `eventsys redis-acl` prints is told what else this needs.
    """
    with service_of(redis_url, debug=debug) as service:
        from eventsys.runtime.bench import measure

        result = measure(service.settings, quick=quick, tell=lambda what: typer.echo(f"{what} ...", err=True))
    if as_json:
        print_model(result)
    else:
        _print(result)


def _print(result: BenchResult) -> None:
    kept = "with an append-only file" if result.is_persistent else "without an append-only file"
    print_facts(
        [
            ("Redis", f"{result.redis_version}, {kept}"),
            ("publish", f"{result.publish_per_s:,.0f} events/s, one after the other"),
            ("publish_many", f"{result.publish_many_per_s:,.0f} events/s, 100 at a time"),
            ("fan-out", f"{result.deliveries_per_s:,.0f} deliveries/s, each event to three subscriptions"),
            ("latency", f"{_spread(result.latency)}, from publish to the handler"),
            ("delayed", f"{_spread(result.lateness)} late; {result.early} of {result.lateness.count} early"),
            ("recovery", None if result.recovery_s is None else f"{result.recovery_s:.1f} s after kill -9 of a worker"),
        ]
    )


def _spread(spread: Spread) -> str:
    return f"p50 {spread.p50_ms:.2f} ms, p99 {spread.p99_ms:.2f} ms"
