"""Pages of cron tasks: all, one with its runs, pausing and running."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.context import Bus, Changes
from eventsys.dashboard.forms import OurForm
from eventsys.dashboard.rendering import go_to, render

cron = APIRouter()

#: Tasks on a page, and runs of each in its strip.
MOST_TASKS, MOST_RUNS = 100, 20


@cron.get("/cron")
def list_tasks(request: Request, bus: Bus, page: int = 1) -> Response:
    """List the tasks, each with how its last runs ended."""
    found = bus.cron.list(page=page, page_size=MOST_TASKS)
    strips = {task.name: bus.cron.history(task.name, page_size=MOST_RUNS).items for task in found.items}
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


@cron.get("/cron/{name:path}")
def show_task(request: Request, bus: Bus, name: str) -> Response:
    """Show one task and its runs."""
    runs = bus.cron.history(name, page_size=100)
    return render(request, "task.html", task=bus.cron.get(name), runs=runs)
