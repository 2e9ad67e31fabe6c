"""What machines ask: whether this process lives, whether it can work, and the figures for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, PlainTextResponse, Response

from eventsys.dashboard.context import Bus
from eventsys.runtime.exposition import CONTENT_TYPE, prometheus_text

probes = APIRouter(include_in_schema=False)


@probes.get("/healthz")
def is_alive() -> JSONResponse:
    """Say that this process answers; Redis is not asked, so its outage restarts nobody."""
    return JSONResponse({"status": "ok"})


@probes.get("/readyz")
def is_ready(events: Bus) -> JSONResponse:
    """Say that Redis answers; 503 where it does not."""
    events.machinery.processes()
    return JSONResponse({"status": "ready"})


@probes.get("/metrics")
def metrics(events: Bus) -> Response:
    """Give all metrics in Prometheus's text format."""
    return PlainTextResponse(prometheus_text(events), media_type=None, headers={"content-type": CONTENT_TYPE})
