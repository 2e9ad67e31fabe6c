"""Metrics as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families

from eventsys import Event, EventService, Reject, Retry
from eventsys.clock import to_ms
from eventsys.runtime.exposition import metrics_registry, prometheus_text
from eventsys.testing import EventHarness, SessionRedis
from tests.conftest import NOWHERE
from tests.support.services import Services
from tests.support.waiting import eventually

Work = Callable[..., Any]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(events: EventService) -> Samples:
    """Return every sample by its name and labels, as a Prometheus server reads the text."""
    families = list(text_string_to_metric_families(prometheus_text(events)))
    samples = [sample for family in families for sample in family.samples]
    found = {(one.name, frozenset(one.labels.items())): one.value for one in samples}
    assert len(found) == len(samples), "a series is there twice"
    return found


def of(samples: Samples, name: str, /, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


@pytest.fixture
def busy(events: EventService, quick_work: Work) -> EventService:
    """Six deliveries of two types: three that succeed, one of them at the third try, and three dead ones."""
    tries: dict[str, int] = {}

    @events.on("client.*", name="h", retry_delay="1ms")
    def handle(event: Event) -> None:
        tries[event.id] = tries.get(event.id, 0) + 1
        if event.payload["what"] == "die":
            raise Reject("no")
        if event.payload["what"] == "retry" and tries[event.id] < 3:
            raise Retry(delay="1ms")

    quick_work()
    for event_type, what in (
        ("client.seen", "well"), ("client.seen", "retry"), ("client.gone", "well"),
        ("client.gone", "die"), ("client.gone", "die"), ("client.gone", "die"), ("nobody.wants", "it"),
    ):  # fmt: skip
        events.wait(events.publish(event_type, {"what": what}).id)
    return events


@pytest.mark.redis62
def test_counters_are_there_under_their_names(busy: EventService) -> None:
    found = scraped(busy)
    assert of(found, "eventsys_events_published_total", event_type="client.gone") == 4
    assert of(found, "eventsys_events_ended_total", event_type="client.gone", status="failed") == 3
    assert of(found, "eventsys_events_unrouted_total", event_type="nobody.wants") == 1
    seen, gone = ({"event_type": one, "subscription": "h"} for one in ("client.seen", "client.gone"))
    assert of(found, "eventsys_deliveries_total", **seen, outcome="succeeded") == 2
    assert of(found, "eventsys_deliveries_total", **gone, outcome="dead") == 3
    assert of(found, "eventsys_delivery_attempts_total", **seen) == 4
    assert of(found, "eventsys_retries_total", **seen) == 2
    assert of(found, "eventsys_given_up_total", reason="rejected") == 3
    assert of(found, "eventsys_dead_letters") == 3
    assert of(found, "eventsys_workers") == 1
    assert of(found, "eventsys_pending_events") == 0
    assert of(found, "eventsys_subscription_backlog", subscription="h") == 0
    assert of(found, "eventsys_history_bytes") > 0
    assert of(found, "eventsys_history_events") > 0
    assert of(found, "eventsys_history_undispatched_bytes") == 0
    assert of(found, "eventsys_history_trimmed_total", age="young") == 0
    assert of(found, "eventsys_poller_lag_seconds") == 0
    assert of(found, "eventsys_oldest_due_seconds") == 0
    assert of(found, "eventsys_queue_depth", queue="tests") == 0
    assert of(found, "eventsys_queue_latency_seconds", queue="tests") == 0
    assert of(found, "eventsys_queue_paused", queue="tests") == 0
    assert of(found, "eventsys_deliveries_in_progress", queue="tests") == 0
    assert of(found, "eventsys_reclaimed_total") == 0


def test_histograms_are_in_seconds_and_hold_every_attempt(busy: EventService) -> None:
    found = scraped(busy)
    assert of(found, "eventsys_delivery_duration_seconds_count", subscription="h") == 8
    assert 0 < of(found, "eventsys_delivery_duration_seconds_sum", subscription="h") < 8
    assert of(found, "eventsys_delivery_duration_seconds_bucket", subscription="h", le="+Inf") == 8
    assert of(found, "eventsys_delivery_latency_seconds_count", subscription="h") == 6
    assert of(found, "eventsys_schedule_lateness_seconds_count") == 2
    buckets = sorted(
        (float(dict(labels)["le"]), value)
        for (name, labels), value in found.items()
        if name == "eventsys_delivery_duration_seconds_bucket"
    )
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)
    assert buckets[0][0] == 0.000128


def test_the_answer_can_be_read_as_openmetrics_too(busy: EventService) -> None:
    """There a family is known without the `_total` of its counter, so a gauge must not have that name."""
    families = list(open_families(openmetrics.generate_latest(metrics_registry(busy)).decode()))
    assert {"eventsys_given_up", "eventsys_dead_letters"} <= {one.name for one in families}


def test_a_name_that_was_used_before_has_each_series_once(services: Services) -> None:
    """Renamed to that of one that had ended, a subscription had two numbers, and so had its figures."""
    events = services.make()
    for name in ("old", "new"):
        events.on("client.seen", name=name)(lambda event: None)
    services.work(events)
    events.wait(events.publish("client.seen", {}).id)
    events.subscriptions.delete("new")
    eventually(lambda: not events.bus.subscriptions.ended())
    later = services.make(name=events.settings.name)
    later.on("client.seen", name="new", was="old")(lambda event: None)
    later.bus.prepare()
    found = scraped(later)
    both = {"event_type": "client.seen", "subscription": "new"}
    assert of(found, "eventsys_deliveries_total", **both, outcome="succeeded") == 2
    assert of(found, "eventsys_delivery_attempts_total", **both) == 2
    assert of(found, "eventsys_delivery_duration_seconds_count", subscription="new") == 2
    figures = later.get_metrics(by="subscription")["new"]
    assert (figures.attempts, round(figures.rate.one_hour * 3600)) == (2, 2)


def test_any_process_answers_for_all_of_them(busy: EventService, services: Services) -> None:
    other = services.make(name=busy.settings.name)
    eventually(lambda: scraped(other) == scraped(busy))  # what is counted in rounds may change between the two


def test_what_waits_to_be_fired_is_shown_by_priority(events: EventService) -> None:
    events.schedule("client.seen", {}, delay="1h", priority=8)
    later = events.schedule("client.seen", {}, delay="2h", priority=8)
    events.schedule("client.seen", {}, delay="2h")
    events.cancel(later.id)
    found = scraped(events)
    assert of(found, "eventsys_scheduled_events", priority="8") == 1
    assert of(found, "eventsys_scheduled_events", priority="5") == 1


def test_a_trouble_that_goes_on_is_shown_by_its_rule(events: EventService) -> None:
    events.bus.system.warn("breaker:a", "open")
    events.bus.system.warn("breaker:b", "open")
    assert events.bus.system.flush(60)
    assert of(scraped(events), "eventsys_troubles", rule="breaker") == 2


def test_a_bus_on_which_nothing_happened_has_metrics_too(events: EventService) -> None:
    assert of(scraped(events), "eventsys_dead_letters") == 0


@pytest.fixture
def at_noon(harness_redis: SessionRedis) -> Iterator[EventHarness]:
    """A service under a clock that stands 30 seconds after noon."""
    start = datetime(2026, 11, 25, 12, 0, 30, tzinfo=UTC)
    with EventHarness(EventService(redis_url=NOWHERE, app="tests"), start=start, redis=harness_redis) as made:
        yield made


def test_runs_of_cron_tasks_are_counted_by_what_they_came_to(at_noon: EventHarness) -> None:
    events = at_noon.events

    @events.on("report.due", max_retries=0)
    def report(event: Event) -> None:
        if event.payload["fails"]:
            raise Reject("as planned")

    events.cron.create("good", "*/5 * * * *", "report.due", {"fails": False})
    events.cron.create("bad", "*/5 * * * *", "report.due", {"fails": True})
    events.cron.create("rare", "@yearly", "report.due", {"fails": False})
    at_noon.advance(minutes=11)
    found = scraped(events)
    ended = [one.ended_at for one in events.cron.history("good").items]
    assert of(found, "eventsys_cron_runs_total", name="good", outcome="completed") == 2
    assert of(found, "eventsys_cron_runs_total", name="good", outcome="failed") == 0
    assert of(found, "eventsys_cron_runs_total", name="bad", outcome="failed") == 2
    last = "eventsys_cron_last_success_timestamp_seconds"
    assert of(found, last, name="good") == max(to_ms(one) for one in ended if one) / 1000
    assert not {(last, frozenset({("name", one)})) for one in ("bad", "rare")} & found.keys()


def test_ticks_without_a_run_are_counted_too(at_noon: EventHarness) -> None:
    # Nobody handles the message of a run, so the run stays open.
    at_noon.events.cron.create("slow", "*/5 * * * *", actor="not_here", queue="elsewhere", run_timeout="30m")
    at_noon.advance(minutes=16)
    found = scraped(at_noon.events)
    assert of(found, "eventsys_cron_runs_total", name="slow", outcome="skipped") == 2
    assert of(found, "eventsys_cron_runs_total", name="slow", outcome="completed") == 0


#: Every name that dashboards and alerts are written for, with the labels it has at least.
PROMISED = {
    "eventsys_events_published_total": {"event_type"},
    "eventsys_deliveries_total": {"event_type", "subscription", "outcome"},
    "eventsys_delivery_attempts_total": {"event_type", "subscription"},
    "eventsys_delivery_duration_seconds_bucket": {"subscription", "le"},
    "eventsys_delivery_latency_seconds_bucket": {"subscription", "le"},
    "eventsys_deliveries_in_progress": {"queue"},
    "eventsys_retries_total": {"event_type", "subscription"},
    "eventsys_given_up_total": {"reason"},
    "eventsys_dead_letters": set(),
    "eventsys_scheduled_events": {"priority"},
    "eventsys_schedule_lateness_seconds_bucket": {"le"},
    "eventsys_oldest_due_seconds": set(),
    "eventsys_queue_depth": {"queue"},
    "eventsys_queue_latency_seconds": {"queue"},
    "eventsys_queue_paused": {"queue"},
    "eventsys_cron_runs_total": {"name", "outcome"},
    "eventsys_cron_last_success_timestamp_seconds": {"name"},
    "eventsys_poller_lag_seconds": set(),
    "eventsys_reclaimed_total": set(),
    "eventsys_history_bytes": set(),
    "eventsys_workers": set(),
}  # fmt: skip


def test_every_promised_name_is_there_with_its_labels(busy: EventService) -> None:
    events = busy
    events.schedule("client.seen", {}, delay="1h")
    events.cron.create("nightly", "0 3 * * *", "client.seen", {"what": "well"})
    run = events.cron.run_now("nightly")
    events.wait(run.target_id or "")
    task = events.broker.keys.cron_task("nightly")
    eventually(lambda: events.broker.link.call("HGET", task, "completed_ms"))
    labels: dict[str, set[str]] = {}
    for name, given in scraped(events):
        labels.setdefault(name, set()).update(label for label, _ in given)
    assert {name: labels.get(name) for name in PROMISED} == PROMISED
