"""What machines ask: whether this process lives, whether it can work, the figures for Prometheus, the event types."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from eventsys.dashboard.asyncapi import asyncapi_of
from eventsys.dashboard.context import Bus
from eventsys.runtime.exposition import CONTENT_TYPE, prometheus_text
from eventsys.version import __version__

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


@probes.get("/asyncapi.json")
def describe_events(request: Request, events: Bus) -> JSONResponse:
    """Describe the event types that this process knows, and who receives them, as AsyncAPI 3."""
    root = str(request.scope.get("root_path", "")).rstrip("/")
    server = {"host": request.url.netloc, "protocol": request.url.scheme, "pathname": f"{root}/api/v1/events"}
    subscriptions = [one.subscription for one in events.subscriptions.list()]
    title = f"Events of {events.settings.app or events.settings.name}"
    return JSONResponse(asyncapi_of(events.catalog, subscriptions, title=title, version=__version__, server=server))
