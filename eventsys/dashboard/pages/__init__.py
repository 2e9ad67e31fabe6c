"""The pages, one module for each thing they show."""

from __future__ import annotations

from fastapi import APIRouter

from eventsys.dashboard.pages.alerts import alerts
from eventsys.dashboard.pages.catalogue import catalogue
from eventsys.dashboard.pages.cron import cron
from eventsys.dashboard.pages.delayed import delayed
from eventsys.dashboard.pages.events import events
from eventsys.dashboard.pages.letters import letters
from eventsys.dashboard.pages.machines import machines
from eventsys.dashboard.pages.overview import overview
from eventsys.dashboard.pages.replays import replays
from eventsys.dashboard.pages.subscriptions import subscriptions
from eventsys.dashboard.pages.tail import tail

page_router = APIRouter(include_in_schema=False)
for _router in (
    overview, events, tail, delayed, letters, cron, subscriptions, replays, machines, catalogue, alerts,
):  # fmt: skip
    page_router.include_router(_router)
