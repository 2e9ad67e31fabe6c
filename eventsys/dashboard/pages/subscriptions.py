"""The page of subscriptions: how each stands, pausing and resuming."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.context import Bus, Changes
from eventsys.dashboard.forms import OurForm
from eventsys.dashboard.rendering import go_to, render

subscriptions = APIRouter()


@subscriptions.get("/subscriptions")
def list_subscriptions(request: Request, bus: Bus) -> Response:
    """List the subscriptions with their figures."""
    figures = bus.get_metrics(by="subscription")
    return render(request, "subscriptions.html", standings=bus.subscriptions.list(), figures=figures)


@subscriptions.post("/subscriptions/{name:path}/pause")
def pause_subscription(request: Request, desk: Changes, form: OurForm, name: str) -> Response:
    """Hold a subscription back."""
    del form  # that it is ours is all there is to it
    desk.change("subscriptions.pause", name, lambda: desk.events.subscriptions.pause(name))
    return go_to(request, "subscriptions", done="paused")


@subscriptions.post("/subscriptions/{name:path}/resume")
def resume_subscription(request: Request, desk: Changes, form: OurForm, name: str) -> Response:
    """Let a subscription go on."""
    del form
    desk.change("subscriptions.resume", name, lambda: desk.events.subscriptions.resume(name))
    return go_to(request, "subscriptions", done="resumed")
