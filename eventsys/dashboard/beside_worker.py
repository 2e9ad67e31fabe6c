"""A worker process that serves the dashboard too, as `eventsys dev` starts it: it knows what handlers register now."""

from __future__ import annotations

import argparse
import logging
import socket
import sys
import threading
from collections.abc import Sequence

from eventsys.dashboard.serving import Server
from eventsys.dashboard.web_settings import load_web_settings
from eventsys.errors import SettingsError
from eventsys.runtime.worker_process import main as run_worker
from eventsys.service import EventService

logger = logging.getLogger(__name__)


class Pages:
    """The dashboard of a service, served by a thread.

    Args:
        events: The service of the process.
        listener: A socket that listens.
    """

    def __init__(self, events: EventService, listener: socket.socket) -> None:
        self._events = events
        self._listener = listener
        self._server: Server | None = None
        self._thread = threading.Thread(target=self._serve, name="eventsys-pages", daemon=True)

    def start(self) -> None:
        """Serve from now on; where the settings forbid it, say so, and let the worker go on."""
        try:
            self._server = Server(self._events, load_web_settings().access())
        except SettingsError as error:
            logger.error("the dashboard is not served: %s", error)
            return
        self._thread.start()

    def stop(self) -> None:
        """Serve no more; a page that is being watched is not waited for."""
        if self._server is not None:
            self._server.should_exit = self._server.force_exit = True

    def _serve(self) -> None:
        assert self._server is not None
        try:
            self._server.run(sockets=[self._listener])
        except Exception:
            logger.exception("the dashboard ended; the worker goes on")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker and the dashboard until a signal asks to end, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False, add_help=False)
    parser.add_argument("--listen", type=int, required=True, help="descriptor of a socket that listens")
    given, others = parser.parse_known_args(arguments)
    listener = socket.socket(fileno=given.listen)

    def start(events: EventService) -> Pages:
        pages = Pages(events, listener)
        pages.start()
        return pages

    return run_worker(others, start)


if __name__ == "__main__":
    sys.exit(main())
