"""What runs the bus, by HTTP: queues and worker processes."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from eventsys.dashboard.api.answering import answer, answer_all
from eventsys.dashboard.context import Bus, Changes
from eventsys.errors import NotFoundError
from eventsys.model.machinery import InHand, QueueState, WorkerProcess
from eventsys.service import EventService

machinery = APIRouter(tags=["machinery"])


@machinery.get("/queues", response_model=list[QueueState])
def list_queues(bus: Bus) -> Response:
    """List the queues, the event log first: what waits there is not dispatched yet."""
    return answer_all(bus.machinery.queues())


@machinery.post("/queues/{name}/pause", response_model=QueueState)
def pause_queue(desk: Changes, name: str) -> Response:
    """Let no process fetch from a queue, until it is resumed; every process heeds it within two seconds."""
    desk.change("queues.pause", name, lambda: desk.events.machinery.control.pause(name))
    return answer(queue_of(desk.events, name))


@machinery.post("/queues/{name}/resume", response_model=QueueState)
def resume_queue(desk: Changes, name: str) -> Response:
    """Let processes fetch from a queue again."""
    desk.change("queues.resume", name, lambda: desk.events.machinery.control.resume(name))
    return answer(queue_of(desk.events, name))


@machinery.get("/workers", response_model=list[WorkerProcess])
def list_workers(bus: Bus) -> Response:
    """List the processes that have not ended; one whose lease is overdue is being taken over."""
    return answer_all(bus.machinery.processes())


@machinery.get("/workers/running", response_model=list[InHand])
def list_running(bus: Bus) -> Response:
    """List the messages that processes hold, each being handled or about to be."""
    return answer_all(bus.machinery.look().in_hand())


def queue_of(events: EventService, name: str) -> QueueState:
    """Return one queue; raise `NotFoundError` where there is none of this name."""
    for state in events.machinery.queues():
        if state.name == name:
            return state
    raise NotFoundError(f"no queue is named {name!r}; events.machinery.queues() lists them")
