"""Subscriptions by HTTP: list, show, pause, resume, end."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from eventsys.dashboard.api.answering import answer, answer_all
from eventsys.dashboard.context import Bus, Changes
from eventsys.model.standing import SubscriptionStanding

subscriptions = APIRouter(prefix="/subscriptions", tags=["subscriptions"])


@subscriptions.get("", response_model=list[SubscriptionStanding])
def list_subscriptions(bus: Bus) -> Response:
    """List every subscription, by name, and how it stands now."""
    return answer_all(bus.subscriptions.list())


@subscriptions.post("/{name:path}/pause", response_model=SubscriptionStanding)
def pause_subscription(desk: Changes, name: str) -> Response:
    """Hold a subscription back: what comes waits in order, until it is resumed."""
    return answer(desk.change("subscriptions.pause", name, lambda: desk.events.subscriptions.pause(name)))


@subscriptions.post("/{name:path}/resume", response_model=SubscriptionStanding)
def resume_subscription(desk: Changes, name: str) -> Response:
    """Let a subscription go on: what waits first, in the order it came."""
    return answer(desk.change("subscriptions.resume", name, lambda: desk.events.subscriptions.resume(name)))


@subscriptions.delete("/{name:path}", status_code=204)
def end_subscription(desk: Changes, name: str) -> Response:
    """End a subscription; its open deliveries end as cancelled, its dead letters stay."""
    desk.change("subscriptions.delete", name, lambda: desk.events.subscriptions.delete(name))
    return Response(status_code=204)


@subscriptions.get("/{name:path}", response_model=SubscriptionStanding)
def show_subscription(bus: Bus, name: str) -> Response:
    """Show one subscription: what was declared, and how it stands."""
    return answer(bus.subscriptions.get(name))
