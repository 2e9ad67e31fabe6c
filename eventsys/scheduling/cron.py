"""CronService: tasks that run again and again, changed at run time from any process."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from dramatiq import Actor
from pydantic import BaseModel

from eventsys.broker.attempt import attempt_of
from eventsys.broker.broker import EventBroker
from eventsys.bus.event_bus import EventBus
from eventsys.clock import from_ms
from eventsys.errors import CronTaskError, InvalidScheduleError
from eventsys.model.catalog import Catalog
from eventsys.model.cron_task import MOST_ROWS, CronDefinition, CronRun, CronTask, TaskLine
from eventsys.model.declared_options import AS_SET, Open
from eventsys.model.durations import DurationLike
from eventsys.model.queries import Page, page_of
from eventsys.scheduling.cron_actor import CronActor
from eventsys.scheduling.cron_changes import Change, changed, check_end, deleted, first_tick, paused, resumed
from eventsys.scheduling.cron_declarations import CronDeclarations, declare_function
from eventsys.scheduling.cron_editor import HANDED_OVER, CronEditor, known
from eventsys.scheduling.cron_requests import checked, definition_of, due_ms_of, with_actor, with_payload
from eventsys.scheduling.cron_runs import cron_message_at, manual_run_id, queue_of, starting
from eventsys.scheduling.sweeps import Sweeps
from eventsys.store.cron_tasks import CronRow, CronTaskStore
from eventsys.store.event_store import EventStore
from eventsys.store.steps import Step, packed

#: A row that nobody has: Redis counts with 64 bits, and refuses a number that has more.
_BEHIND_ALL = 2**62

Function = TypeVar("Function", bound=Callable[..., Any])


class CronService:
    """Cron tasks: rows in Redis, changed from any process at any time, whose ticks wait in the delayed store.

    A tick that has come publishes the task's event or sends its actor a message, once, however many processes run, and
    wherever one of them dies. No scheduler process is needed: any worker will do. Changes take effect at once, inside a
    handler too, and each is told of by an event in the step that makes it.

    Args:
        broker: What carries the ticks.
        bus: Where functions are declared, and what makes events.
        store: What knows how events ended.
        sweeps: What looks for tasks that lost their tick, and for those that nobody declares any more.
        catalog: The models that payloads must fit, and that tell which of their fields are secret.
    """

    def __init__(self, broker: EventBroker, bus: EventBus, store: EventStore, sweeps: Sweeps, catalog: Catalog) -> None:
        self._broker = broker
        self._bus = bus
        self._tasks = CronTaskStore(broker.link, broker.keys, broker.work.seal)
        self._editor = CronEditor(broker.clock, self._tasks, catalog, bus.settings.max_payload_bytes)
        self._declarations = CronDeclarations(broker, bus.system, self._tasks, self._editor)
        self._declarations.tend(sweeps)
        CronActor(
            broker, self._tasks, store, bus.drafter,
            create=lambda written: self._editor.declare(CronDefinition.model_validate_json(written)),
        )  # fmt: skip

    def __call__(
        self,
        schedule: str,
        *,
        name: str | None = None,
        timezone: str = "UTC",
        max_retries: int | Open = AS_SET,
        retry_delay: DurationLike | Open = AS_SET,
        timeout: DurationLike | Open | None = AS_SET,
        **options: Any,
    ) -> Callable[[Function], Function]:
        """Run the decorated function, or coroutine function, when `schedule` says; return it unchanged.

        It takes no argument, or the event of its run. It is declared when a worker starts, and again only when the
        declaration has changed, so what an operator edits stays until then.

        Args:
            schedule: Five cron fields, six with seconds in front, or a shortcut such as `@hourly`.
            name: The task's name; None: where the function is defined. Give one, so that moving it changes nothing.
            timezone: An IANA name.
            max_retries: Tries of a run after the first. Left out, this and the next two are as for `EventService.on`.
            retry_delay: The wait before each.
            timeout: The longest a try may run.
            **options: `overlap`, `catch_up`, `catch_up_all`, `jitter`, `ends_at`, `max_runs`, `run_timeout` as for
                `create`.

        Raises:
            InvalidScheduleError: If the schedule or the zone cannot be.
            CronTaskError: If the name or an option cannot be.
        """

        if not isinstance(schedule, str):
            raise InvalidScheduleError(
                f"{ascii(schedule)[:80]} stands where the schedule belongs; decorate with it: @events.cron('0 2 * * *')"
            )

        def declare(function: Function) -> Function:
            declare_function(
                self._bus, function, name, max_retries=max_retries, retry_delay=retry_delay, timeout=timeout,
                schedule=schedule, timezone=timezone, **options,
            )  # fmt: skip
            return function

        return declare

    def create(
        self,
        name: str,
        schedule: str,
        event_type: str | None = None,
        payload: dict[str, Any] | BaseModel | None = None,
        *,
        actor: Actor[..., Any] | str | None = None,
        **options: Any,
    ) -> CronTask:
        """Create a task, and return it as it then is.

        May be called at every deploy: where the task exists it is changed only if what is said here has changed since
        the last time; an operator's edits stay until then.

        Args:
            name: Its name.
            schedule: Five cron fields, six with seconds in front, or a shortcut such as `@hourly`.
            event_type: What a due tick publishes. Give this, or `actor`.
            payload: The payload of that event: a JSON object as a dictionary, or a pydantic model. It must fit the
                model of its type, if this process knows that.
            actor: The Dramatiq actor that a due tick sends a message to.
            **options: `timezone`; `actor_args`, `actor_kwargs` and `queue` of an actor; `source`, `priority`;
                `secret_fields` of a payload whose model no process knows, or of what an actor is given, by name or by
                place from 0 on, which are shown to nobody; `overlap`
                (`skip`, `buffer_one`, `allow`); `catch_up` (10m), `catch_up_all`; `jitter`; `ends_at`; `max_runs`;
                `run_timeout` (1h); `max_retries`, `retry_delay`.

        Raises:
            InvalidScheduleError: If the schedule or the zone cannot be.
            CronTaskError: If something else cannot be.
        """
        definition = definition_of(self._broker, name, schedule, event_type, payload, actor, options)
        return self._editor.declare(definition)

    def update(self, name: str, /, **changes: Any) -> CronTask:
        """Change what a task is to do, and return it as it then is.

        Its next tick stays the same unless the schedule, the time zone, the jitter, `ends_at` or `max_runs` change. An
        actor is given as to `create`; its queue follows it, if this process knows that.

        Raises:
            NotFoundError: If there is no such task.
            InvalidScheduleError: If the schedule or the zone cannot be.
            CronTaskError: If something else cannot be.
        """
        if "name" in changes:
            raise CronTaskError(f"cron task {name!r} keeps its name; create another one and delete this")
        given, changes = changes, with_payload(with_actor(self._broker, changes))

        def decide(row: CronRow | None, now: datetime) -> Change:
            present = known(row, name)
            fields = CronDefinition.model_fields.keys() - {"secret_fields"}
            said = {field: getattr(present.task, field) for field in fields} | changes
            if (
                "secret_fields" in changes.keys() - given.keys()
            ):  # by the payload's model; who said others meant them too
                said["secret_fields"] += tuple(present.task.secret_fields or ())
            definition = checked(CronDefinition.make(**said), given)
            check_end(present, definition, now)
            hands_on = any(getattr(definition, part) for part in HANDED_OVER if part not in changes)
            return changed(present, self._editor.accepted(definition, row, hands_on=hands_on), now)

        return self._editor.edit(name, decide)

    def delete(self, name: str) -> CronTask:
        """Delete a task with its history, and return it as it was; a run that is on goes on.

        Raises:
            NotFoundError: If there is no such task.
        """
        return self._editor.edit(name, lambda row, _: deleted(known(row, name)))

    def pause(self, name: str, *, reason: str = "paused by hand") -> CronTask:
        """Let a task have no ticks until it is resumed; those that pass meanwhile are not caught up on.

        Raises:
            NotFoundError: If there is no such task.
        """
        return self._editor.edit(name, lambda row, now: paused(known(row, name), now, reason))

    def resume(self, name: str) -> CronTask:
        """Let a paused task go on with its next tick from now.

        Raises:
            NotFoundError: If there is no such task.
        """
        return self._editor.edit(name, lambda row, now: resumed(known(row, name), now))

    def run_now(self, name: str) -> CronRun:
        """Begin a run by hand, paused or not, whatever else is on; it does not count for `max_runs`.

        Raises:
            NotFoundError: If there is no such task.
        """
        task, now_ms = self.get(name), self._broker.clock.now_ms()
        run = starting(task, None, manual_run_id(), self._bus.drafter, now_ms)
        if task.actor is not None:
            self._broker.work.queue_names.mention(queue_of(task))
        [result] = self._broker.add([("cron_start", run)])
        if result[0] != b"started":
            known(None, name)
        return CronRun(
            task=name, run_id=run["run_id"], started_at=from_ms(now_ms), manual=True, target_id=run["target_id"]
        )

    def run_later(self, name: str, *, at: datetime | None = None, delay: DurationLike | None = None) -> datetime:
        """Begin a run by hand later, and return when; inside a handler, if that succeeds.

        Raises:
            NotFoundError: If there is no such task now. If it is gone by then, nothing runs.
            CronTaskError: If neither or both of `at` and `delay` are given, or the time will not do.
        """
        self.get(name)
        due_ms, run_id = due_ms_of(self._broker.clock.now_ms(), at, delay), manual_run_id()
        self._keep(cron_message_at(f"cron-run:{name}:{run_id}", due_ms, "run", name, run_id))
        return from_ms(due_ms)

    def create_later(
        self,
        name: str,
        schedule: str,
        event_type: str | None = None,
        payload: dict[str, Any] | BaseModel | None = None,
        *,
        at: datetime | None = None,
        delay: DurationLike | None = None,
        actor: Actor[..., Any] | str | None = None,
        **options: Any,
    ) -> datetime:
        """Create a task later, and return when; inside a handler, if that succeeds. Checked now; see `create`.

        Raises:
            InvalidScheduleError: If the schedule or the zone cannot be.
            CronTaskError: If something else cannot be, the time among it, or it would end before its first tick.
        """
        definition = definition_of(self._broker, name, schedule, event_type, payload, actor, options)
        due_ms = due_ms_of(self._broker.clock.now_ms(), at, delay)
        first_tick(definition, from_ms(due_ms))
        entry_id = f"cron-create:{name}:{secrets.token_hex(6)}"
        self._keep(cron_message_at(entry_id, due_ms, "create", self._editor.accepted(definition).model_dump_json()))
        return from_ms(due_ms)

    def get(self, name: str) -> CronTask:
        """Return a task as it stands.

        Raises:
            NotFoundError: If there is no such task.
        """
        found = self._tasks.read([name])
        return known(found[0] if found else None, name).task

    def list(self, *, page: int = 1, page_size: int = 50) -> Page[CronTask]:
        """Return a page of all tasks, in the order of their names."""
        start, count = _rows_of(page, page_size)
        rows, total = self._tasks.page(start, count)
        return page_of(CronTask)(items=[row.task for row in rows], total=total, page=max(1, page), page_size=count)

    def lines(self, *, page: int = 1, page_size: int = 50) -> Page[TaskLine]:
        """Return the same page as a list shows it: a line each, which costs the same however long payloads are."""
        start, count = _rows_of(page, page_size)
        lines, total = self._tasks.lines(start, count)
        return page_of(TaskLine)(items=lines, total=total, page=max(1, page), page_size=count)

    def history(self, name: str, *, page: int = 1, page_size: int = 20) -> Page[CronRun]:
        """Return a page of a task's runs: those that are on, then the last hundred, the newest first.

        Ticks that were skipped or missed are among them.

        Raises:
            NotFoundError: If there is no such task.
        """
        self.get(name)
        start, count = _rows_of(page, page_size)
        runs, total = self._tasks.history(name, start, count)
        return page_of(CronRun)(items=runs, total=total, page=max(1, page), page_size=count)

    def newest_runs(self, names: Sequence[str], count: int = 20) -> Mapping[str, Sequence[CronRun]]:
        """Return the newest runs of several tasks by name, as `history` does; nothing for a task that is not there."""
        return self._tasks.newest_runs(names, min(count, MOST_ROWS))

    def prepare(self) -> None:
        """Declare what this process declares and Redis does not know yet; workers do it when they start.

        Raises:
            RedisUnavailableError: If Redis does not answer.
        """
        self._declarations.make_round()

    def _keep(self, step: Step) -> None:
        step = self._broker.work.sealed(step)
        attempt = attempt_of(self._broker)
        if attempt is not None:
            attempt.add(step, len(packed(step)))
        else:
            self._broker.add([step])


def _rows_of(page: int, page_size: int) -> tuple[int, int]:
    """Return the first row of a page, and how many it has; far behind all rows one page is like another."""
    count = max(1, min(page_size, MOST_ROWS))
    return min((max(1, page) - 1) * count, _BEHIND_ALL), count
