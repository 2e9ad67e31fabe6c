"""Events put together from parts that were checked before, without checking them again."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

from pydantic import PydanticUserError

from eventsys.errors import SubscriptionError
from eventsys.model.event import DelayedEvent, Event

E = TypeVar("E", bound=Event[Any])

# Shared by all events made here, which count as having every field given.
_ALL_FIELDS = set(Event.model_fields)
_DELAYED: type[DelayedEvent[Any]] = DelayedEvent[Any]
_DELAYED_FIELDS = set(DelayedEvent.model_fields)
_set = object.__setattr__  # a frozen model refuses assignment; this is how pydantic itself fills one


def assemble_event(event_class: type[E], fields: dict[str, Any]) -> E:
    """Return an event of `event_class` that holds exactly `fields`, unchecked.

    This is the only place where an event is made without pydantic, for the paths that every publish and every
    delivery take. It is pydantic's `model_construct` without its search for defaults, so the result cannot be told
    from a validated event: equal, copied, dumped and pickled alike. A test compares the two.

    Args:
        event_class: `Event` or a class made of it, such as `Event[Notification]`.
        fields: Every field of the class by name, each of its final type. The event keeps this dictionary.
    """
    event = object.__new__(event_class)
    _set(event, "__dict__", fields)
    _set(event, "__pydantic_fields_set__", _ALL_FIELDS)
    _set(event, "__pydantic_extra__", None)
    _set(event, "__pydantic_private__", None)
    return event


def assemble_delayed(fields: dict[str, Any]) -> DelayedEvent[Any]:
    """Return a delayed event with a dictionary as payload that holds exactly `fields`, unchecked, as `assemble_event`.

    Args:
        fields: Every field of the class by name, each of its final type. The event keeps this dictionary.
    """
    event = object.__new__(_DELAYED)
    _set(event, "__dict__", fields)
    _set(event, "__pydantic_fields_set__", _DELAYED_FIELDS)
    _set(event, "__pydantic_extra__", None)
    _set(event, "__pydantic_private__", None)
    return event


@lru_cache(maxsize=1024)
def event_class_for(payload_type: Any) -> type[Event[Any]]:
    """Return the class of events that carry `payload_type`: `Event` itself for dictionaries.

    Raises:
        SubscriptionError: If pydantic cannot validate such a type.
    """
    if is_dictionary(payload_type):
        return Event
    try:
        return Event[payload_type]
    except PydanticUserError as error:
        name = getattr(payload_type, "__name__", payload_type)
        raise SubscriptionError(f"{name} cannot be a payload; use a pydantic model: {error}") from error


def is_dictionary(payload_type: Any) -> bool:
    """Return whether `payload_type` asks for the payload as it came: `dict`, `dict[str, Any]` or `Any`."""
    return payload_type is Any or payload_type is dict or payload_type == dict[str, Any]
