"""The form of a cron task: a task as text, text as a task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from eventsys.dashboard.room import MOST_OF_ALL
from eventsys.dashboard.schema_form import object_in
from eventsys.errors import CronTaskError, InvalidPayloadError
from eventsys.model.cron_schedule import CronSchedule
from eventsys.model.cron_task import CronTask
from eventsys.model.durations import format_duration
from eventsys.model.priority import Priority

#: Ticks that are shown before a task is made.
SHOWN_TICKS = 5

_PLAIN = ("schedule", "timezone", "event_type", "source", "actor", "queue", "overlap")
_LENGTHS = ("catch_up", "jitter", "run_timeout")
_PERHAPS = ("max_runs", "max_retries")

#: Fields of a task that may be longer than a page has room for; `keeps` names those that its form was shown without.
MAY_BE_LONG = ("payload", "secret_fields", "source", "actor_args", "actor_kwargs")


def text_of(task: CronTask) -> dict[str, str]:
    """Return a task as the fields of its form."""
    plain = {name: str(getattr(task, name) or "") for name in _PLAIN}
    lengths = {name: format_duration(getattr(task, name)) for name in _LENGTHS}
    perhaps = {name: "" if getattr(task, name) is None else str(getattr(task, name)) for name in _PERHAPS}
    return {
        **plain, **lengths, **perhaps,
        "name": task.name,
        "priority": task.priority.name.lower(),
        "payload": _written(task.payload, indent=2) if task.payload else "",
        "actor_args": _written(list(task.actor_args)) if task.actor_args else "",
        "actor_kwargs": _written(task.actor_kwargs) if task.actor_kwargs else "",
        "secret_fields": ", ".join(task.secret_fields or ()),
        "catch_up_all": "yes" if task.catch_up_all else "",
        "ends_at": "" if task.ends_at is None else _shown_moment(task.ends_at),
        "retry_delay": "" if task.retry_delay is None else format_duration(task.retry_delay),
    }  # fmt: skip


def _written(value: Any, indent: int | None = None) -> str:
    """Return JSON to be edited: letters that hide or reorder others are escapes, which mean the same in JSON."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > MOST_OF_ALL:
        return text  # no form has room for it, and making it readable takes as long as it is
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text)


def _shown_moment(moment: datetime) -> str:
    """Return a moment as an input for date and time takes it, with seconds where it has some."""
    there = moment.astimezone(UTC).replace(tzinfo=None)
    return there.isoformat(timespec="milliseconds" if there.microsecond else "seconds" if there.second else "minutes")


def fields_in(sent: Mapping[str, str]) -> dict[str, Any]:
    """Return what `CronService.create` and `update` are given: all that the form has, set or back to its default.

    What the form was shown without is not given, so that it stays what it is.

    Raises:
        CronTaskError: If a field cannot be read.
        InvalidPayloadError: If the payload is no JSON object.
    """
    text = {name: value.strip() for name, value in sent.items()}
    given: dict[str, Any] = {
        "schedule": text.get("schedule", ""),
        "timezone": text.get("timezone") or "UTC",
        "event_type": text.get("event_type") or None,
        "actor": text.get("actor") or None,
        "source": text.get("source", ""),
        "overlap": text.get("overlap") or "skip",
        "catch_up_all": text.get("catch_up_all") == "yes",
        "ends_at": _moment(text.get("ends_at", "")),
        "retry_delay": text.get("retry_delay") or None,
        "payload": object_in(text["payload"]) if text.get("payload") else {},
        "actor_args": _list(text.get("actor_args", "")),
        "actor_kwargs": object_in(text["actor_kwargs"]) if text.get("actor_kwargs") else {},
        "secret_fields": _names(text["secret_fields"]) if "secret_fields" in text else None,
    }
    if text.get("priority"):
        given["priority"] = _priority(text["priority"])
    given.update({name: text.get(name) or CronTask.model_fields[name].default for name in (*_LENGTHS, "queue")})
    given.update({name: _count(name, text.get(name, "")) for name in _PERHAPS})
    if given["event_type"] is not None:
        # What an actor is sent is nothing that an event has.
        given = {name: value for name, value in given.items() if name not in {"actor_args", "actor_kwargs", "queue"}}
    kept = kept_in(sent)
    return {name: value for name, value in given.items() if name not in kept}


def kept_in(sent: Mapping[str, str]) -> set[str]:
    """Return which fields a form was shown without, as they were too long for it."""
    return set(sent.get("keeps", "").split()).intersection(MAY_BE_LONG)


def next_ticks(expression: str, timezone: str, now: datetime, count: int = SHOWN_TICKS) -> list[datetime]:
    """Return when a task would run next, `count` times or as often as it is due.

    Raises:
        InvalidScheduleError: If the schedule or the zone cannot be.
    """
    schedule, found = CronSchedule(expression, timezone), [now]
    while len(found) <= count:
        following = schedule.next_after(found[-1])
        if following is None:
            break
        found.append(following)
    return found[1:]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _list(text: str) -> list[Any]:
    if not text:
        return []
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidPayloadError(f"the actor's arguments are no JSON: {error}") from error
    if not isinstance(found, list):
        raise InvalidPayloadError("the actor's arguments are a JSON list, such as [1, 2]")
    return found


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise CronTaskError(f"{text[:40]!r} is no date and time, such as 2026-12-24T18:00") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _priority(text: str) -> Priority:
    try:
        return Priority[text.upper()]
    except KeyError as error:
        raise CronTaskError(f"{text[:40]!r} is no priority; there are low, normal, high, critical") from error


def _count(name: str, text: str) -> int | None:
    try:
        return int(text) if text else None
    except ValueError as error:
        raise CronTaskError(f"{name} is a whole number, and {text[:40]!r} is none") from error
