"""What is known of event types beside their figures: their models, who publishes them, and who wants them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from eventsys.errors import NotFoundError
from eventsys.model.patterns import pattern_matches
from eventsys.model.queries import EventFilter
from eventsys.service import EventService
from eventsys.store.metrics_look import MetricsLook

#: Events whose sources are looked at for who publishes a type.
LOOKED_AT = 50


class TypeStanding(BaseModel):
    """An event type that was published, or is registered where the dashboard runs."""

    event_type: str
    version: int
    """Of the payload's shape; 1 where no model is registered."""
    model: str | None
    """The model of its payload, by name; None: none is registered where the dashboard runs."""
    subscribers: list[str]
    """The subscriptions whose pattern it fits, by name."""


class TypeProfile(TypeStanding):
    """The same, with its schema and with who published it lately."""

    payload: dict[str, Any] | None
    """The JSON Schema of its payload; None where no model is registered."""
    publishers: dict[str, int]
    """How many of its newest events, at most 50, each source published; whoever named none is the empty text."""


def standings_of(bus: EventService, look: MetricsLook) -> list[TypeStanding]:
    """Return the types that were ever published, and those registered in this process, by name."""
    declared = [(one.name, one.pattern) for one in bus.subscriptions.declared()]
    return [_standing(bus, name, declared) for name in sorted({*look.measurements.types, *bus.catalog.registered()})]


def profile_of(bus: EventService, look: MetricsLook, event_type: str) -> TypeProfile:
    """Return what is known of one type.

    Args:
        bus: The service of the bus.
        look: Its figures, which tell whether the type was published.
        event_type: The type.

    Raises:
        NotFoundError: If it was never published, and no model is registered for it.
    """
    model, was_published = bus.catalog.model_for(event_type), event_type in look.measurements.types
    if model is None and not was_published:
        raise NotFoundError(f"no event of type {event_type!r} was published, and no model is registered for it")
    declared = [(one.name, one.pattern) for one in bus.subscriptions.declared()]
    return TypeProfile(
        **dict(_standing(bus, event_type, declared)),
        payload=None if model is None else model.model_json_schema(),
        publishers=_publishers(bus, event_type) if was_published else {},
    )


def _standing(bus: EventService, event_type: str, declared: list[tuple[str, str]]) -> TypeStanding:
    model = bus.catalog.model_for(event_type)
    return TypeStanding(
        event_type=event_type,
        version=bus.catalog.version_for(event_type),
        model=None if model is None else model.__name__,
        subscribers=[name for name, pattern in declared if pattern_matches(pattern, event_type)],
    )


def _publishers(bus: EventService, event_type: str) -> dict[str, int]:
    """Return who published the newest events of a type, and how many of them, the busiest first."""
    newest = bus.get_event_records(EventFilter(types=(event_type,), page_size=LOOKED_AT)).items
    found: dict[str, int] = {}
    for one in newest:
        found[one.source] = found.get(one.source, 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))
