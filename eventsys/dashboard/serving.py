"""Serving the dashboard of a bus by itself, until the process is told to end."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import uvicorn

from eventsys.broker.allocator import give_back, settle_allocator
from eventsys.broker.garbage import FullLooks, settle_garbage
from eventsys.dashboard.access import Access
from eventsys.dashboard.app import application
from eventsys.dashboard.connection import Connection
from eventsys.dashboard.gate import Gate
from eventsys.dashboard.live import Live
from eventsys.dashboard.origins import allowed_names
from eventsys.dashboard.tailing import Tail
from eventsys.dashboard.web_settings import refuse_open_door
from eventsys.runtime.listening import listen
from eventsys.runtime.stop_signals import stop_signals
from eventsys.service import EventService

#: Requests at once, over all callers; beyond, 503. So many connections too, of which those that wait make room.
MOST_AT_ONCE = 250

#: Seconds that open requests get at the end.
_ENDS_WITHIN_S = 5

#: Ticks of uvicorn, of a tenth of a second each, between two looks at what memory is free.
_GIVE_BACK_TICKS = 40

_EVERYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - these are told apart, not listened on


def serve(
    events: EventService,
    access: Access,
    *,
    host: str,
    port: int,
    hosts: Sequence[str] = (),
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve the dashboard until a signal asks to end.

    Args:
        events: The service of the bus.
        access: Who may come in.
        host: The address or name to listen on.
        port: The port to listen on.
        hosts: Names that requests may be for, beside the loopback ones and `host`.
        ready: Called when it listens.

    Raises:
        SettingsError: If other machines could reach it without a token.
        ListenError: If the address cannot be listened on.
    """
    refuse_open_door(host, access)
    settle_allocator()  # each request has a thread, and each thread would keep what its largest page needed
    names = [*hosts, *(() if host in _EVERYWHERE else (host,))]
    server, listeners = Server(events, access, hosts=names), listen(host, port)
    # What is loaded is a hundred thousand objects: whoever asked for a page while they are looked through would wait.
    settle_garbage()
    ready()
    server.run(listeners)


class Server(uvicorn.Server):
    """Serves the dashboard on sockets that listen already.

    Args:
        events: The service of the bus.
        access: Who may come in.
        hosts: Names that requests may be for, beside the loopback ones.
    """

    def __init__(self, events: EventService, access: Access, *, hosts: Sequence[str] = ()) -> None:
        app = application(events, access)
        self._live: Live = app.state.live
        self._tail: Tail = app.state.tail
        self._garbage = FullLooks()
        gate = Gate(app, access, allowed_names(hosts), events.broker.clock.monotonic)
        config = uvicorn.Config(
            # The address of whoever asks is that of the connection: what a header claims may be anybody's.
            gate, proxy_headers=False, server_header=False, access_log=False, log_level="warning", ws="none",
            lifespan="off", limit_concurrency=MOST_AT_ONCE, timeout_graceful_shutdown=_ENDS_WITHIN_S,
            timeout_keep_alive=15, http=Connection,
        )  # fmt: skip
        super().__init__(config)

    async def on_tick(self, counter: int) -> bool:
        """Give memory back that nobody uses any more, every few seconds; then do what uvicorn does."""
        if counter % _GIVE_BACK_TICKS == 0:
            self._garbage.look()
            give_back()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, which would go on for ever, and serve what else was asked."""
        self._live.end()
        self._tail.end()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals as requests to end, and as nothing more: a clean end is one, however it was asked."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in stop_signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
