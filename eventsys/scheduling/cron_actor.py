"""The actor that looks at ticks of cron tasks when they have come, and at runs that may have ended."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from dramatiq import Actor

from eventsys.broker.attempt import attempt_of
from eventsys.broker.broker import EventBroker
from eventsys.bus.drafting import Drafter
from eventsys.clock import from_ms, to_ms
from eventsys.errors import EventsysError
from eventsys.model.builtin_payloads import CronTaskFailed
from eventsys.model.catalog import CRON_TASK_FAILED
from eventsys.model.cron_plan import LATE, Missed, plan_tick
from eventsys.model.cron_task import CronTask, Overlap, RunOutcome, TaskState
from eventsys.model.durations import format_duration
from eventsys.model.status import EventStatus
from eventsys.scheduling.cron_runs import (
    CRON_ACTOR,
    arming,
    cron_message,
    cron_message_at,
    ending,
    queue_of,
    record,
    starting,
    waiting,
)
from eventsys.store.cron_events import cron_event_step
from eventsys.store.cron_tasks import CronRow, CronTaskStore, OpenRun
from eventsys.store.event_store import EventStore
from eventsys.store.keys import CRON_QUEUE
from eventsys.store.steps import Step, packed

#: The waits before a message is looked at again after an error, in milliseconds, and how often that is tried.
_BACKOFF = {"min_backoff": 200, "max_backoff": 30_000, "max_retries": 20}

logger = logging.getLogger(__name__)


class CronActor(Actor[..., None]):
    """Decides what a tick or a run needs, and adds that to its own commit; the script carries it out if it still holds.

    So the claim of a tick, its run, and the next tick are one step with the acknowledgement of the message that brought
    it: wherever a process dies, all of it happened or none, and another process looks at the message again.

    Args:
        broker: Where it is declared.
        tasks: Where the tasks are stored.
        store: What knows how events ended.
        drafter: What makes the events of runs.
        create: Creates a task from its definition, as JSON.
    """

    def __init__(
        self,
        broker: EventBroker,
        tasks: CronTaskStore,
        store: EventStore,
        drafter: Drafter,
        create: Callable[[str], object],
    ) -> None:
        self._bus_broker = broker
        self._tasks = tasks
        self._store = store
        self._drafter = drafter
        verbs: dict[str, Callable[..., object]] = {"tick": self._tick, "end": self._end, "run": self._run}
        verbs["create"] = create

        def handle(verb: str, *arguments: Any) -> None:
            verbs[verb](*arguments)

        super().__init__(
            handle, broker=broker, actor_name=CRON_ACTOR, queue_name=CRON_QUEUE, priority=0, options=dict(_BACKOFF)
        )

    def _tick(self, name: str, armed: str, tick_ms: int) -> None:
        row, tick, now_ms = self._row(name), from_ms(tick_ms), self._bus_broker.clock.now_ms()
        if row is None or row.armed != armed or row.task.state is not TaskState.ACTIVE:
            return
        if not row.task.has_tick(tick):
            logger.warning(
                "cron task %s: %s is no tick of its schedule, as when the rules of its time zone changed; it is not"
                " run, and the next one is found within a minute", name, tick,
                extra={"action": "cron_tick_dropped"},
            )  # fmt: skip
            return
        if from_ms(now_ms) + LATE < tick + row.task.put_off(tick):
            # Redis was told to let it go, or its clock was set back. Each tick arms the next: whoever could have one
            # run before its time could have all that are still to come.
            self._add(waiting(row.task, tick, armed))
            return
        if row.task.overlap is not Overlap.ALLOW:
            for one in self._tasks.open_runs(name):
                self._end_if_over(one, now_ms)
        self._add(self._tick_step(row, armed, tick, now_ms))

    def _end(self, name: str, run_id: str) -> None:
        opened = self._tasks.open_run(name, run_id)
        if opened is None:
            return
        if not self._end_if_over(opened, self._bus_broker.clock.now_ms()):
            # It was looked at because its event had ended; it goes on, after a redrive perhaps.
            target_id = f"cron-end:{opened.run.target_id}"
            self._add(cron_message_at(target_id, opened.deadline_ms, "end", name, run_id))

    def _run(self, name: str, run_id: str) -> None:
        row = self._row(name)
        if row is None:
            logger.warning("cron task %s is gone and cannot run", name, extra={"action": "cron_run_dropped"})
            return
        self._add(("cron_start", self._run_of(row.task, None, run_id, self._bus_broker.clock.now_ms())))

    def _row(self, name: str) -> CronRow | None:
        found = self._tasks.read([name])
        return found[0] if found else None

    def _end_if_over(self, opened: OpenRun, now_ms: int) -> bool:
        run, target_id = opened.run, opened.run.target_id or ""
        status = self._store.status_of(target_id)
        error = None if status is not None else self._tasks.letter_error(target_id)
        if status is EventStatus.DELIVERED:
            self._add(ending(run, RunOutcome.COMPLETED, "", now_ms))
        elif status is not None and status.is_final:
            self._add(ending(run, RunOutcome.FAILED, self._error_of(target_id, status), now_ms))
        elif error is not None:
            self._add(ending(run, RunOutcome.FAILED, error, now_ms))
        elif now_ms >= opened.deadline_ms:
            began = run.started_at or from_ms(now_ms)
            limit = format_duration(from_ms(opened.deadline_ms) - began)
            self._add(ending(run, RunOutcome.FAILED, f"it did not end within {limit}", now_ms))
        else:
            return False
        return True

    def _error_of(self, event_id: str, status: EventStatus) -> str:
        errors = [
            one.error for record_ in self._store.get_events([event_id]) for one in record_.deliveries if one.error
        ]
        return errors[0] if errors else f"its event is {status}"

    def _tick_step(self, row: CronRow, armed: str, tick: datetime, now_ms: int) -> Step:
        task = row.task
        plan = plan_tick(task, tick, from_ms(now_ms))
        is_late = plan.run is not None and from_ms(now_ms) - task.put_off(plan.run) - plan.run >= LATE
        records = [] if plan.missed is None else [_missed(plan.missed, now_ms)]
        run, told = self._started(task, plan.run, records, now_ms)
        skipped = "an earlier run is still on"
        facts = {
            "name": task.name,
            "armed": armed,
            "revision": str(task.revision),
            "overlap": str(task.overlap),
            "holds": task.catch_up_all and is_late and task.overlap is not Overlap.ALLOW,
            "again": cron_message("tick", task.name, armed, to_ms(tick)),
            "next": False if plan.next is None else arming(task, plan.next),
            "records": records,
            "told": told,
            "skipped": record(_id(plan.run), plan.run, RunOutcome.SKIPPED, skipped, now_ms) if plan.run else "",
            "run": run or False,
        }
        return ("cron_tick", facts)

    def _started(
        self, task: CronTask, tick: datetime | None, records: list[str], now_ms: int
    ) -> tuple[dict[str, Any] | None, list[Step]]:
        """Return what starts the run of a tick; where that is impossible, record it and tell of it."""
        if tick is None:
            return None, []
        try:
            return self._run_of(task, tick, _id(tick), now_ms), []
        except EventsysError as error:
            logger.exception("cron task %s cannot run", task.name, extra={"action": "cron_run_failed"})
            records.append(record(_id(tick), tick, RunOutcome.FAILED, str(error), now_ms))
            failed = CronTaskFailed(task=task.name, run_id=_id(tick), scheduled_for=tick, error=str(error))
            return None, [cron_event_step(CRON_TASK_FAILED, failed, now_ms=now_ms)]

    def _run_of(self, task: CronTask, tick: datetime | None, run_id: str, now_ms: int) -> dict[str, Any]:
        run = starting(task, tick, run_id, self._drafter, now_ms)
        if task.actor is not None:
            self._bus_broker.work.queue_names.mention(queue_of(task))
        return run

    def _add(self, step: Step) -> None:
        attempt = attempt_of(self._bus_broker)
        assert attempt is not None, "the cron actor runs in attempts only"
        step = self._bus_broker.work.sealed(step)
        attempt.add(step, len(packed(step)))


def _id(tick: datetime) -> str:
    return str(to_ms(tick))


def _missed(missed: Missed, now_ms: int) -> str:
    ticks = "1 tick was" if missed.ticks == 1 else f"{missed.ticks} ticks were"
    why = f"{ticks} missed, up to {missed.last:%Y-%m-%d %H:%M:%S} UTC"
    return record(_id(missed.first), missed.first, RunOutcome.MISSED, why, now_ms)
