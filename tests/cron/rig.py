"""A service whose clock a test turns, and whose work is done in the test's own thread, each thing at its time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from dramatiq.errors import ActorNotFound

from eventsys import Event, EventFilter, EventService
from eventsys.broker.processing import end, process
from eventsys.clock import from_ms, to_ms
from eventsys.scheduling.poller import Poller


class Rig:
    """Turns the clock of a service and runs what falls due.

    Args:
        events: The service. Its real code, on a real Redis.
        start: The time at first.
    """

    def __init__(self, events: EventService, start: datetime) -> None:
        self.events = events
        self.now_ms = to_ms(start)
        clock: Any = events.broker.clock
        clock.now_ms = lambda: self.now_ms
        clock.now = lambda: from_ms(self.now_ms)
        broker = events.broker
        self._poller = Poller(broker.link, broker.keys, clock, process="rig")
        self._consumers: dict[str, Any] = {}

    @property
    def now(self) -> datetime:
        return from_ms(self.now_ms)

    def advance_to(self, moment: datetime) -> None:
        """Run everything that falls due until then, in order, each at its own time."""
        until_ms = to_ms(moment)
        while True:
            next_ms = self._settle()
            if next_ms is None or next_ms > until_ms:
                break
            self.now_ms = max(self.now_ms, next_ms)
        self.now_ms = until_ms
        self._settle()

    def advance(self, **span: float) -> None:
        self.advance_to(self.now + timedelta(**span))

    def jump(self, **span: float) -> None:
        """Let time pass in which nothing runs, as while all workers are down."""
        self.now_ms += int(timedelta(**span) / timedelta(milliseconds=1))
        self._settle()

    def work(self) -> None:
        """Handle all messages there are, without letting go what is due."""
        # As a worker does before it fetches: nobody else publishes here, and the rounds that would do it are another
        # thread's, so the event of a first tick might find no subscription yet.
        self.events.bus.prepare()
        while sum(map(self._handle, self.events.broker.get_declared_queues())):
            assert self.events.broker.work.committer.join(60)

    def _settle(self) -> int | None:
        while True:
            let_go = self._poller.let_go(self.now_ms)
            self.work()
            if not let_go.moved:
                return self._poller.let_go(self.now_ms).next_ms

    def _handle(self, queue: str) -> int:
        consumer = self._consumers.get(queue)
        if consumer is None:
            consumer = self._consumers[queue] = self.events.broker.consume(queue, prefetch=64, timeout=0)
        messages = consumer.take_all()
        for message in messages:
            if message.actor is None:  # as the threads that fetch do
                message.fail()
                message.stuff_exception(ActorNotFound(message.actor_name))
                end(self.events.broker, message)
            else:
                process(self.events.broker, message)
        return len(messages)


def told(events: EventService, *verbs: str) -> list[tuple[str, dict[str, Any]]]:
    """Return what was published about cron tasks, in order."""
    wanted = verbs or ("created", "updated", "deleted", "executed", "completed", "failed")
    types = [f"cron.task.{verb}" for verb in wanted]
    found = events.get_event_records(EventFilter(types=types, page_size=500)).items
    return [(one.type.removeprefix("cron.task."), one.payload) for one in reversed(found)]


def published(events: EventService, event_type: str) -> list[Any]:
    """Return the events of a type, in order."""
    return list(reversed(events.get_event_records(EventFilter(types=[event_type], page_size=500)).items))


def hold_runs(rig: Rig, minutes: float) -> list[datetime]:
    """Let runs take so long: the handler fails once, and its second attempt comes after that time."""
    began: list[datetime] = []

    @rig.events.on("report.due", name="reports", max_retries=1, retry_delay=f"{minutes}m")
    def report(event: Event) -> None:
        tick = datetime.fromisoformat(event.headers["cron-tick"])
        if tick not in began:
            began.append(tick)
            raise RuntimeError("again later")

    return began
