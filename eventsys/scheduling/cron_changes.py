"""What a change of a cron task writes: decided from the row as it was read, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from eventsys.clock import to_ms
from eventsys.errors import CronTaskError
from eventsys.model.catalog import CRON_TASK_CREATED, CRON_TASK_DELETED, CRON_TASK_UPDATED
from eventsys.model.cron_task import CronDefinition, TaskLine, TaskState
from eventsys.scheduling.cron_runs import arming
from eventsys.store.cron_tasks import CronRow

#: Why a task is paused that no process declares any more; declared again, it is resumed.
UNDECLARED = "no process has declared it for an hour"

_KEEP, _DISARM = ("keep",), ("disarm",)

#: Why a task has ended that is due no more.
_OVER = "its last tick has come"

#: What decides when a task is due. Anything else can change without another next tick.
_TIMING = ("schedule", "timezone", "jitter", "ends_at", "max_runs")


class Change(NamedTuple):
    """A change of one task.

    Attributes:
        event_type: What tells of it.
        definition: The task, as it then is.
        is_paused: Whether it then is paused.
        row: The fields to set; None deletes the task.
        arming: What becomes of its next tick.
    """

    event_type: str
    definition: CronDefinition
    is_paused: bool
    row: dict[str, str] | None
    arming: tuple[Any, ...]


def created(definition: CronDefinition, now: datetime, *, is_declared: bool, since_ms: int | None = None) -> Change:
    """Return what creates a task; one that code declares still after its end has ended, as it has where it ran.

    Where Redis has lost data, `since_ms` says since when code declares it.

    Raises:
        CronTaskError: If code does not declare it, and it would never be due.
    """
    tick = definition.next_tick(now) if is_declared else first_tick(definition, now)
    row = {
        **_written(definition, now),
        "state": str(TaskState.ENDED if tick is None else TaskState.ACTIVE),
        "reason": _OVER if tick is None else "",
        "created_ms": str(to_ms(now)),
        "declared": "1" if is_declared else "0",
        **_declaration(definition, now, since_ms),
    }
    how = _DISARM if tick is None else ("arm", arming(definition, tick))
    return Change(CRON_TASK_CREATED, definition, False, row, how)


def first_tick(definition: CronDefinition, now: datetime) -> datetime:
    """Return the first tick of a task that is made at a moment.

    Raises:
        CronTaskError: If there would be none.
    """
    tick = definition.next_tick(now)
    if tick is None:
        raise CronTaskError(
            f"cron task {definition.name!r} would never be due: ends_at={_written_moment(definition.ends_at)} is before"
            " its first tick; give a later time, or leave it out"
        )
    return tick


def check_end(row: CronRow, definition: CronDefinition, now: datetime) -> None:
    """Refuse an end that is past, for a task that did not have it: it would only end at once.

    Raises:
        CronTaskError: If it is.
    """
    end = definition.ends_at
    if end is not None and end < now and end != row.task.ends_at:
        raise CronTaskError(
            f"cron task {definition.name!r} cannot end in the past: ends_at={_written_moment(end)}; give a later time,"
            " or pause or delete the task"
        )


def _written_moment(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat()


def changed(
    row: CronRow, definition: CronDefinition, now: datetime, *, declaration: Mapping[str, str] | None = None
) -> Change:
    """Return what gives a task another definition; `declaration` are the fields that tell of it, if code declares it.

    A tick that has come, and that nobody has taken yet, is the next one still where the new definition has it too: a
    deploy declares before it works, and is not to cost the run that fell due meanwhile.
    """
    fields = {**_written(definition, now), **(declaration or {})}
    is_paused = row.task.state is TaskState.PAUSED
    keeps = all(getattr(row.task, name) == getattr(definition, name) for name in _TIMING)
    if is_paused or keeps:
        return Change(CRON_TASK_UPDATED, definition, is_paused, fields, _KEEP)
    due = row.task.next_tick_at
    is_kept = due is not None and due <= now and definition.has_tick(due)
    state, how = _armed(row, definition, due if is_kept else definition.next_tick(now))
    return Change(CRON_TASK_UPDATED, definition, False, fields | state, how)


def paused(row: CronRow, now: datetime, reason: str) -> Change | None:
    """Return what pauses a task; None where it is paused or has ended."""
    if row.task.state is not TaskState.ACTIVE:
        return None
    fields = {"state": str(TaskState.PAUSED), "reason": reason, "updated_ms": str(to_ms(now))}
    return Change(CRON_TASK_UPDATED, row.task, True, fields, _DISARM)


def resumed(row: CronRow, now: datetime) -> Change | None:
    """Return what resumes a task with its next tick from now on; None where it is not paused."""
    if row.task.state is not TaskState.PAUSED:
        return None
    state, how = _armed(row, row.task, row.task.next_tick(now))
    fields = {"updated_ms": str(to_ms(now))} | state
    return Change(CRON_TASK_UPDATED, row.task, False, fields, how)


def repaired(row: CronRow, now: datetime) -> Change | None:
    """Return what gives an active task the tick that it lost, under a new name; None where it is not active.

    The tick it waited for is kept: should its message still be on the way, that one no longer counts. What its row
    calls its tick and is none of its schedule is not: it would be signed with the message.
    """
    if row.task.state is not TaskState.ACTIVE:
        return None
    tick = row.task.next_tick_at
    if tick is not None and row.task.has_tick(tick):
        return Change("", row.task, False, {}, ("arm", arming(row.task, tick)))
    state, how = _armed(row, row.task, row.task.next_tick(now))
    return Change("", row.task, False, state, how)


def declared(row: CronRow, definition: CronDefinition, now: datetime, *, since_ms: int | None = None) -> Change | None:
    """Return what a declaration changes about a task; None where it was applied before.

    What an operator has edited since stays until the declaration itself changes. Where Redis has lost data, `since_ms`
    says since when code declares it: what is declared since later was not lost, or is there again, and stays.
    """
    gives_way = since_ms is not None and row.declared_ms > since_ms
    if row.declared_hash != definition.declaration_hash and not gives_way:
        return changed(row, definition, now, declaration=_declaration(definition, now, since_ms))
    return resumed(row, now) if row.task.reason == UNDECLARED else None


def signed_anew(row: CronRow, now: datetime) -> Change | None:
    """Return what has the first key sign what an older one signed: a task as it is, with the tick it waits for.

    None where the first signed the task, and its tick has come: that is on its way, and read while the older key is
    known still. The tick may be by an older key where the task is not, since any process arms it.
    """
    task, tick = row.task, row.task.next_tick_at
    fields = {} if row.older is None else {"definition": row.older, "line": _line(task)}
    is_to_come = tick is not None and tick + task.put_off(tick) > now and task.has_tick(tick)
    if tick is None or not is_to_come or task.state is not TaskState.ACTIVE:
        return Change("", task, task.state is TaskState.PAUSED, fields, _KEEP) if fields else None
    return Change("", task, False, fields, ("arm", arming(task, tick)))


def deleted(row: CronRow) -> Change:
    """Return what deletes a task."""
    return Change(CRON_TASK_DELETED, row.task, row.task.state is TaskState.PAUSED, None, _DISARM)


def _armed(row: CronRow, definition: CronDefinition, tick: datetime | None) -> tuple[dict[str, str], tuple[Any, ...]]:
    """Return the state of a task that is to run by its definition from a tick on, and what arms it."""
    if definition.max_runs is not None and row.task.runs >= definition.max_runs:
        return {"state": str(TaskState.ENDED), "reason": f"its {definition.max_runs} runs are done"}, _DISARM
    if tick is None:
        return {"state": str(TaskState.ENDED), "reason": _OVER}, _DISARM
    return {"state": str(TaskState.ACTIVE), "reason": ""}, ("arm", arming(definition, tick))


def _written(definition: CronDefinition, now: datetime) -> dict[str, str]:
    return {
        "definition": definition.model_dump_json(include=set(CronDefinition.model_fields)),
        "line": _line(definition),
        "updated_ms": str(to_ms(now)),
    }


def _declaration(definition: CronDefinition, now: datetime, since_ms: int | None) -> dict[str, str]:
    return {
        "declared_hash": definition.declaration_hash,
        "declared_ms": str(to_ms(now) if since_ms is None else since_ms),
    }


def _line(definition: CronDefinition) -> str:
    return definition.model_dump_json(include=CronDefinition.model_fields.keys() & TaskLine.model_fields.keys())
