"""The sweep that repairs what no process ever leaves behind: deliveries without a message, events without an end."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import timedelta

from eventsys.bus.event_bus import EventBus
from eventsys.scheduling.sweeps import Sweeps
from eventsys.store.reconciliation import Reconciliation, Repair

#: How long an event must have been pending. What is under way is told by looking, not by its age: this only spares the
#: sweep what most events are, over in a moment.
OLD_MS = 300_000

#: How often it runs, and most scripts a run: ten thousand events, or a fraction of a second of Redis's time.
_EVERY = timedelta(minutes=1)
_MOST_STEPS = 100

#: Most events named in a warning.
_NAMED = 5

logger = logging.getLogger(__name__)


class Reconciler:
    """Reconciles records with messages, and warns of what it had to repair.

    Args:
        bus: Whose events they are.
        sweeps: What has it run every minute, as the sweep `reconcile`.
    """

    def __init__(self, bus: EventBus, sweeps: Sweeps) -> None:
        self._system = bus.system
        broker = bus.broker
        self._reconciliation = Reconciliation(broker.link, broker.keys, retention_ms=broker.work.retention_ms)
        sweeps.add("reconcile", _EVERY, self.reconcile)

    def reconcile(self, now_ms: int) -> int:
        """Look at a part of what is pending, and return how many repairs there were; the next run goes on there."""
        repairs: list[Repair] = []
        for _ in range(_MOST_STEPS):
            found, is_over = self._reconciliation.step(now_ms, now_ms - OLD_MS)
            for event_id, done in found:
                logger.warning(
                    "event %s was not as any process leaves one: %s", event_id, done,
                    extra={"action": "reconciled", "event_id": event_id, "repair": done},
                )  # fmt: skip
            repairs += found
            if is_over:
                break
        if repairs:
            self._warn(repairs)
        return sum(not done.startswith("refused") for _, done in repairs)

    def _warn(self, repairs: list[Repair]) -> None:
        named = ", ".join(dict.fromkeys(event_id for event_id, _ in repairs[:_NAMED]))
        counts = Counter(done.partition(" ")[0] for _, done in repairs)
        what = ", ".join(f"{count} {done}" for done, count in counts.items())
        self._system.warn(
            "reconcile",
            f"events had lost a message or their end, and were repaired ({what}), such as {named}: has Redis lost data,"
            " or somebody written into it? eventsys doctor looks at its settings",
            details=dict(counts),
            lasts="1h",
        )
