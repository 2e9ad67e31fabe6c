"""Cron tasks without what is secret in them, and what comes back with asterisks in its place."""

from __future__ import annotations

from typing import Any

from eventsys.errors import NotFoundError
from eventsys.model.catalog import Catalog
from eventsys.model.cron_task import CronTask
from eventsys.model.masking import has_mask, masked_payload, shown_model, unmasked
from eventsys.scheduling.cron import CronService

#: What of a task may hold secrets.
_MAY_HOLD_SECRETS = ("payload", "actor_args", "actor_kwargs")


def shown_task(catalog: Catalog, task: CronTask) -> CronTask:
    """Return a task as it may be shown: without what it, or the model of its type, calls secret."""
    model = None if task.event_type is None else catalog.model_for(task.event_type)
    shown = shown_model(task)
    return shown.model_copy(update={"payload": masked_payload(model, shown.payload)})


def whole_fields(tasks: CronService, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a task as it is to be kept: where it has the asterisks that were shown, what stood there.

    Who looks at a task, changes something else of it and sends it back must not make asterisks of its secrets.

    Args:
        tasks: All tasks.
        name: The task; where there is none, all is as it is said.
        given: What was said, by the names of `CronService.update`.
    """
    masked = [field for field in _MAY_HOLD_SECRETS if has_mask(given.get(field))]
    if not masked:
        return given
    try:
        kept = tasks.get(name).model_dump(include=set(masked))
    except NotFoundError:
        return given
    return {**given, **{field: unmasked(given[field], _as_json(kept[field])) for field in masked}}


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
