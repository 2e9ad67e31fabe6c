"""Serving the dashboard of a bus by itself, until the process is told to end."""

from __future__ import annotations

from collections.abc import Sequence

import uvicorn

from eventsys.dashboard.access import Access
from eventsys.dashboard.app import dashboard
from eventsys.dashboard.web_settings import refuse_open_door
from eventsys.service import EventService

#: Requests at once, over all callers; beyond, 503.
MOST_AT_ONCE = 250

#: Seconds that open requests get at the end.
_ENDS_WITHIN_S = 5

_EVERYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - these are told apart, not listened on


def serve(events: EventService, access: Access, *, host: str, port: int, hosts: Sequence[str] = ()) -> None:
    """Serve the dashboard until Ctrl-C or SIGTERM.

    Args:
        events: The service of the bus.
        access: Who may come in.
        host: The address or name to listen on.
        port: The port to listen on.
        hosts: Names that requests may be for, beside the loopback ones and `host`.

    Raises:
        SettingsError: If other machines could reach it without a token.
    """
    refuse_open_door(host, access)
    names = [*hosts, *(() if host in _EVERYWHERE else (host,))]
    uvicorn.run(
        dashboard(events, access=access, hosts=names), host=host, port=port,
        # The address of whoever asks is that of the connection: what a header claims may be anybody's.
        proxy_headers=False, server_header=False, access_log=False, log_level="warning", ws="none",
        limit_concurrency=MOST_AT_ONCE, timeout_graceful_shutdown=_ENDS_WITHIN_S, timeout_keep_alive=15,
    )  # fmt: skip
