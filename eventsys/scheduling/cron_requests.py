"""What is asked of the cron service, checked: definitions, and times in the future."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from dramatiq import Actor
from pydantic import BaseModel

from eventsys.broker.broker import EventBroker
from eventsys.clock import first_ms
from eventsys.errors import CronTaskError, InvalidEventError
from eventsys.model.cron_task import CronDefinition
from eventsys.model.durations import DurationLike, to_milliseconds
from eventsys.model.masking import secret_fields
from eventsys.model.payloads import ANY_LENGTH, encode_payload
from eventsys.scheduling.due_times import LONGEST_DELAY_MS

#: What means something for a task that sends a message, and for one that publishes an event.
_OF_ACTOR, _OF_EVENT = ("actor_args", "actor_kwargs", "queue"), ("payload",)


def definition_of(
    broker: EventBroker,
    name: str,
    schedule: str,
    event_type: str | None,
    payload: dict[str, Any] | BaseModel | None,
    actor: Actor[..., Any] | str | None,
    options: dict[str, Any],
) -> CronDefinition:
    """Return the definition of a task, with the queue of its actor if this process knows that.

    Raises:
        InvalidScheduleError: If the schedule or the zone cannot be.
        CronTaskError: If something else cannot be.
    """
    sent = {} if payload is None else payload
    given = with_payload({**options, "name": name, "schedule": schedule, "event_type": event_type, "payload": sent})
    if actor is not None:
        given = {"queue": "default", **with_actor(broker, {**given, "actor": actor})}
    return checked(CronDefinition.make(**given), {**options, "payload": payload})


def checked(definition: CronDefinition, given: dict[str, Any]) -> CronDefinition:
    """Return a definition if all that was given means something for what it does, without what else has no effect.

    What a task handed over before it was to do something else is taken out: it would be shown as if it were used.

    Raises:
        CronTaskError: If something would be handed over that an event, or an actor, does not take.
    """
    name, actor = definition.name, definition.actor
    meaningless = _OF_ACTOR if actor is None else _OF_EVENT
    for option in meaningless:
        if given.get(option):
            does = f"publishes {definition.event_type!r}" if actor is None else f"sends a message to actor {actor!r}"
            other, way = ("an actor", "actor=") if actor is None else ("an event", "event_type=")
            raise CronTaskError(
                f"cron task {name!r} {does}, and {option}= is for {other}; leave it out, or give {way} instead"
            )
    fields = CronDefinition.model_fields
    return definition.model_copy(
        update={option: fields[option].get_default(call_default_factory=True) for option in meaningless}
    )


def with_actor(broker: EventBroker, given: dict[str, Any]) -> dict[str, Any]:
    """Return what is given with the name of its actor, and, where no queue is, with that one's if it is known here."""
    actor = given.get("actor")
    known = broker.actors.get(actor) if isinstance(actor, str) else actor
    if not isinstance(known, Actor):
        return given
    queue = given.get("queue")
    return {**given, "queue": known.queue_name if queue is None else queue, "actor": known.actor_name}


def with_payload(given: dict[str, Any]) -> dict[str, Any]:
    """Return what is given with a payload that is a model as JSON values, and what that model calls secret named.

    Raises:
        CronTaskError: If the model does not read back as what it writes.
    """
    payload = given.get("payload")
    if not isinstance(payload, BaseModel):
        return given
    try:
        written = encode_payload(payload, max_bytes=ANY_LENGTH)
    except InvalidEventError as error:
        raise CronTaskError(f"what a cron task publishes will not do: {error}") from error
    names = dict.fromkeys((*(given.get("secret_fields") or ()), *secret_fields(type(payload))))
    secrets = {"secret_fields": tuple(names)} if names else {}
    return {**given, "payload": msgspec.json.decode(written), **secrets}


def due_ms_of(now_ms: int, at: datetime | None, delay: DurationLike | None) -> int:
    """Return when something is due, in milliseconds since 1970.

    Raises:
        CronTaskError: If neither or both are given, or the time is past, has no time zone, or is too far away.
    """
    if (at is None) == (delay is None):
        raise CronTaskError("say when: either at=datetime or delay='10m'")
    if at is None:
        assert delay is not None
        due_ms = now_ms + max(1, to_milliseconds(delay))
    elif not isinstance(at, datetime) or at.tzinfo is None:
        raise CronTaskError(f"at={at} is no datetime with a time zone; use datetime.now(timezone.utc) + ...")
    else:
        due_ms = first_ms(at)
        if due_ms < now_ms:
            raise CronTaskError(f"at={at.isoformat()} is past; do it now, or give a later time")
    if due_ms - now_ms > LONGEST_DELAY_MS:
        raise CronTaskError("what is asked for later may be ten years away at most; give an earlier time")
    return due_ms
