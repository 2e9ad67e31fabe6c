"""`eventsys metrics`: the figures of the bus."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from eventsys.cli.options import AsJson, Debug, RedisUrl
from eventsys.cli.printing import Column, print_facts, print_model, print_table
from eventsys.cli.session import service_of

if TYPE_CHECKING:
    from eventsys.model.metrics import DeliveryFigures, EventMetrics


class Grouping(StrEnum):
    """What the figures are of."""

    TYPE = "type"
    SUBSCRIPTION = "subscription"


By = Annotated[Grouping | None, typer.Option("--by", help="Of each event type, or of each subscription.")]

_DELIVERIES = (
    Column("SUCCEEDED", lambda row: row[1].succeeded, is_number=True),
    Column("DEAD", lambda row: row[1].dead, is_number=True),
    Column("RETRIES", lambda row: row[1].retries, is_number=True),
    Column("BACKLOG", lambda row: row[1].backlog, is_number=True),
    Column("OLDEST", lambda row: row[1].oldest_waiting, is_number=True),
    Column("RATE/S", lambda row: row[1].rate.one_minute, is_number=True),
    Column("LATENCY P50", lambda row: row[1].latency.p50, is_number=True),
    Column("P99", lambda row: row[1].latency.p99, is_number=True),
    Column("TOOK P50", lambda row: row[1].duration.p50, is_number=True),
    Column("P99", lambda row: row[1].duration.p99, is_number=True),
)


def metrics(by: By = None, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Show counts, rates, backlog and percentiles, over all processes since the bus began."""
    with service_of(redis_url, debug=debug) as service:
        if by is None:
            totals = service.get_metrics()
            if as_json:
                print_model(totals)
            else:
                print_facts(_facts(totals))
            return
        found: dict[str, DeliveryFigures] = dict(service.store.metrics.by(by.value))
        if as_json:
            typer.echo(json.dumps({name: json.loads(one.model_dump_json()) for name, one in found.items()}))
        else:
            title = Column(by.value.upper(), lambda row: row[0], is_whole=True)
            print_table((title, *_DELIVERIES), sorted(found.items()))


def _facts(totals: EventMetrics) -> list[tuple[str, object]]:
    ratio = None if totals.success_ratio is None else f"{totals.success_ratio:.2%}"
    return [
        ("events", totals.total_events),
        ("pending", totals.pending_events),
        ("delivered", totals.delivered_events),
        ("failed", totals.failed_events),
        ("expired", totals.expired_events),
        ("cancelled", totals.cancelled_events),
        ("unrouted", totals.unrouted_events),
        ("events a second", f"{totals.rate.one_minute:.1f} (1 min) {totals.rate.five_minutes:.1f} (5 min)"),
        ("deliveries", totals.deliveries),
        ("backlog", totals.backlog),
        ("oldest waiting", totals.oldest_waiting),
        ("success ratio", ratio),
        ("retries", totals.retries),
        ("dead letters", totals.dead_letters),
        ("latency p50", totals.latency.p50),
        ("latency p99", totals.latency.p99),
        ("duration p50", totals.duration.p50),
        ("duration p99", totals.duration.p99),
        ("lateness p50", totals.lateness.p50),
        ("lateness p99", totals.lateness.p99),
    ]
