"""Replays by HTTP: count, begin, list, show, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from eventsys.bus.replay import USUAL_RATE
from eventsys.dashboard.api.answering import answer, answer_all
from eventsys.dashboard.context import Bus, Changes
from eventsys.dashboard.rates import Rate
from eventsys.model.queries import EventFilter
from eventsys.model.replay import Replay, ReplayCount

replays = APIRouter(prefix="/replays", tags=["replays"])


class NewReplay(BaseModel):
    """History to give to a subscription again; or, as a back-fill, what it was not there for."""

    model_config = ConfigDict(extra="forbid")

    subscription: str
    filter: EventFilter | None = None
    rate: Rate = USUAL_RATE
    """Most events: so many a second, or `100/s`, `10/m`, `1/h`."""
    backfill: bool = False


@replays.get("", response_model=list[Replay])
def list_replays(bus: Bus, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> Response:
    """List the newest replays."""
    return answer_all(bus.replays.list(limit))


@replays.post("", status_code=201, response_model=Replay)
def begin_replay(desk: Changes, new: NewReplay) -> Response:
    """Begin a replay; worker processes carry it on."""
    told = new.model_dump(mode="json", exclude={"subscription"}, exclude_defaults=True)

    def begin() -> Replay:
        return desk.events.replays.replay(
            new.subscription, new.filter, rate=new.rate, backfill=new.backfill, requested_by=desk.caller.said
        )

    return answer(desk.change("replays.begin", new.subscription, begin, **told), 201)


@replays.post("/count", response_model=ReplayCount)
def count_replay(bus: Bus, new: NewReplay) -> Response:
    """Count what a replay would give, without giving anything."""
    return answer(bus.replays.count(new.subscription, new.filter, rate=new.rate, backfill=new.backfill))


@replays.post("/{replay_id}/cancel", response_model=Replay)
def cancel_replay(desk: Changes, replay_id: str) -> Response:
    """End a replay; what it gave until then is handled."""
    who = desk.caller.said
    return answer(
        desk.change("replays.cancel", replay_id, lambda: desk.events.replays.cancel(replay_id, requested_by=who))
    )


@replays.get("/{replay_id}", response_model=Replay)
def show_replay(bus: Bus, replay_id: str) -> Response:
    """Show one replay and its progress."""
    return answer(bus.replays.get(replay_id))
