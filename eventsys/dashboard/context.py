"""What every route may ask for: the service, and the desk of whoever calls."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from eventsys.dashboard.access import Caller, Role
from eventsys.dashboard.changes import Desk
from eventsys.dashboard.gate import CALLER
from eventsys.service import EventService


def service_of(request: Request) -> EventService:
    """Return the service behind this dashboard."""
    events: EventService = request.app.state.events
    return events


def caller_of(request: Request) -> Caller:
    """Return who calls; a request that came by no gate has nobody, which is an error of ours."""
    caller: Caller = request.scope[CALLER]
    return caller


def may_change(request: Request) -> bool:
    """Say whether who calls may change anything on this dashboard."""
    return caller_of(request).role is Role.OPERATOR and not request.app.state.access.read_only


def desk_of(request: Request) -> Desk:
    """Return where this caller makes changes."""
    return Desk(service_of(request), caller_of(request))


Bus = Annotated[EventService, Depends(service_of)]
Who = Annotated[Caller, Depends(caller_of)]
Changes = Annotated[Desk, Depends(desk_of)]
