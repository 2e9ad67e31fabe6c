"""Changing cron tasks, whoever else changes them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime

from eventsys.clock import Clock, from_ms
from eventsys.errors import CronTaskError, InvalidPayloadError, NotFoundError
from eventsys.model.builtin_payloads import CronTaskChanged
from eventsys.model.catalog import Catalog
from eventsys.model.cron_task import CronDefinition, CronTask
from eventsys.model.masking import secret_fields
from eventsys.model.payloads import ANY_LENGTH, encode_payload
from eventsys.model.texts import LONGEST_HEADER
from eventsys.scheduling.cron_changes import Change, check_end, created, declared
from eventsys.store.cron_events import cron_event_step
from eventsys.store.cron_tasks import CronRow, CronTaskStore
from eventsys.store.steps import Step

Decide = Callable[[CronRow | None, datetime], Change | None]

#: What of a task its runs hand over; each may hold secrets.
HANDED_OVER = ("payload", "actor_args", "actor_kwargs")


class CronEditor:
    """Reads a task, decides, and writes if nobody changed it meanwhile; else it begins anew.

    Each time round means that another change was made, or a tick taken, so this ends.

    Args:
        clock: The time.
        tasks: Where tasks are stored.
        catalog: The models that payloads must fit, and that tell which of their fields are secret.
        most_bytes: The longest payload that is published here, as JSON.
    """

    def __init__(self, clock: Clock, tasks: CronTaskStore, catalog: Catalog, most_bytes: int) -> None:
        self._catalog = catalog
        self._most_bytes = most_bytes
        self._clock = clock
        self._tasks = tasks

    def edit(self, name: str, decide: Decide) -> CronTask:
        """Change a task, and return it as it then is; if it is deleted, as it was.

        Args:
            name: The task.
            decide: Returns what to change about the row it is given, None for nothing. May be called several times.

        Raises:
            RedisUnavailableError: If Redis does not answer. The change may have been made; making it again is safe.
        """
        change_id = secrets.token_hex(8)
        while True:
            row, now_ms = self.read(name), self._clock.now_ms()
            change = decide(row, from_ms(now_ms))
            if change is None:
                return known(row, name).task
            is_changed = self._tasks.change(
                now_ms, name, expected=None if row is None else row.task.revision, armed=row and row.armed,
                change_id=change_id, row=change.row, arming=change.arming, told=_told(change, now_ms),
            )  # fmt: skip
            if is_changed:
                found = None if change.row is None else self.read(name)
                return known(found or row, name).task

    def declare(
        self, definition: CronDefinition, *, is_declared: bool = False, since_ms: int | None = None
    ) -> CronTask:
        """Create a task, or change it if this definition is not the one that was declared last.

        Args:
            definition: What it is to be.
            is_declared: Whether code declares it.
            since_ms: Since when, by the clock of the bus, where Redis was told of it before and may have lost that;
                what was declared later stays. None: from now on.

        Raises:
            CronTaskError: If what is not declared by code would never be due, or would end at once; or its payload is
                too long, or does not fit.
        """

        def decide(row: CronRow | None, now: datetime) -> Change | None:
            accepted = self.accepted(definition, row)
            if row is None:
                return created(accepted, now, is_declared=is_declared, since_ms=since_ms)
            if not is_declared and row.declared_hash != accepted.declaration_hash:
                check_end(row, accepted, now)
            return declared(row, accepted, now, since_ms=since_ms)

        return self.edit(definition.name, decide)

    def accepted(
        self, definition: CronDefinition, row: CronRow | None = None, *, hands_on: bool = False
    ) -> CronDefinition:
        """Return a definition as it is kept: it names the secret fields, for those who show it without the model.

        A process that does not know the model itself keeps what was known when the row was written. What stood in the
        row before is not measured again, since whoever wrote that may have other settings.

        Args:
            definition: What a task is to be.
            row: The task as it is; None: there is none.
            hands_on: Whether some of what the task hands over now is handed over from then on: what is secret in it
                stays so, whatever the type or the actor is, and whatever else is named. Else whoever may change a task
                could read its secrets.

        Raises:
            CronTaskError: If what its runs would hand over is too long, or does not fit the model of its type.
        """
        sent = definition.what_is_sent
        if row is None or row.task.what_is_sent != sent:
            length = len(encode_payload(sent, max_bytes=ANY_LENGTH))
            if length > self._most_bytes:
                raise CronTaskError(
                    f"cron task {definition.name!r} would hand over {length:,} bytes of JSON, and max_payload_bytes is"
                    f" {self._most_bytes:,}; store the bulk elsewhere and say where it is"
                )
        if row is None or row.task.what_is_sent != sent or _target(row.task) != _target(definition):
            self._check_fits(definition)
        event_type, named = definition.event_type, definition.secret_fields
        model = None if event_type is None else self._catalog.model_for(event_type)
        is_for_same = row is not None and model is None and _target(row.task) == _target(definition)
        if row is not None and (hands_on or (named is None and is_for_same)):
            named = (*(named or ()), *secrets_of(self._catalog, row.task))
        names = tuple(dict.fromkeys((*(() if model is None else secret_fields(model)), *(named or ()))))
        if len(",".join(names)) > LONGEST_HEADER:
            raise CronTaskError(
                f"the secret fields of cron task {definition.name!r}, with those of its type's model and those it had"
                f" before, have more than {LONGEST_HEADER:,} characters; name fewer, or name them by their last part"
            )
        return definition.model_copy(update={"secret_fields": names if model is not None else names or None})

    def _check_fits(self, definition: CronDefinition) -> None:
        if definition.event_type is None:
            return
        try:
            self._catalog.check_payload(definition.event_type, definition.payload)
        except InvalidPayloadError as error:
            raise CronTaskError(f"cron task {definition.name!r} cannot be: {error}") from error

    def read(self, name: str) -> CronRow | None:
        """Return a task's row, None when there is no such task."""
        found = self._tasks.read([name])
        return found[0] if found else None


def known(row: CronRow | None, name: str) -> CronRow:
    """Return a row that is there.

    Raises:
        NotFoundError: If it is not.
    """
    if row is None:
        raise NotFoundError(f"there is no cron task {name!r}; eventsys cron ls shows all")
    return row


def secrets_of(catalog: Catalog, task: CronTask) -> tuple[str, ...]:
    """Return the secret fields of what a task hands over: those that it, or the model of its type, names."""
    model = None if task.event_type is None else catalog.model_for(task.event_type)
    return (*(task.secret_fields or ()), *(() if model is None else secret_fields(model)))


def _target(definition: CronDefinition) -> tuple[str | None, str | None]:
    return definition.event_type, definition.actor


def _told(change: Change, now_ms: int) -> list[Step]:
    if not change.event_type:
        return []
    task = change.definition
    payload = CronTaskChanged(
        task=task.name, schedule=task.schedule, timezone=task.timezone, event_type=task.event_type, actor=task.actor,
        paused=change.is_paused,
    )  # fmt: skip
    return [cron_event_step(change.event_type, payload, now_ms=now_ms)]
