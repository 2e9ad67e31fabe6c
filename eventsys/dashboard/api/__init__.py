"""The HTTP API below `/api/v1`, one module for each thing it is about."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from eventsys.dashboard.api.about import about
from eventsys.dashboard.api.answering import refuse_forms
from eventsys.dashboard.api.cron import cron
from eventsys.dashboard.api.delayed import delayed
from eventsys.dashboard.api.events import events
from eventsys.dashboard.api.figures import figures
from eventsys.dashboard.api.letters import letters
from eventsys.dashboard.api.machinery import machinery
from eventsys.dashboard.api.replays import replays
from eventsys.dashboard.api.streams import streams
from eventsys.dashboard.api.subscriptions import subscriptions
from eventsys.dashboard.api.types import types
from eventsys.dashboard.problems import MEDIA_TYPE, Problem

_SAID = {
    401: "No token, or a wrong one.",
    403: "This caller may not do that.",
    404: "There is nothing of this id or name.",
    409: "It cannot be done as things stand.",
    422: "What was asked cannot be.",
    503: "Redis does not answer, or is full.",
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": said, "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}}
    for status, said in _SAID.items()
}

api_router = APIRouter(prefix="/api/v1", responses=_PROBLEMS, dependencies=[Depends(refuse_forms)])
for _router in (about, events, delayed, letters, cron, subscriptions, replays, machinery, types, figures, streams):
    api_router.include_router(_router)
