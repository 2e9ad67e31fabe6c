"""The ticks of periodic actors: each takes effect once, and what becomes of it is told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dramatiq import Broker, Message, MessageProxy, Middleware

from eventsys.broker.broker import EventBroker
from eventsys.broker.endings import described
from eventsys.broker.messages import PlainMessage
from eventsys.broker.staging import OWN_ACTORS
from eventsys.clock import from_ms, to_ms
from eventsys.model.builtin_payloads import CronTaskChanged, CronTaskCompleted, CronTaskExecuted, CronTaskFailed
from eventsys.model.catalog import (
    CRON_TASK_COMPLETED,
    CRON_TASK_CREATED,
    CRON_TASK_EXECUTED,
    CRON_TASK_FAILED,
    CRON_TASK_UPDATED,
)
from eventsys.model.identifiers import new_event_id
from eventsys.store.cron_events import cron_event_step
from eventsys.store.steps import Step, packed

#: The resolution of periodiq: two schedulers that wake within one minute mean the same tick.
MINUTE_MS = 60_000

#: How wrong a scheduler's clock may be. What it says beyond is not believed, and the bus's own minute counts instead.
MOST_WRONG_MS = 6 * 3600 * 1000


class Periodic(Middleware):
    """Lets `periodiq`, as many as you like, send the ticks of actors declared with `periodic=cron(...)`.

    It takes the place of `periodiq.PeriodiqMiddleware`, which drops what a worker begins more than 30 s late, retries
    too. Here nothing is dropped by its age; give the actor Dramatiq's `max_age` where a late run is worth nothing. A
    tick is claimed in the step that sends its message, so a second scheduler's message for it is not sent, and no claim
    outlives a message that was lost on the way. A tick that a wrong clock sends early waits until it is due.

    The application's actors are told of by `cron.task.*` events: `executed` in the step that sends the message,
    `completed` or `failed` in the commit that ends it, `created` and `updated` with the first tick under new fields.
    """

    #: The kinds of messages that this does something for, when they carry no options and do not fail: none.
    concerns = ()

    @property
    def actor_options(self) -> set[str]:
        """The option of plain actors that this reads."""
        return {"periodic"}

    def before_enqueue(self, broker: Broker, message: Message[Any], delay: int | None) -> None:  # noqa: ARG002
        """Note which tick a scheduler's message is for, with the events to tell of it; the broker claims it."""
        options = message.options
        if "scheduled_at" not in options or "tick_ms" in options or not isinstance(broker, EventBroker):
            return
        actor = broker.actors.get(message.actor_name)
        scheduled_ms = _read_ms(options["scheduled_at"])
        if actor is None or "periodic" not in actor.options or scheduled_ms is None:
            return
        now_ms = broker.clock.now_ms()
        tick_ms = tick_of(scheduled_ms, now_ms)
        options["tick_ms"] = tick_ms
        if tick_ms > now_ms:
            options.setdefault("due_ms", tick_ms)
        options["claim"] = _claim(message, str(actor.options["periodic"]), tick_ms, now_ms)

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: Any = None,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> None:
        """Tell how the run of a tick, or of a cron task, ended, unless it is tried again."""
        if not isinstance(broker, EventBroker) or not isinstance(message, PlainMessage) or message.attempt is None:
            return
        is_tick = "tick_ms" in message.options and not message.actor_name.startswith(OWN_ACTORS)
        if message.attempt.retry is not None or not (is_tick or "cron" in message.options):
            return
        step = broker.work.sealed(_end(message, exception, broker.clock.now_ms()))
        message.attempt.add(step, len(packed(step)))

    after_skip_message = after_process_message


def tick_of(scheduled_ms: int, now_ms: int) -> int:
    """Return the minute, in ms since 1970, that a scheduler means; the bus's own where its clock cannot be believed."""
    believed_ms = scheduled_ms if abs(scheduled_ms - now_ms) <= MOST_WRONG_MS else now_ms
    return believed_ms // MINUTE_MS * MINUTE_MS


def _read_ms(scheduled_at: Any) -> int | None:
    try:
        moment = datetime.fromisoformat(scheduled_at)
    except (TypeError, ValueError):
        return None
    return to_ms(moment if moment.tzinfo is not None else moment.astimezone())


def _claim(message: Message[Any], fields: str, tick_ms: int, now_ms: int) -> dict[str, Any]:
    """Return what `tick_step` wants to know, and give the message the chain of the event that tells of it."""
    name, run_id = message.actor_name, message.message_id
    if name.startswith(OWN_ACTORS):
        return {"tick_ms": tick_ms, "fields": fields}
    executed_id = new_event_id(now_ms)
    executed = CronTaskExecuted(task=name, run_id=run_id, scheduled_for=from_ms(tick_ms))
    message.options.setdefault("chain", [executed_id, executed_id, 0])
    changed = CronTaskChanged(task=name, schedule=fields, actor=name, paused=False)
    return {
        "tick_ms": tick_ms,
        "fields": fields,
        "told": [cron_event_step(CRON_TASK_EXECUTED, executed, now_ms=now_ms, event_id=executed_id)],
        "if_new": cron_event_step(CRON_TASK_CREATED, changed, now_ms=now_ms),
        "if_changed": cron_event_step(CRON_TASK_UPDATED, changed, now_ms=now_ms),
    }


def _end(message: PlainMessage, exception: BaseException | None, now_ms: int) -> Step:
    options = message.options
    chain_id, cause_id, _ = options.get("chain") or (None, None, 0)
    run = options.get("cron") or {
        "task": message.actor_name, "run_id": message.message_id, "scheduled_ms": options.get("tick_ms")
    }  # fmt: skip
    error = None
    if message.failed or exception is not None:
        error = "it was rejected" if exception is None else described(exception)[0]
    scheduled_ms = run["scheduled_ms"]
    told = told_end(
        run["task"], run["run_id"], None if scheduled_ms is None else from_ms(scheduled_ms),
        seconds=message.took_us / 1e6, now_ms=now_ms, error=error, chain_id=chain_id, cause_id=cause_id,
    )  # fmt: skip
    if "cron" not in options:
        return told
    outcome = "completed" if error is None else "failed"
    facts = {"name": run["task"], "run_id": run["run_id"], "outcome": outcome, "error": error or "", "told": told}
    return ("cron_end", facts)


def told_end(
    task: str,
    run_id: str,
    scheduled_for: datetime | None,
    *,
    seconds: float,
    now_ms: int,
    error: str | None,
    chain_id: str | None,
    cause_id: str | None,
) -> Step:
    """Return the event that tells how a run ended: well, unless there is an `error`."""
    facts: dict[str, Any] = {"task": task, "run_id": run_id, "scheduled_for": scheduled_for}
    facts["duration_seconds"] = seconds
    payload = CronTaskCompleted(**facts) if error is None else CronTaskFailed(**facts, error=error)
    event_type = CRON_TASK_COMPLETED if error is None else CRON_TASK_FAILED
    return cron_event_step(event_type, payload, now_ms=now_ms, correlation_id=chain_id, causation_id=cause_id)
