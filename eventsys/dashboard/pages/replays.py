"""Pages of replays and back-fills: all, counting what one would give, beginning and ending one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from eventsys.bus.replay import USUAL_RATE
from eventsys.dashboard.asking import filter_from
from eventsys.dashboard.context import Bus, Changes
from eventsys.dashboard.forms import OurForm
from eventsys.dashboard.rates import starts_a_second
from eventsys.dashboard.rendering import go_to, render
from eventsys.model.queries import EventFilter

replays = APIRouter()

#: What a form may say of the events, as an event filter does.
CONDITIONS = ("ids", "types", "sources", "status", "correlation_id", "text", "start_time", "end_time")

#: What it says of the subscription that the events went to: its field `subscription` is the one that they are to go to.
DELIVERED_TO = "delivered_to"

#: Seconds that counting may take before the page says that there is more.
COUNTS_FOR_S = 0.03

#: Replays that are listed.
_MOST_LISTED = 50


def as_conditions(asked: Mapping[str, str]) -> dict[str, str]:
    """Return what a search for events asks for as what a form says of those that are to be replayed."""
    found = {name: asked[name] for name in CONDITIONS if asked.get(name)}
    return found | ({DELIVERED_TO: asked["subscription"]} if asked.get("subscription") else {})


@replays.get("/replays")
def list_replays(request: Request, bus: Bus) -> Response:
    """List the newest replays and back-fills, and how far they are."""
    return render(request, "replays.html", replays=bus.replays.list(_MOST_LISTED))


@replays.get("/replays/confirm")
def confirm(request: Request, bus: Bus) -> Response:
    """Count what a replay would give, before anybody says yes."""
    asked = _wanted(request.query_params)
    count = bus.replays.count(
        asked.subscription, asked.wanted, rate=asked.rate, backfill=asked.is_backfill, longest_s=COUNTS_FOR_S
    )
    return render(request, "replay.html", count=count, asked=asked)


@replays.post("/replays/begin")
def begin(request: Request, desk: Changes, form: OurForm) -> Response:
    """Begin a replay; worker processes carry it on."""
    asked = _wanted(form.fields)
    desk.change(
        "replays.begin", asked.subscription,
        lambda: desk.events.replays.replay(
            asked.subscription, asked.wanted, rate=asked.rate, backfill=asked.is_backfill, requested_by=desk.caller.said
        ),
        filter=asked.conditions, rate=asked.rate, backfill=asked.is_backfill,
    )  # fmt: skip
    return go_to(request, "replays", done="replaying")


@replays.post("/replays/{replay_id}/cancel")
def cancel(request: Request, desk: Changes, form: OurForm, replay_id: str) -> Response:
    """End a replay; what it gave until then is handled."""
    del form  # that it is ours is all there is to it
    who = desk.caller.said
    desk.change("replays.cancel", replay_id, lambda: desk.events.replays.cancel(replay_id, requested_by=who))
    return go_to(request, "replays", done="ended")


class _Asked:
    """What a form asks for.

    Raises:
        HTTPException: 422, if it cannot be.
    """

    def __init__(self, said: Mapping[str, Any]) -> None:
        conditions = (*CONDITIONS, DELIVERED_TO)
        unknown = sorted(set(said) - {*conditions, "subscription", "rate", "backfill"})
        if unknown:
            # A condition that is misspelt must not become a replay of everything.
            raise HTTPException(422, f"{', '.join(unknown)}: unknown; events are chosen by {', '.join(conditions)}")
        self.subscription = str(said.get("subscription", "")).strip()
        self.is_backfill = said.get("backfill") == "yes"
        self.conditions = {name: str(said[name]) for name in conditions if said.get(name)}
        names = {DELIVERED_TO: "subscription"}
        self.wanted, fault = filter_from(
            EventFilter, {names.get(name, name): text for name, text in self.conditions.items()}
        )
        if fault or not self.subscription:
            raise HTTPException(422, f"these conditions cannot be: {fault}" if fault else "say to which subscription")
        self._rate = str(said.get("rate") or USUAL_RATE).strip()
        self.rate = _rate(self._rate)

    @property
    def hidden(self) -> dict[str, str]:
        """What the form that says yes sends again."""
        backfill = {"backfill": "yes"} if self.is_backfill else {}
        return {"subscription": self.subscription, "rate": self._rate, **backfill, **self.conditions}


def _wanted(said: Mapping[str, Any]) -> _Asked:
    return _Asked(said)


def _rate(text: str) -> float:
    try:
        return starts_a_second(text)
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
