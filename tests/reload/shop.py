"""An application in a directory whose modules a test edits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eventsys import EventService
from eventsys.broker.worker import Worker
from eventsys.runtime import discovery
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
_watching: list[Callable[[], object]] = [lambda: None]


def use(service: EventService) -> None:
    """Let the application bind this service, and forget what was noted."""
    global _service
    _service = service
    _notes.clear()


def current() -> EventService:
    """Return the service of the test that runs; the application's module binds it."""
    assert _service is not None
    return _service


def look_around() -> None:
    """Let the test see, from another thread, what that thread sees now."""
    thread = threading.Thread(target=_watching[0])
    thread.start()
    thread.join()


def note(said: str, event: Any = None) -> None:
    """Keep what a handler says, and let the test hear of it."""
    with _noted:
        _notes.append(said)
        _noted.notify_all()


def noted(count: int) -> list[str]:
    """Return what handlers have said, once it is so many things."""
    with _noted:
        assert _noted.wait_for(lambda: len(_notes) >= count, 200), _notes
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
    def watch(self) -> Callable[[], object]:
        return _watching[0]

    @watch.setter
    def watch(self, look: Callable[[], object]) -> None:
        """Call `look` in another thread whenever a module of the application looks around."""
        _watching[0] = look

    def settings(self) -> dict[str, Any]:
        """Return what the service of the test was made with."""
        given = current().settings
        assert given.redis_url is not None
        return {"redis_url": given.redis_url.get_secret_value(), "name": given.name, "app": given.app}

    @property
    def events(self) -> EventService:
        return current()

    def write(self, name: str, text: str) -> Path:
        path = self.directory / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def load(self, *, polls: bool = False, find_service: bool = False) -> Reloader:
        discover("shop")
        if find_service:
            use(discovery.find_service(["shop"]))
            self.services.adopt(current())
        self.reloader = Reloader(current(), ["shop"], directory=self.directory, tell=self._told, polls=polls)
        return self.reloader

    def work(self) -> Any:
        return self.services.work(current(), Worker)

    def next_report(self) -> Reload:
        with self.reported:
            assert self.reported.wait_for(lambda: bool(self.reports), 60), "no reload was reported"
            return self.reports.pop(0)

    def names(self) -> set[str]:
        return {name for name in current().broker.actors if not name.startswith("eventsys.")}

    def _told(self, reload: Reload) -> None:
        with self.reported:
            self.reports.append(reload)
            self.reported.notify_all()
