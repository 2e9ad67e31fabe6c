"""Cron tasks by HTTP: list, create, change, pause, run, delete."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict
from starlette.responses import Response

from eventsys.dashboard.api.answering import answer
from eventsys.dashboard.context import Bus, Changes
from eventsys.dashboard.cron_form import next_ticks
from eventsys.errors import CronTaskError
from eventsys.model.cron_task import CronRun, CronTask, Overlap
from eventsys.model.priority import Priority
from eventsys.model.queries import Page
from eventsys.scheduling.cron_secrets import shown_task, whole_fields
from eventsys.service import EventService

cron = APIRouter(tags=["cron tasks"])

PageNumber = Annotated[int, Query(ge=1)]
PageSize = Annotated[int, Query(ge=1, le=500)]


#: Ticks that one request may ask for.
MOST_TICKS = 50


class CronTicks(BaseModel):
    """When a schedule is due next, in UTC; fewer than asked for where nothing is due after the last."""

    ticks: list[datetime]


class CronFields(BaseModel):
    """What a cron task is to do; what is not given keeps its default, or stays as it is."""

    model_config = ConfigDict(extra="forbid")

    schedule: str | None = None
    """Five cron fields, six with seconds in front, or a shortcut such as `@hourly`."""
    timezone: str | None = None
    event_type: str | None = None
    payload: dict[str, Any] | None = None
    secret_fields: list[str] | None = None
    """Fields of the payload, dotted, that nobody is shown, beside those of the type's model. Of what an actor is given,
    names of arguments, or their places from 0 on."""
    source: str | None = None
    priority: Priority | None = None
    actor: str | None = None
    queue: str | None = None
    actor_args: list[Any] | None = None
    actor_kwargs: dict[str, Any] | None = None
    overlap: Overlap | None = None
    catch_up: str | None = None
    catch_up_all: bool | None = None
    jitter: str | None = None
    ends_at: AwareDatetime | None = None
    max_runs: int | None = None
    run_timeout: str | None = None
    max_retries: int | None = None
    retry_delay: str | None = None

    def given(self, bus: EventService, name: str) -> dict[str, Any]:
        """Return what was said of a task; asterisks that were shown in place of a secret mean that it stays."""
        said = {field: getattr(self, field) for field in self.model_fields_set}
        return whole_fields(bus.catalog, bus.cron, name, said)

    def told(self) -> dict[str, Any]:
        """Return what was said, as JSON, without what may be private."""
        return self.model_dump(mode="json", exclude_unset=True, exclude={"payload", "actor_args", "actor_kwargs"})


@cron.get("/cron", response_model=Page[CronTask])
def list_tasks(bus: Bus, page: PageNumber = 1, page_size: PageSize = 50) -> Response:
    """List all tasks, by name."""
    found = bus.cron.list(page=page, page_size=page_size)
    return answer(found.model_copy(update={"items": [shown_task(bus.catalog, task) for task in found.items]}))


@cron.get("/cron-ticks", response_model=CronTicks)
def preview_ticks(
    bus: Bus, schedule: str, timezone: str = "UTC", count: Annotated[int, Query(ge=1, le=MOST_TICKS)] = 5
) -> Response:
    """Tell when a task of this schedule would run, without making one."""
    return answer(CronTicks(ticks=next_ticks(schedule, timezone, bus.broker.clock.now(), count)))


@cron.get("/cron/{name:path}/history", response_model=Page[CronRun])
def list_runs(bus: Bus, name: str, page: PageNumber = 1, page_size: PageSize = 20) -> Response:
    """List the runs of a task, the newest first, with the ticks that were skipped or missed."""
    return answer(bus.cron.history(name, page=page, page_size=page_size))


@cron.post("/cron/{name:path}/pause", response_model=CronTask)
def pause_task(desk: Changes, name: str) -> Response:
    """Let a task have no ticks until it is resumed."""
    reason = f"paused by {desk.caller.said}"
    paused = desk.change("cron.pause", name, lambda: desk.events.cron.pause(name, reason=reason))
    return answer(shown_task(desk.events.catalog, paused))


@cron.post("/cron/{name:path}/resume", response_model=CronTask)
def resume_task(desk: Changes, name: str) -> Response:
    """Let a paused task go on with its next tick."""
    return answer(
        shown_task(desk.events.catalog, desk.change("cron.resume", name, lambda: desk.events.cron.resume(name)))
    )


@cron.post("/cron/{name:path}/run", response_model=CronRun)
def run_task(desk: Changes, name: str) -> Response:
    """Begin a run by hand, paused or not."""
    return answer(desk.change("cron.run", name, lambda: desk.events.cron.run_now(name)))


@cron.get("/cron/{name:path}", response_model=CronTask)
def show_task(bus: Bus, name: str) -> Response:
    """Show one task as it stands."""
    return answer(shown_task(bus.catalog, bus.cron.get(name)))


@cron.put("/cron/{name:path}", response_model=CronTask)
def create_task(desk: Changes, name: str, fields: CronFields) -> Response:
    """Create a task; where it exists, change it if this says something new."""
    given = fields.given(desk.events, name)
    if not given.get("schedule"):
        raise CronTaskError(f"cron task {name!r} needs a schedule, such as '0 6 * * *'")
    made = desk.change("cron.create", name, lambda: desk.events.cron.create(name, **given), **fields.told())
    return answer(shown_task(desk.events.catalog, made))


@cron.patch("/cron/{name:path}", response_model=CronTask)
def update_task(desk: Changes, name: str, fields: CronFields) -> Response:
    """Change what is given, and leave the rest."""
    given = fields.given(desk.events, name)
    changed = desk.change("cron.update", name, lambda: desk.events.cron.update(name, **given), **fields.told())
    return answer(shown_task(desk.events.catalog, changed))


@cron.delete("/cron/{name:path}", response_model=CronTask)
def delete_task(desk: Changes, name: str) -> Response:
    """Delete a task with its history, and show it as it was."""
    return answer(
        shown_task(desk.events.catalog, desk.change("cron.delete", name, lambda: desk.events.cron.delete(name)))
    )
