"""Every route of the dashboard, read from the application, so that a new one is tested without being named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fastapi.routing import iter_route_contexts

from eventsys import EventService
from eventsys.dashboard.access import Access
from eventsys.dashboard.app import application

LOOKING = frozenset({"GET", "HEAD"})


def routes() -> list[tuple[str, str]]:
    """Return method and path of every route, static files included, with `x` for each parameter."""
    app = application(EventService(redis_url="redis://127.0.0.1:1/0", name="routes"), Access())
    return sorted({*_routes(app), ("GET", "/static/dashboard.css"), ("GET", "/unknown")})


def _routes(app: Any) -> Iterator[tuple[str, str]]:
    for context in iter_route_contexts(app.routes):
        path = getattr(context, "path", None)
        for method in getattr(context, "methods", None) or ():
            yield method, re.sub(r"\{[^}]+\}", "x", str(path))


#: What goes on for as long as somebody watches; the answers are looked at on a real server.
ENDLESS = {("GET", "/live"), ("GET", "/tail/events"), ("GET", "/api/v1/live"), ("GET", "/api/v1/tail")}

ROUTES = routes()
CHANGES = [route for route in ROUTES if route[0] not in LOOKING]
LOOKS = [route for route in ROUTES if route[0] in LOOKING and route not in ENDLESS]
