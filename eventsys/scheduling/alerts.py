"""Alerts: judging a bus by rules, and saying once when something begins to be wrong, and once when it ends."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from eventsys.bus.event_bus import EventBus
from eventsys.clock import from_ms
from eventsys.model.catalog import SYSTEM_ERROR, SYSTEM_WARNING
from eventsys.model.trouble import Trouble
from eventsys.scheduling.alert_rules import RULES, Figures, Finding, find_all
from eventsys.scheduling.sweeps import Sweeps
from eventsys.scheduling.webhook import Webhook
from eventsys.store.machinery import Machinery

#: How often the rules are judged.
EVERY = timedelta(minutes=1)


class Alerts:
    """Judges the figures of a bus every minute, in one of its processes.

    Several may judge at once: what begins and what ends is decided in Redis, so each is published and posted once.

    Args:
        bus: What publishes, and whose settings have the limits and where alerts are posted.
        machinery: The queues.
        sweeps: What has the rules judged every minute.
    """

    def __init__(self, bus: EventBus, machinery: Machinery, sweeps: Sweeps) -> None:
        self._system = bus.system
        self._metrics = bus.store.metrics
        self._machinery = machinery
        self._settings = bus.settings.alerts
        self._webhook = Webhook(bus.broker, self._settings)
        sweeps.add("alerts", EVERY, self.evaluate)

    def active(self) -> list[Trouble]:
        """Return the alerts that have begun and not ended, the oldest first."""
        return [one for one in self._system.troubles() if one.rule in RULES]

    def evaluate(self, now_ms: int) -> int:
        """Judge the rules now, publish what begins and what ends, and return how many did.

        Raises:
            RedisUnavailableError: If Redis does not answer; what was not published is with the next round.
        """
        active = {one.key: one for one in self.active()}
        found = {one.key: one for one in find_all(self._settings, self._figures())}
        begun = [self._begin(one, now_ms) for key, one in found.items() if key not in active]
        ended = [self._end(one, now_ms) for key, one in active.items() if key not in found]
        return sum(begun) + sum(ended)

    def _figures(self) -> Figures:
        look = self._metrics.look()
        return Figures(
            subscriptions=look.by_subscription(),
            recent=look.recent(self._settings.window),
            gauges=self._metrics.gauges(),
            queues=self._machinery.queues(),
        )

    def _begin(self, finding: Finding, now_ms: int) -> bool:
        kind = SYSTEM_ERROR if finding.is_error else SYSTEM_WARNING
        post = self._webhook.step(_posted(kind, finding, ended=False, now_ms=now_ms))
        return self._system.begin_now(
            kind, finding.key, finding.message, rule=finding.rule, details=finding.details, also=post
        )

    def _end(self, trouble: Trouble, now_ms: int) -> bool:
        since = from_ms(now_ms) - trouble.began_at
        message = f"over after {timedelta(seconds=round(since.total_seconds()))}: {trouble.message}"
        finding = Finding(trouble.rule or "", "", message, details=trouble.details)
        post = self._webhook.step(
            _posted(trouble.event_type, finding, ended=True, now_ms=now_ms) | {"key": trouble.key}
        )
        return self._system.end_now(trouble.key, message, rule=trouble.rule, details=trouble.details, also=post)


def _posted(kind: str, finding: Finding, *, ended: bool, now_ms: int) -> dict[str, Any]:
    return {
        "id": secrets.token_hex(8), "type": kind, "key": finding.key, "rule": finding.rule, "message": finding.message,
        "ended": ended, "time": from_ms(now_ms).isoformat(), "details": dict(finding.details),
    }  # fmt: skip
