"""dashboard: the pages and the HTTP API of a bus, as one ASGI application."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import SecretStr
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from eventsys.dashboard.access import Access
from eventsys.dashboard.api import api_router
from eventsys.dashboard.forms import FormTokens
from eventsys.dashboard.gate import Gate
from eventsys.dashboard.live import Live
from eventsys.dashboard.origins import allowed_names
from eventsys.dashboard.pages import page_router
from eventsys.dashboard.probes import probes
from eventsys.dashboard.problems import problem_of, problem_response
from eventsys.dashboard.rendering import prepare_templates, render
from eventsys.dashboard.tailing import Tail
from eventsys.errors import EventsysError
from eventsys.service import EventService
from eventsys.version import __version__

_HERE = Path(__file__).parent


def dashboard(
    events: EventService,
    *,
    token: SecretStr | str | None = None,
    viewer_token: SecretStr | str | None = None,
    read_only: bool = False,
    hosts: Iterable[str] = (),
    access: Access | None = None,
) -> ASGIApp:
    """Return the dashboard of a bus: an ASGI application that can be served alone, or mounted anywhere.

    `app.mount("/eventsys", dashboard(events, token=...))` does the latter. It guards itself, wherever it is mounted:
    without a token it answers this machine alone, and it answers to no host name that is not allowed.

    Args:
        events: The service of the bus; it is left running.
        token: Lets operators in, who may look and change; None: nobody needs one, and only this machine may ask.
        viewer_token: Lets viewers in, who may look.
        read_only: Whether nobody may change anything.
        hosts: Names that requests may be for, beside `localhost` and the loopback addresses.
        access: The policy, instead of the tokens and `read_only`.

    Raises:
        SettingsError: If a token is too short to be one.
    """
    if access is None:
        access = Access(token=_secret(token), viewer_token=_secret(viewer_token), read_only=read_only)
    app = application(events, access)
    return Gate(app, access, allowed_names(hosts), events.broker.clock.monotonic)


def application(events: EventService, access: Access) -> FastAPI:
    """Return what is behind the gate, which alone lets anybody in."""
    app = FastAPI(
        title="eventsys", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json",
        redirect_slashes=False,
    )  # fmt: skip
    prepare_templates()
    app.state.events = events
    app.state.access = access
    app.state.form_tokens = FormTokens()
    app.state.live = Live(events)
    app.state.tail = Tail(events)
    app.include_router(probes)
    app.include_router(api_router)
    app.include_router(page_router)
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    for kind in (Exception, EventsysError, RequestValidationError, UnicodeEncodeError, HTTPException):
        app.add_exception_handler(kind, _tell)
    return app


def _tell(request: Request, error: Exception) -> Response:
    status, detail, facts, headers = problem_of(error)
    if "text/html" not in request.headers.get("accept", ""):
        return problem_response(status, detail, facts, headers)
    page = render(request, "error.html", status=status, title=HTTPStatus(status).phrase, detail=detail)
    page.headers.update(headers)
    return page


def _secret(token: SecretStr | str | None) -> SecretStr | None:
    return SecretStr(token) if isinstance(token, str) else token
