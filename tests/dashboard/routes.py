"""Every route of the dashboard, read from the application, so that a new one is tested without being named."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fastapi.routing import iter_route_contexts

from eventsys import EventService
from eventsys.dashboard.access import Access
from eventsys.dashboard.app import application

LOOKING = frozenset({"GET", "HEAD"})


def routes() -> list[tuple[str, str]]:
    """Return method and path of every route, static files included, with `x` for each parameter."""
    found = {(method, re.sub(r"\{[^}]+\}", "x", path)) for method, path in _routes()}
    return sorted({*found, ("GET", "/static/dashboard.css"), ("GET", "/unknown")})


def form_routes() -> list[str]:
    """Return the paths of the pages that change something, as they are declared and in that order."""
    return [path for method, path in _routes() if method not in LOOKING and not path.startswith("/api/")]


def _routes() -> Iterator[tuple[str, str]]:
    app = application(EventService(redis_url="redis://127.0.0.1:1/0", name="routes"), Access())
    for context in iter_route_contexts(app.routes):
        path = getattr(context, "path", None)
        for method in getattr(context, "methods", None) or ():
            yield method, str(path)


#: What goes on for as long as somebody watches; the answers are looked at on a real server.
ENDLESS = {("GET", "/live"), ("GET", "/tail/events"), ("GET", "/api/v1/live"), ("GET", "/api/v1/tail")}

ROUTES = routes()
CHANGES = [route for route in ROUTES if route[0] not in LOOKING]
LOOKS = [route for route in ROUTES if route[0] in LOOKING and route not in ENDLESS]
