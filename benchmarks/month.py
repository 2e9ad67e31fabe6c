"""How long a month takes under a test harness: delayed events, an hourly cron task, and retries, in real seconds."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime, timedelta
from random import Random

from benchmarks.harness import parse_options
from eventsys import Event, EventService
from eventsys.testing import EventHarness, SessionRedis, server_for_tests

DAYS = 30

#: Of so many delayed events one fails twice, and is tried again each time.
_FAILING = 10


def main() -> None:
    """Schedule events at random moments of a month, turn the clock through it, and tell how long that took."""
    options = parse_options(__doc__ or "", messages=10_000)
    logging.disable(logging.CRITICAL)  # a failed attempt is logged with its traceback
    events = EventService(redis_url="redis://127.0.0.1:1/0", app="benchmark", retention=timedelta(days=DAYS + 1))
    late = _declare(events)
    with SessionRedis(server_for_tests()) as redis:
        harness = EventHarness(events, start=datetime(2026, 3, 1, tzinfo=UTC), redis=redis)
        with harness:
            events.cron.create("hourly", "0 * * * *", "hour.struck")
            at = time.perf_counter()
            _schedule(harness, options.messages)
            scheduled_at = time.perf_counter()
            harness.advance(days=DAYS)
            ended_at = time.perf_counter()
            retried = len(harness.attempts("reminders.send")) - options.messages
            facts = {
                "schedule_s": scheduled_at - at,
                "advance_s": ended_at - scheduled_at,
                "delayed": len(harness.delivered("reminders.send")),
                "retries": retried,
                "hours": len(harness.delivered("hours.count")),
                "not_on_time": len(late),
            }
    for name, value in facts.items():
        print(f"{name:>12} {value:.2f}" if isinstance(value, float) else f"{name:>12} {value}")
    if options.json is not None:
        options.json.write_text(json.dumps(facts))


def _declare(events: EventService) -> list[str]:
    """Subscribe the handlers, and return what will hold the ids of events whose first attempt was not on time."""
    late: list[str] = []
    attempts: dict[str, int] = {}

    @events.on("reminder.due", name="reminders.send", retry_delay="10m", max_retries=3)
    def send(event: Event) -> None:
        attempts[event.id] = attempts.get(event.id, 0) + 1
        if attempts[event.id] == 1 and events.broker.clock.now_ms() != event.payload["due_ms"]:
            late.append(event.id)
        if event.payload["fails"] and attempts[event.id] < 3:
            raise ConnectionError("the provider is out of order")

    @events.on("hour.struck", name="hours.count")
    def count(event: Event) -> None:
        """Count the hour."""

    return late


def _schedule(harness: EventHarness, count: int) -> None:
    random, began = Random(20260301), harness.now
    for number in range(count):
        wait_ms = random.randrange(1, DAYS * 86_400_000 - 3_600_000)
        payload = {"due_ms": int(began.timestamp() * 1000) + wait_ms, "fails": number % _FAILING == 0}
        harness.schedule("reminder.due", payload, at=began + timedelta(milliseconds=wait_ms))


if __name__ == "__main__":
    main()
