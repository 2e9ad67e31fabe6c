"""How a run of a cron task begins and ends: steps, made of a task and a tick."""

from __future__ import annotations

import json
import secrets
from datetime import datetime
from typing import Any

from dramatiq import Message

from eventsys.bus.drafting import Drafter
from eventsys.clock import to_ms
from eventsys.middleware.periodic import told_end
from eventsys.model.builtin_payloads import CronTaskExecuted
from eventsys.model.catalog import CRON_TASK_EXECUTED
from eventsys.model.cron_task import RUN_ID_PREFIX, CronDefinition, CronRun, RunOutcome
from eventsys.model.durations import to_milliseconds
from eventsys.model.masking import SECRET_OPTION
from eventsys.model.texts import SECRET_HEADER
from eventsys.store.cron_events import cron_event_step
from eventsys.store.keys import CRON_QUEUE
from eventsys.store.steps import Step, delayed_step, message_step

#: The actor that looks at ticks, and at the ends of runs.
CRON_ACTOR = "eventsys.cron"

#: The lane of its messages: high, since what they begin waits for them.
_LANE = 8


def cron_message(verb: str, *arguments: str | int) -> Step:
    """Return the step that has the cron actor do something."""
    message: Message[Any] = Message(
        queue_name=CRON_QUEUE, actor_name=CRON_ACTOR, args=(verb, *arguments), kwargs={}, options={}
    )
    return message_step(CRON_QUEUE, _LANE, {"m": message.encode().decode()})


def cron_message_at(entry_id: str, due_ms: int, verb: str, *arguments: str | int) -> Step:
    """Return the step that has the cron actor do something later; `entry_id` is known to the scripts."""
    return delayed_step(entry_id, due_ms, _LANE, cron_message(verb, *arguments), queue=CRON_QUEUE)


def arming(task: CronDefinition, tick: datetime) -> dict[str, Any]:
    """Return what has a task wait for a tick, under a name of its own."""
    armed, due_ms = secrets.token_hex(8), to_ms(tick + task.put_off(tick))
    return {"armed": armed, "tick_ms": to_ms(tick), "due_ms": due_ms, "step": waiting(task, tick, armed)}


def waiting(task: CronDefinition, tick: datetime, armed: str) -> Step:
    """Return the step that has a tick looked at when it is due.

    Its message says when the tick is, since a message is signed and the row of its task is not.
    """
    due_ms = to_ms(tick + task.put_off(tick))
    return cron_message_at(f"cron-tick:{task.name}", due_ms, "tick", task.name, armed, to_ms(tick))


def manual_run_id() -> str:
    """Return the id of a run by hand."""
    return f"by-hand-{secrets.token_hex(6)}"


def starting(task: CronDefinition, tick: datetime | None, run_id: str, drafter: Drafter, now_ms: int) -> dict[str, Any]:
    """Return what starts a run, as `cron_start` in `lua/includes/cron_steps.lua` reads it.

    Raises:
        InvalidEventError: If the task's event can no longer be published.
    """
    target_id = f"{RUN_ID_PREFIX}{task.name}:{run_id}"
    executed = CronTaskExecuted(task=task.name, run_id=run_id, scheduled_for=tick, manual=tick is None)
    told = cron_event_step(CRON_TASK_EXECUTED, executed, now_ms=now_ms, correlation_id=target_id)
    make = _event if task.actor is None else _message
    return {
        "name": task.name,
        "run_id": run_id,
        "scheduled_ms": False if tick is None else to_ms(tick),
        "target_id": target_id,
        "timeout_ms": to_milliseconds(task.run_timeout),
        "max_runs": task.max_runs or 0,
        "publish": make(task, tick, run_id, target_id, drafter),
        "told": told,
        "check": cron_message_at(f"cron-end:{target_id}", 0, "end", task.name, run_id),
    }


def queue_of(task: CronDefinition) -> str:
    """Return the queue that the runs of a task with an actor are sent to; perhaps nobody reads it."""
    return task.queue or "default"


def ending(run: CronRun, outcome: RunOutcome, error: str, now_ms: int) -> Step:
    """Return the step that ends a run, and tells of it."""
    began_ms = now_ms if run.started_at is None else to_ms(run.started_at)
    told = told_end(
        run.task, run.run_id, run.scheduled_for, seconds=max(0, now_ms - began_ms) / 1000, now_ms=now_ms,
        error=error if outcome is RunOutcome.FAILED else None, chain_id=run.target_id, cause_id=run.target_id,
    )  # fmt: skip
    facts = {"name": run.task, "run_id": run.run_id, "outcome": str(outcome), "error": error, "told": told}
    return ("cron_end", facts)


def record(run_id: str, tick: datetime, outcome: RunOutcome, error: str, now_ms: int) -> str:
    """Return what the history keeps of a tick that had no run."""
    return json.dumps(
        {"run_id": run_id, "scheduled_ms": to_ms(tick), "ended_ms": now_ms, "outcome": str(outcome), "error": error}
    )


def _event(task: CronDefinition, tick: datetime | None, run_id: str, target_id: str, drafter: Drafter) -> Step:
    assert task.event_type is not None
    headers = {"cron-task": task.name, "cron-run": run_id}
    if tick is not None:
        headers["cron-tick"] = tick.isoformat()
    if task.secret_fields:  # whoever begins the run may not know the model
        headers[SECRET_HEADER] = ",".join(task.secret_fields)
    draft = drafter.draft(
        task.event_type, task.payload, source=task.source, priority=task.priority, id=target_id, headers=headers,
        correlation_id=target_id, max_retries=task.max_retries, retry_delay=task.retry_delay,
    )  # fmt: skip
    return draft.step


def _message(task: CronDefinition, tick: datetime | None, run_id: str, target_id: str, drafter: Drafter) -> Step:  # noqa: ARG001
    assert task.actor is not None
    scheduled_ms = None if tick is None else to_ms(tick)
    options: dict[str, Any] = {"cron": {"task": task.name, "run_id": run_id, "scheduled_ms": scheduled_ms}}
    options["chain"] = [target_id, None, 0]
    if task.secret_fields:
        options[SECRET_OPTION] = list(task.secret_fields)
    if task.max_retries is not None:
        options["max_retries"] = task.max_retries
    if task.retry_delay is not None:
        options["min_backoff"] = options["max_backoff"] = max(1, to_milliseconds(task.retry_delay))
    message: Message[Any] = Message(
        queue_name=queue_of(task), actor_name=task.actor, args=task.actor_args, kwargs=task.actor_kwargs,
        options=options, message_id=target_id,
    )  # fmt: skip
    return message_step(message.queue_name, int(task.priority), {"m": message.encode().decode()})
