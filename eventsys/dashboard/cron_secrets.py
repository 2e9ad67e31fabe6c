"""Cron tasks without what is secret in their payloads, where this process knows the model of their type."""

from __future__ import annotations

from typing import Any

from eventsys.errors import NotFoundError
from eventsys.model.cron_task import CronTask
from eventsys.model.masking import MASK, masked_payload
from eventsys.service import EventService


def shown_task(bus: EventService, task: CronTask) -> CronTask:
    """Return a task as it may be shown: with asterisks in place of what is secret."""
    model = None if task.event_type is None else bus.catalog.model_for(task.event_type)
    return task if model is None else task.model_copy(update={"payload": masked_payload(model, task.payload)})


def whole_payload(bus: EventService, name: str, payload: Any) -> Any:
    """Return a payload as it is to be kept: where it has the asterisks that were shown, with what stood there.

    Who looks at a task, changes something else of it and sends it back must not make asterisks of its secrets.

    Args:
        bus: The service of the bus.
        name: The task; where there is none, the payload is what it says.
        payload: What was sent.
    """
    if not _has_mask(payload):
        return payload
    try:
        return _restored(payload, bus.cron.get(name).payload)
    except NotFoundError:
        return payload


def _has_mask(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(_has_mask(one) for one in (value.values() if isinstance(value, dict) else value))
    return bool(value == MASK)


def _restored(sent: Any, kept: Any) -> Any:
    if isinstance(sent, dict) and isinstance(kept, dict):
        return {name: _restored(value, kept.get(name, value)) for name, value in sent.items()}
    if isinstance(sent, list) and isinstance(kept, list):
        return [_restored(value, kept[at] if at < len(kept) else value) for at, value in enumerate(sent)]
    return kept if sent == MASK else sent
