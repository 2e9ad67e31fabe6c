"""What the demo plays on: a Redis, workers and the application, all its own and all gone at the end."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eventsys import EventService
from eventsys.cli.demo.application import environment, find_application, imported
from eventsys.cli.demo.interruption import Interruption
from eventsys.cli.demo.worker_process import Workers
from eventsys.runtime.embedded import EmbeddedRedis
from eventsys.runtime.server_binary import ServerBinary, find_server


class Stage:
    """A Redis in a private temporary directory, worker processes, and the application in this process.

    Leaving it ends the workers, then Redis, then removes the directory, whatever happened before.

    Args:
        interruption: Heeded between the steps.

    Attributes:
        application: The directory that holds the package `actors`.
        actors: That package, imported.
        server: The Redis server program.
    """

    actors: Any
    server: ServerBinary

    def __init__(self, interruption: Interruption) -> None:
        self.application = find_application()
        self._interruption = interruption
        self._exits = ExitStack()
        self._workers: Workers | None = None

    @property
    def events(self) -> EventService:
        """The application's service."""
        service: EventService = self.actors.app.events
        return service

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            directory = Path(tempfile.mkdtemp(prefix="eventsys-demo-"))
            exits.callback(shutil.rmtree, directory, ignore_errors=True)
            self._interruption.check()
            self.server = find_server()
            url = exits.enter_context(EmbeddedRedis(directory / "redis", binary=self.server)).url
            self._interruption.check()
            environ = environment(self.application, url)
            self._workers = Workers(directory, environ)
            exits.callback(self._workers.end)
            self._interruption.check()
            self.actors = exits.enter_context(imported(self.application, environ))
            exits.callback(self.events.stop)
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """End everything that it started; a second time does nothing."""
        self._exits.close()

    def are_workers_running(self) -> bool:
        """Say whether the workers live."""
        return self._workers is not None and self._workers.are_running()

    def workers_said(self) -> str:
        """Return the end of the workers' log."""
        return self._workers.last_words() if self._workers is not None else ""
