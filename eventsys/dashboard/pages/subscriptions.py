"""Pages of subscriptions: how each stands, one with its options, pausing, resuming, ending, back-filling."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from eventsys.bus.replay import USUAL_RATE
from eventsys.dashboard.context import Bus, Changes
from eventsys.dashboard.forms import OurForm
from eventsys.dashboard.paging import rows_on
from eventsys.dashboard.rendering import go_to, render

subscriptions = APIRouter()

#: Subscriptions on a page.
MOST_SUBSCRIPTIONS = 60

#: Replays of all subscriptions among which those of one are looked for.
_LOOKED_AT = 50


@subscriptions.get("/subscriptions")
def list_subscriptions(request: Request, bus: Bus, page: int = 1) -> Response:
    """List the subscriptions with their figures."""
    look = bus.store.metrics.look()
    standings = rows_on(page, bus.subscriptions.list(look), MOST_SUBSCRIPTIONS)
    return render(request, "subscriptions.html", standings=standings, figures=look.by_subscription())


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


@subscriptions.post("/subscriptions/{name:path}/end")
def end_subscription(request: Request, desk: Changes, form: OurForm, name: str) -> Response:
    """End a subscription; its open deliveries end as cancelled, its dead letters stay."""
    del form
    desk.change("subscriptions.delete", name, lambda: desk.events.subscriptions.delete(name))
    return go_to(request, "subscriptions", done="ended")


@subscriptions.get("/subscriptions/{name:path}")
def show_subscription(request: Request, bus: Bus, name: str) -> Response:
    """Show one subscription: its options, figures and replays, and a form to back-fill it."""
    look = bus.store.metrics.look()
    return render(
        request, "subscription.html", standing=bus.subscriptions.get(name, look),
        figures=look.by_subscription().get(name), usual_rate=USUAL_RATE,
        replays=[one for one in bus.replays.list(_LOOKED_AT) if one.subscription == name],
    )  # fmt: skip
