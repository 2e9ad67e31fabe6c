"""An application in a directory whose modules a test edits."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from eventsys import EventService
from eventsys.broker.worker import Worker
from eventsys.runtime.discovery import discover
from eventsys.runtime.reload.reloader import Reload, Reloader
from tests.support.services import Services

APP = "from tests.reload.shop import current\nevents = current()\n"
HANDLER = """
from shop.app import events
from tests.reload.shop import note

@events.on("order.paid", name="ship", timeout="30s")
def ship(event):
    note("{said}", event)
"""

gate = threading.Event()

_service: EventService | None = None
_notes: list[str] = []
_noted = threading.Condition()


def use(service: EventService) -> None:
    """Let the application bind this service, and forget what was noted."""
    global _service
    _service = service
    _notes.clear()


def current() -> EventService:
    """Return the service of the test that runs; the application's module binds it."""
    assert _service is not None
    return _service


def note(said: str, event: Any = None) -> None:
    """Keep what a handler says, and let the test hear of it."""
    with _noted:
        _notes.append(said)
        _noted.notify_all()


def noted(count: int) -> list[str]:
    """Return what handlers have said, once it is so many things."""
    with _noted:
        assert _noted.wait_for(lambda: len(_notes) >= count, 15), _notes
        return list(_notes)


class Shop:
    """An application in a directory, with a reloader and perhaps a worker."""

    def __init__(self, directory: Path, services: Services) -> None:
        self.directory = directory
        self.services = services
        self.reports: list[Reload] = []
        self.reported = threading.Condition()
        self.reloader: Reloader | None = None

    @property
    def events(self) -> EventService:
        return current()

    def write(self, name: str, text: str) -> Path:
        path = self.directory / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def load(self, *, polls: bool = False) -> Reloader:
        discover("shop")
        self.reloader = Reloader(current(), ["shop"], directory=self.directory, tell=self._told, polls=polls)
        return self.reloader

    def work(self) -> Any:
        return self.services.work(current(), Worker)

    def next_report(self) -> Reload:
        with self.reported:
            assert self.reported.wait_for(lambda: bool(self.reports), 10), "no reload was reported"
            return self.reports.pop(0)

    def names(self) -> set[str]:
        return {name for name in current().broker.actors if not name.startswith("eventsys.")}

    def _told(self, reload: Reload) -> None:
        with self.reported:
            self.reports.append(reload)
            self.reported.notify_all()
