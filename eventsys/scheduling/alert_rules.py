"""The alert rules: what is wrong, judged by the figures of a bus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from eventsys.model.durations import format_duration
from eventsys.model.machinery import QueueState
from eventsys.model.metrics import SubscriptionMetrics
from eventsys.settings import AlertSettings
from eventsys.store.gauges import Gauges
from eventsys.store.metrics_look import Recent

#: The rules, as the keys of their alerts begin.
RULES = ("failure_ratio", "backlog_age", "lateness", "dead_letters", "no_worker", "unrouted")


@dataclass(frozen=True)
class Figures:
    """What the rules judge.

    Attributes:
        subscriptions: By name.
        recent: What happened in the last few minutes.
        gauges: How the bus stands.
        queues: Its queues.
    """

    subscriptions: Mapping[str, SubscriptionMetrics]
    recent: Recent
    gauges: Gauges
    queues: Sequence[QueueState]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        rule: The rule that says so.
        about: What it is about; empty for the whole bus.
        message: One sentence, with the next step.
        is_error: Whether a person is needed now.
        details: The figures.
    """

    rule: str
    about: str
    message: str
    is_error: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What the alert is known by."""
        return f"{self.rule}:{self.about}" if self.about else self.rule


def find_all(settings: AlertSettings, figures: Figures) -> Iterator[Finding]:
    """Yield everything that is wrong; a rule whose limit is None finds nothing."""
    yield from _failure_ratio(settings, figures)
    yield from _backlog_age(settings, figures)
    yield from _lateness(settings, figures)
    yield from _dead_letters(settings, figures)
    yield from _no_worker(settings, figures)
    yield from _unrouted(settings, figures)


def _failure_ratio(settings: AlertSettings, figures: Figures) -> Iterator[Finding]:
    limit = settings.failure_ratio
    for name, (succeeded, failed) in figures.recent.attempts.items():
        attempts = succeeded + failed
        if limit is None or attempts < settings.failure_attempts or failed / attempts < limit:
            continue
        yield Finding(
            "failure_ratio", name,
            f"{failed} of the last {attempts} attempts of {name} failed, within {_text(settings.window)}; its dead"
            " letters and the errors of its deliveries tell why",
            details={"failed": failed, "attempts": attempts, "ratio": round(failed / attempts, 4), "limit": limit},
        )  # fmt: skip


def _backlog_age(settings: AlertSettings, figures: Figures) -> Iterator[Finding]:
    limit = settings.backlog_age
    for name, one in figures.subscriptions.items():
        if limit is None or one.oldest_waiting is None or one.oldest_waiting < limit:
            continue
        yield Finding(
            "backlog_age", name,
            f"{name} has {one.backlog} open deliveries, the oldest for {_text(one.oldest_waiting)}; does a worker host"
            " it, is it paused, or does it need more workers?",
            details={"backlog": one.backlog, "oldest_s": _seconds(one.oldest_waiting), "limit_s": _seconds(limit)},
        )  # fmt: skip


def _lateness(settings: AlertSettings, figures: Figures) -> Iterator[Finding]:
    limit, late_s = settings.lateness, figures.gauges.oldest_due_s
    if limit is not None and late_s >= limit.total_seconds():
        yield Finding(
            "lateness", "",
            f"delayed events are {_text(timedelta(seconds=late_s))} late; does a worker run, and does it reach Redis?",
            is_error=True,
            details={"late_s": round(late_s, 3), "limit_s": _seconds(limit)},
        )  # fmt: skip


def _dead_letters(settings: AlertSettings, figures: Figures) -> Iterator[Finding]:
    limit, count = settings.dead_letters, figures.gauges.dead_letters
    if limit is not None and count >= limit:
        yield Finding(
            "dead_letters", "",
            f"there are {count} dead letters; see why they died, then redrive or purge them",
            details={"dead_letters": count, "limit": limit},
        )  # fmt: skip


def _no_worker(settings: AlertSettings, figures: Figures) -> Iterator[Finding]:
    limit = settings.no_worker
    for queue in figures.queues:
        waits = queue.oldest_waiting
        if limit is None or queue.readers or not queue.unclaimed or waits is None or waits < limit:
            continue
        yield Finding(
            "no_worker", queue.name,
            f"{queue.unclaimed} messages wait in queue {queue.name}, and no worker reads it; start one that does",
            is_error=True,
            details={"queue": queue.name, "waiting": queue.unclaimed, "oldest_s": _seconds(waits)},
        )  # fmt: skip


def _unrouted(settings: AlertSettings, figures: Figures) -> Iterator[Finding]:
    limit = settings.unrouted
    for name, count in figures.recent.unrouted.items():
        if limit is not None and count >= limit:
            yield Finding(
                "unrouted", name,
                f"nobody wanted {count} events of type {name} within {_text(settings.window)}; is a pattern misspelt?",
                details={"event_type": name, "events": count, "limit": limit},
            )  # fmt: skip


def _text(duration: timedelta) -> str:
    return format_duration(timedelta(seconds=round(duration.total_seconds())))


def _seconds(duration: timedelta) -> float:
    return round(duration.total_seconds(), 3)
