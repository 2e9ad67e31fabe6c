"""Cron tasks without what is secret in their payloads, and payloads that come back with asterisks in its place."""

from __future__ import annotations

from typing import Any

from eventsys.errors import NotFoundError
from eventsys.model.catalog import Catalog
from eventsys.model.cron_task import CronTask
from eventsys.model.masking import has_mask, masked_payload, shown_model, unmasked
from eventsys.scheduling.cron import CronService


def shown_task(catalog: Catalog, task: CronTask) -> CronTask:
    """Return a task as it may be shown: without what it, or the model of its type, calls secret."""
    model = None if task.event_type is None else catalog.model_for(task.event_type)
    shown = shown_model(task)
    return shown.model_copy(update={"payload": masked_payload(model, shown.payload)})


def whole_payload(tasks: CronService, name: str, payload: Any) -> Any:
    """Return a payload as it is to be kept: where it has the asterisks that were shown, with what stood there.

    Who looks at a task, changes something else of it and sends it back must not make asterisks of its secrets.

    Args:
        tasks: All tasks.
        name: The task; where there is none, the payload is what it says.
        payload: What was sent.
    """
    if not has_mask(payload):
        return payload
    try:
        return unmasked(payload, tasks.get(name).payload)
    except NotFoundError:
        return payload
