"""The metrics of a bus as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isinf
from typing import TYPE_CHECKING

from eventsys.errors import SettingsError
from eventsys.model.histogram import Histogram
from eventsys.model.machinery import QueueState
from eventsys.store.gauges import Gauges
from eventsys.store.measurements import Pair, pending_of_application

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

    from eventsys.service import EventService

#: What `prometheus_text` is, as an HTTP header says it.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_OUTCOMES = ("succeeded", "dead", "expired", "cancelled")
_ENDED = ("delivered", "failed", "expired", "cancelled")

#: Shorter durations than 2^7 µs share a bucket: nobody alerts on them, and each bucket is a series a subscription.
_LEAST_EXPONENT = 7


def prometheus_text(events: EventService) -> str:
    """Return all metrics of a bus in Prometheus's text format.

    They are read from Redis, so any process may answer, and one is enough: the answer is that of all processes on all
    hosts. Labels are bounded: event types, subscriptions and cron tasks, at most some thousand, never ids.

    Raises:
        SettingsError: If prometheus-client is not installed.
        RedisUnavailableError: If Redis does not answer.
    """
    registry = metrics_registry(events)
    from prometheus_client import generate_latest

    return generate_latest(registry).decode()


def metrics_registry(events: EventService) -> CollectorRegistry:
    """Return a registry of prometheus-client that reads the metrics of a bus each time it is collected.

    Raises:
        SettingsError: If prometheus-client is not installed.
    """
    try:
        from prometheus_client import CollectorRegistry
    except ImportError as error:
        raise SettingsError(
            "metrics for Prometheus need prometheus-client: pip install 'eventsys[prometheus]'"
        ) from error
    registry = CollectorRegistry(auto_describe=False)
    registry.register(BusCollector(events))
    return registry


class BusCollector:
    """Collects the metrics of a bus from Redis.

    Args:
        events: The service of the bus.
    """

    def __init__(self, events: EventService) -> None:
        self._events = events
        self._metrics = events.store.metrics

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        measured, gauges = self._metrics.look().measurements, self._metrics.gauges()
        totals, pairs, machinery = measured.totals, measured.pairs, self._events.machinery.look()
        yield from _of_events(measured.types)
        yield from _of_deliveries(pairs)
        yield from _of_times(pairs)
        yield from _of_letters(totals, gauges)
        yield from _of_time(gauges, measured.lateness)
        yield from _of_queues(machinery.queues)
        yield from self._of_cron()
        yield _gauge("workers", "Processes that are alive.", sum(one.is_alive for one in machinery.processes))
        yield from self._of_system(totals, gauges)
        yield from self._of_history(totals, gauges)

    def _of_cron(self) -> Iterator[Metric]:
        tasks = self._metrics.cron()
        runs = [((one.name, outcome), count) for one in tasks for outcome, count in one.runs.items()]
        text = "Runs of cron tasks that ended, and ticks without one."
        yield _counter("cron_runs", text, ("name", "outcome"), runs)
        last = [(one.name, one.completed_ms / 1_000) for one in tasks if one.completed_ms is not None]
        yield _gauges("cron_last_success_timestamp_seconds", "When a run was last completed.", ("name",), last)

    def _of_system(self, totals: Mapping[str, int], gauges: Gauges) -> Iterator[Metric]:
        pending = pending_of_application(gauges.pending, totals)
        yield _gauge("pending_events", "Events stored that have not ended, without those of the system.", pending)
        yield _counter("reclaimed", "Messages taken over from dead processes.", (), [((), totals.get("reclaimed", 0))])
        troubles: dict[str, int] = {}
        for trouble in self._events.bus.system.troubles():
            troubles[trouble.rule or ""] = troubles.get(trouble.rule or "", 0) + 1
        yield _gauges("troubles", "Troubles that go on, by alert rule.", ("rule",), troubles.items())

    def _of_history(self, totals: Mapping[str, int], gauges: Gauges) -> Iterator[Metric]:
        memory, size = gauges.history_bytes, self._events.bus.housekeeping.retention.size()
        if memory is not None:
            yield _gauge("history_bytes", "Memory of the event log, estimated by Redis.", memory)
        yield _gauge("history_events", "Events in the log, without those of the system.", size.events)
        yield _gauge("history_undispatched_bytes", "Stored events no dispatcher has seen.", size.undispatched_bytes)
        young = totals.get("trimmed_young_events", 0)
        trimmed = [("old", totals.get("trimmed_events", 0) - young), ("young", young)]
        text = "Events taken out, without those of the system, by whether past the retention."
        yield _counter("history_trimmed", text, ("age",), trimmed)


def _of_time(gauges: Gauges, lateness: Histogram) -> Iterator[Metric]:
    text = "From when something delayed was due until the poller let it go."
    yield _histogram("schedule_lateness_seconds", text, (), [((), lateness)], least=0)
    yield _gauges("scheduled_events", "Delayed events that wait.", ("priority",), gauges.scheduled.items())
    yield _gauge("oldest_due_seconds", "How long the first of what is due has been.", gauges.oldest_due_s)
    if gauges.poller_lag_s is not None:
        yield _gauge("poller_lag_seconds", "How long nobody has led; 0 while a poller leads.", gauges.poller_lag_s)


def _of_queues(queues: Sequence[QueueState]) -> Iterator[Metric]:
    of = ("queue",)
    waits = [(one.name, one.oldest_waiting.total_seconds() if one.oldest_waiting else 0.0) for one in queues]
    yield _gauges("queue_depth", "Messages not fetched.", of, [(one.name, one.waiting) for one in queues])
    yield _gauges("queue_latency_seconds", "How long the oldest of those waits.", of, waits)
    yield _gauges("queue_paused", "1 when paused.", of, [(one.name, int(one.is_paused)) for one in queues])
    running = [(one.name, one.running) for one in queues]
    yield _gauges("deliveries_in_progress", "Messages that a process holds.", of, running)


def _of_events(types: Mapping[str, Mapping[str, int]]) -> Iterator[Metric]:
    published = [(name, counts.get("published", 0)) for name, counts in types.items()]
    yield _counter("events_published", "Events stored.", ("event_type",), published)
    ended = [((name, status), counts.get(status, 0)) for name, counts in types.items() for status in _ENDED]
    yield _counter("events_ended", "Events whose deliveries have ended.", ("event_type", "status"), ended)
    unrouted = [(name, counts["unrouted"]) for name, counts in types.items() if counts.get("unrouted")]
    yield _counter("events_unrouted", "Events that no subscription wanted.", ("event_type",), unrouted)


def _of_deliveries(pairs: Iterable[Pair]) -> Iterator[Metric]:
    pairs = list(pairs)
    of = ("event_type", "subscription")
    ended = [
        ((one.event_type, one.subscription, outcome), one.counts[outcome])
        for one in pairs
        for outcome in _OUTCOMES
        if one.counts.get(outcome)
    ]
    yield _counter("deliveries", "Deliveries that have ended.", (*of, "outcome"), ended)
    names = ("succeeded", "failed", "dead")
    attempts = [((one.event_type, one.subscription), sum(one.counts.get(name, 0) for name in names)) for one in pairs]
    yield _counter("delivery_attempts", "Attempts that have ended.", of, attempts)
    retries = [((one.event_type, one.subscription), one.counts.get("failed", 0)) for one in pairs]
    yield _counter("retries", "Attempts that failed and were followed by another one.", of, retries)
    backlog: dict[str, int] = {}
    for one in pairs:
        backlog[one.subscription] = backlog.get(one.subscription, 0) + one.backlog
    yield _gauges("subscription_backlog", "Deliveries that have not ended.", ("subscription",), backlog.items())


def _of_times(pairs: Iterable[Pair]) -> Iterator[Metric]:
    waits: dict[str, Histogram] = {}
    durations: dict[str, Histogram] = {}
    for one in pairs:
        name = one.subscription
        waits[name] = waits[name] + one.waits if name in waits else one.waits
        durations[name] = durations[name] + one.durations if name in durations else one.durations
    of = ("subscription",)
    text = "From when an event was stored until the first attempt of its delivery began."
    yield _histogram("delivery_latency_seconds", text, of, waits.items(), least=0)
    yield _histogram("delivery_duration_seconds", "Of attempts.", of, durations.items(), least=_LEAST_EXPONENT)


def _of_letters(totals: Mapping[str, int], gauges: Gauges) -> Iterator[Metric]:
    stem = "dead_letters_"
    reasons = {name.removeprefix(stem): count for name, count in totals.items() if name.startswith(stem)}
    # Not `dead_letters`: in the OpenMetrics form a counter and a gauge of one name clash.
    yield _counter("given_up", "Deliveries and messages that became dead letters.", ("reason",), reasons.items())
    yield _gauge("dead_letters", "Dead letters there now.", gauges.dead_letters)


_Labelled = Iterable[tuple[str | tuple[str, ...], float]]


def _counter(name: str, text: str, labels: tuple[str, ...], samples: _Labelled) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(f"eventsys_{name}", text, labels=labels)
    for values, count in samples:
        family.add_metric(_values(values), count)
    return family


def _gauges(name: str, text: str, labels: tuple[str, ...], samples: _Labelled) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"eventsys_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(_values(values), value)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    return _gauges(name, text, (), [((), value)])


def _histogram(
    name: str,
    text: str,
    labels: tuple[str, ...],
    samples: Iterable[tuple[str | tuple[str, ...], Histogram]],
    *,
    least: int,
) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(f"eventsys_{name}", text, labels=labels)
    for values, histogram in samples:
        buckets = [("+Inf" if isinf(bound) else repr(bound), count) for bound, count in histogram.cumulated()][least:]
        family.add_metric(_values(values), buckets, histogram.total * histogram.unit.total_seconds())
    return family


def _values(values: str | tuple[str, ...]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else values
