"""The page of workers and queues: who runs what, what waits, pausing and resuming a queue."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.context import Bus, Changes
from eventsys.dashboard.forms import OurForm
from eventsys.dashboard.rendering import go_to, render
from eventsys.model.machinery import InHand

machines = APIRouter()

#: Processes that are shown, messages that are named of each, and queues.
MOST_PROCESSES, MOST_HELD, MOST_QUEUES = 40, 16, 60


@machines.get("/workers")
def list_workers(request: Request, bus: Bus) -> Response:
    """List the processes, what they hold, and the queues."""
    in_hand: dict[str, list[InHand]] = {}
    look = bus.machinery.look()
    for one in look.in_hand():
        in_hand.setdefault(one.process, []).append(one)
    return render(
        request, "workers.html", processes=look.processes, queues=look.queues, in_hand=in_hand,
        most_processes=MOST_PROCESSES, most_held=MOST_HELD, most_queues=MOST_QUEUES,
    )  # fmt: skip


@machines.post("/queues/{name}/pause")
def pause_queue(request: Request, desk: Changes, form: OurForm, name: str) -> Response:
    """Let no process fetch from a queue."""
    del form  # that it is ours is all there is to it
    desk.change("queues.pause", name, lambda: desk.events.machinery.control.pause(name))
    return go_to(request, "workers", done="paused")


@machines.post("/queues/{name}/resume")
def resume_queue(request: Request, desk: Changes, form: OurForm, name: str) -> Response:
    """Let processes fetch from a queue again."""
    del form
    desk.change("queues.resume", name, lambda: desk.events.machinery.control.resume(name))
    return go_to(request, "workers", done="resumed")
