"""The overview: how the bus is, and what is wrong with it."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.charts import charts_of
from eventsys.dashboard.context import Bus
from eventsys.dashboard.live import Live, figures_of
from eventsys.dashboard.rendering import render
from eventsys.dashboard.streaming import streamed
from eventsys.model.diagnosis import Severity
from eventsys.runtime.doctor import examine

overview = APIRouter()

#: Troubles that are shown; the page of alerts has more of them.
MOST_TROUBLES = 10


@overview.get("/")
def show_overview(request: Request, bus: Bus) -> Response:
    """Show figures, the last hour, and the findings of the doctor."""
    look = bus.store.metrics.look()
    charts = charts_of(look.activity())
    diagnosis = examine(bus, look)
    found = [one for one in diagnosis.findings if one.severity is not Severity.OK]
    return render(
        request, "overview.html", figures=figures_of(look.totals()), charts=charts,
        findings=found, checks=len(diagnosis.findings), troubles=bus.bus.system.troubles(), most_troubles=MOST_TROUBLES,
        types=sorted(look.by_type(with_oldest=False).values(), key=lambda one: -one.total_events)[:8],
    )  # fmt: skip


@overview.get("/live")
async def stream_figures(request: Request) -> Response:
    """Give the figures as they change, as server-sent events."""
    live: Live = request.app.state.live
    return streamed(live, live.watch())
