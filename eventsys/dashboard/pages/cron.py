"""Pages of cron tasks: all, one with its runs, pausing and running, creating, editing and deleting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.context import Bus, Changes
from eventsys.dashboard.cron_form import fields_in, kept_in, next_ticks, text_of
from eventsys.dashboard.forms import OurForm
from eventsys.dashboard.problems import status_of
from eventsys.dashboard.rendering import go_to, render
from eventsys.dashboard.room import fitting
from eventsys.errors import CronTaskError, EventsysError, NotFoundError
from eventsys.model.cron_task import CronTask, Overlap
from eventsys.model.priority import Priority
from eventsys.scheduling.cron_secrets import shown_task, whole_fields

cron = APIRouter()

#: Tasks on a page, and runs of each in its strip.
MOST_TASKS, MOST_RUNS = 20, 20


@cron.get("/cron")
def list_tasks(request: Request, bus: Bus, page: int = 1) -> Response:
    """List the tasks, each with how its last runs ended."""
    found = bus.cron.lines(page=page, page_size=MOST_TASKS)
    strips = bus.cron.newest_runs([task.name for task in found.items], MOST_RUNS)
    return render(request, "cron.html", page=found, strips=strips)


@cron.post("/cron/{name:path}/pause")
def pause_task(request: Request, desk: Changes, form: OurForm, name: str) -> Response:
    """Let a task have no ticks until it is resumed."""
    del form  # that it is ours is all there is to it
    reason = f"paused by {desk.caller.said}"
    desk.change("cron.pause", name, lambda: desk.events.cron.pause(name, reason=reason))
    return go_to(request, "cron", done="paused")


@cron.post("/cron/{name:path}/resume")
def resume_task(request: Request, desk: Changes, form: OurForm, name: str) -> Response:
    """Let a paused task go on with its next tick."""
    del form
    desk.change("cron.resume", name, lambda: desk.events.cron.resume(name))
    return go_to(request, "cron", done="resumed")


@cron.post("/cron/{name:path}/run")
def run_task(request: Request, desk: Changes, form: OurForm, name: str) -> Response:
    """Begin a run by hand."""
    del form
    desk.change("cron.run", name, lambda: desk.events.cron.run_now(name))
    return go_to(request, "cron", name, done="running")


@cron.post("/cron/{name:path}/delete")
def delete_task(request: Request, desk: Changes, form: OurForm, name: str) -> Response:
    """Delete a task with its history."""
    del form
    desk.change("cron.delete", name, lambda: desk.events.cron.delete(name))
    return go_to(request, "cron", done="deleted")


@cron.get("/cron-form")
def show_form(request: Request, bus: Bus, name: str = "") -> Response:
    """Show the form for a new task, or with the task that is to be changed."""
    task = bus.cron.get(name) if name else None
    asked = {} if task is None else text_of(shown_task(bus.catalog, task))
    return _form_page(request, task, asked)


@cron.post("/cron-form")
def save_task(request: Request, desk: Changes, form: OurForm) -> Response:
    """Create a task, or change one; or, where that is all that was asked, tell when it would run."""
    name, editing = form.text("name"), form.text("editing")
    task = None
    try:
        task = desk.events.cron.get(editing) if editing else None
        given = fields_in(form.fields)
        given = whole_fields(desk.events.catalog, desk.events.cron, editing or name, given)
        if form.text("only") == "ticks":
            ticks = next_ticks(given["schedule"], given["timezone"], desk.events.broker.clock.now())
            return _form_page(request, task, form.fields, ticks=ticks)
        told = {key: value for key, value in given.items() if key in {"schedule", "timezone", "event_type", "actor"}}
        if task is not None:
            desk.change("cron.update", editing, lambda: desk.events.cron.update(editing, **given), **told)
            return go_to(request, "cron", editing, done="changed")
        _refuse_taken(desk, name)
        desk.change("cron.create", name, lambda: desk.events.cron.create(name, **given), **told)
    except EventsysError as error:
        if status_of(error) >= 500:
            raise
        said = " ".join(str(error).split())
        return _form_page(request, task, form.fields, fault=said, status=422)
    return go_to(request, "cron", name, done="created")


@cron.get("/cron/{name:path}")
def show_task(request: Request, bus: Bus, name: str) -> Response:
    """Show one task and its runs."""
    runs = bus.cron.history(name, page_size=100)
    return render(request, "task.html", task=shown_task(bus.catalog, bus.cron.get(name)), runs=runs)


_CHOICES: dict[str, Any] = {"overlaps": [one.value for one in Overlap], "priorities": Priority}


def _form_page(
    request: Request, task: CronTask | None, asked: Mapping[str, str], *, fault: str = "",
    ticks: Sequence[datetime] = (), status: int = 200,
) -> Response:  # fmt: skip
    filled, left_out = fitting(asked)
    return render(
        request, "cron_form.html", status=status, task=task, asked=filled, fault=fault, ticks=ticks,
        left_out=left_out | kept_in(asked), **_CHOICES,
    )  # fmt: skip


def _refuse_taken(desk: Changes, name: str) -> None:
    """Refuse to create what is there: a form that is sent twice, or another task of the same name."""
    try:
        desk.events.cron.get(name)
    except NotFoundError:
        return
    raise CronTaskError(f"there is a cron task {name!r} already; edit that one, or give this one another name")
