"""Cron tasks without what is secret in them, and what comes back with asterisks in its place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from eventsys.errors import InvalidPayloadError, NotFoundError
from eventsys.model.catalog import Catalog
from eventsys.model.cron_task import CronTask
from eventsys.model.masking import has_mask, masked_arguments, masked_payload, shown_model, unmasked
from eventsys.scheduling.cron import CronService
from eventsys.scheduling.cron_editor import HANDED_OVER, secrets_of


def shown_task(catalog: Catalog, task: CronTask) -> CronTask:
    """Return a task as it may be shown: without what it, or the model of its type, calls secret."""
    model = None if task.event_type is None else catalog.model_for(task.event_type)
    shown = shown_model(task)
    return shown.model_copy(update={"payload": masked_payload(model, shown.payload)})


def whole_fields(catalog: Catalog, tasks: CronService, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a task as it is to be kept: where it has the asterisks that were shown, what stood there.

    Who looks at a task, changes something else of it and sends it back must not make asterisks of its secrets.

    Args:
        catalog: The models that tell which fields of payloads are secret.
        tasks: All tasks.
        name: The task; there may be none.
        given: What was said, by the names of `CronService.update`.

    Raises:
        InvalidPayloadError: If asterisks stand in place of a secret, and it is not known which, or none is kept.
    """
    masked = [field for field in HANDED_OVER if has_mask(given.get(field))]
    if not masked:
        return given
    task, whole = _task_if_any(tasks, name), dict(given)
    names, event_type = given.get("secret_fields"), given.get("event_type")
    if task is not None:
        shown = shown_task(catalog, task)
        for field in masked:
            kept, seen = (_as_json(getattr(one, field)) for one in (task, shown))
            whole[field] = unmasked(given[field], kept, seen, field)
        # Else a task that is to do something else, or to name other secrets, would be shown with what the asterisks
        # stand for.
        names = whole["secret_fields"] = tuple(dict.fromkeys((*(names or ()), *secrets_of(catalog, task))))
        event_type = task.event_type if event_type is None else event_type
    model = None if event_type is None else catalog.model_for(event_type)
    for field in masked:
        if _has_mask_for_secret(field, whole[field], names or (), model):
            raise InvalidPayloadError(
                f"write the secret again: {field} has asterisks in place of one, and none is kept that they stand for"
            )
    return whole


def _task_if_any(tasks: CronService, name: str) -> CronTask | None:
    try:
        return tasks.get(name)
    except NotFoundError:
        return None


def _has_mask_for_secret(field: str, value: Any, names: Iterable[str], model: type[BaseModel] | None) -> bool:
    asterisks = _asterisks_in(value)
    if field == "actor_args":
        return has_mask(list(masked_arguments(names, asterisks or ())))
    shown = masked_payload(names, asterisks)
    return has_mask(masked_payload(model, shown) if field == "payload" else shown)


def _asterisks_in(value: Any) -> Any:
    """Return a payload with nothing but its asterisks, as blanks: masked, it shows which are in secret places."""
    if not has_mask(value):
        return None
    if isinstance(value, dict):
        return {name: _asterisks_in(one) for name, one in value.items()}
    return [_asterisks_in(one) for one in value] if isinstance(value, list) else ""


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
