"""What the calls that publish take, and what is said where something else is given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any, TypedDict

from eventsys.model.durations import DurationLike
from eventsys.model.event import Event


class ScheduledFields(TypedDict, total=False):
    """What may be said of an event besides its type and payload; see `EventService.publish`."""

    source: str
    priority: int
    id: str | None
    time: datetime | None
    version: int | None
    correlation_id: str | None
    caused_by: Event[Any] | None
    headers: Mapping[str, str] | None
    idempotency_key: str | None
    window: DurationLike | None
    retry_delay: DurationLike | None
    expire_after: DurationLike | None


class Fields(ScheduledFields, total=False):
    """The same where nothing else says how often it is tried again."""

    max_retries: int | None


_FIELDS = ("event_type", "payload", *Fields.__optional_keys__)
_LATER = ("at", "delay", "key", "when_taken")

#: What each call takes.
_KNOWN = {
    "publish": (*_FIELDS, "immediately"),
    "apublish": (*_FIELDS, "immediately"),
    "publish_async": _FIELDS,
    "publish_many": _FIELDS,
    "schedule": (*_FIELDS, *_LATER, "immediately"),
    "schedule_many": (*_FIELDS, *_LATER),
}

#: How alike two names are, from 0 to 1, for one to be a slip of the other.
_ALIKE = 0.5


def arguments_of(call: str, given: Mapping[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Return the type, the payload and the other fields of one of many events.

    Raises:
        TypeError: If it has no type, or something that the call does not know.
    """
    fields = dict(given)
    if "event_type" not in fields:
        check_known(call, fields)
        raise TypeError(f"{call}() needs the 'event_type' of each event; one has {sorted(fields)}")
    return fields.pop("event_type"), fields.pop("payload", None), fields


def check_known(call: str, given: Mapping[str, Any]) -> None:
    """Refuse what a call does not know.

    Raises:
        TypeError: If something is given that the call does not take: it names what was meant most likely.
    """
    known = _KNOWN[call]
    unknown = next((name for name in given if name not in known), None)
    if unknown is None:
        return
    near = get_close_matches(str(unknown), known, n=1, cutoff=_ALIKE)
    if unknown in _LATER:
        advice = "schedule() keeps an event for later"
    elif near:
        advice = f"did you mean {near[0]!r}?"
    else:
        advice = f"it takes {', '.join(sorted(known))}"
    raise TypeError(f"{call}() takes no argument {ascii(unknown)[:60]}; {advice}")
