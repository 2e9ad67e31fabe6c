"""Handler modules that are saved take effect in the running process, wholly or not at all."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from eventsys import EventService
from eventsys.broker.worker import Worker
from eventsys.runtime.discovery import discover
from eventsys.runtime.reload.reloader import Reload, Reloader
from tests.support.services import Services

APP = "from tests.runtime.test_reload import current\nevents = current()\n"
HANDLER = """
from shop.app import events
from tests.runtime.test_reload import note

@events.on("order.paid", name="ship", timeout="30s")
def ship(event):
    note("{said}", event)
"""

_service: EventService | None = None
_notes: list[str] = []
_noted = threading.Condition()


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


@pytest.fixture
def shop(tmp_path: Path, redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """An application `shop` with one handler `ship`, not loaded yet."""
    global _service
    services = Services(redis_url)
    _service = services.make()
    _notes.clear()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    made = Shop(tmp_path, services)
    made.write("__init__.py", "import eventsys\neventsys.discover(__name__)\n")
    made.write("app.py", APP)
    made.write("orders.py", HANDLER.format(said="old"))
    yield made
    if made.reloader is not None:
        made.reloader.stop()
    services.close()
    for name in [name for name in sys.modules if name.partition(".")[0] in {"shop", "lib"}]:
        del sys.modules[name]


def test_a_saved_module_runs_new_code_for_what_is_handled_from_then_on(shop: Shop) -> None:
    reloader = shop.load()
    shop.work()
    shop.events.publish("order.paid", {})
    assert noted(1) == ["old"]
    shop.write("orders.py", HANDLER.format(said="new"))
    reload = reloader.look()
    assert reload is not None
    assert (reload.problem, reload.modules) == ("", ["shop.orders"])
    assert reload.replaced == ([], [], ["ship"], [])
    shop.events.publish("order.paid", {})
    assert noted(2) == ["old", "new"]
    assert reloader.look() is None


def test_a_running_handler_ends_on_the_old_code_and_its_names(shop: Shop) -> None:
    running = """
from shop.app import events
from tests.runtime.test_reload import gate, note

SAID = "{said}"

@events.on("order.paid", name="ship")
def ship(event):
    note("begun " + SAID)
    if SAID == "old":
        gate.wait(10)
    note("ended " + SAID)
"""
    gate.clear()
    shop.write("orders.py", running.format(said="old"))
    reloader = shop.load()
    shop.work()
    shop.events.publish("order.paid", {})
    assert noted(1) == ["begun old"]
    shop.write("orders.py", running.format(said="new"))
    assert reloader.look() is not None
    shop.events.publish("order.paid", {})
    assert noted(3)[1:] == ["begun new", "ended new"]
    gate.set()
    assert noted(4)[3] == "ended old"


gate = threading.Event()


def test_what_is_fetched_and_not_begun_runs_the_new_code(shop: Shop) -> None:
    blocking = """
from shop.app import events
from tests.runtime.test_reload import gate, note

@events.on("order.paid", name="ship")
def ship(event):
    note("{said}")
    gate.wait(10)
"""
    gate.clear()
    shop.write("orders.py", blocking.format(said="old"))
    reloader = shop.load()
    shop.services.work(shop.events, Worker, threads=1)
    for _ in range(3):
        shop.events.publish("order.paid", {})
    assert noted(1) == ["old"]
    shop.write("orders.py", blocking.format(said="new"))
    assert reloader.look() is not None
    gate.set()
    assert noted(3) == ["old", "new", "new"]


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("def ship(:\n", "SyntaxError"),
        ("import no_such_module\n", "No module named 'no_such_module'"),
        ("from shop.app import events\nevents.on('Order Paid')(print)\n", "InvalidPatternError"),
        ("raise RuntimeError('half way')\n", "RuntimeError: half way"),
    ],
)
def test_a_module_that_cannot_be_loaded_leaves_all_as_it_was_and_says_why(shop: Shop, broken: str, told: str) -> None:
    reloader = shop.load()
    shop.work()
    before = dict(shop.events.broker.actors)
    shop.write("orders.py", HANDLER.format(said="half").replace("order.paid", "order.sent") + broken)
    reload = reloader.look()
    assert reload is not None
    assert reload.replaced is None
    assert told in reload.problem
    assert dict(shop.events.broker.actors) == before
    assert [one.pattern for one in shop.events.bus.subscriptions.all()[1] if one.name == "ship"] == ["order.paid"]
    shop.events.publish("order.paid", {})
    assert noted(1) == ["old"]
    assert reloader.look() is None  # the same mistake is told once
    shop.write("orders.py", HANDLER.format(said="mended"))
    assert reloader.look().replaced is not None
    shop.events.publish("order.paid", {})
    assert noted(2) == ["old", "mended"]


def test_added_changed_and_removed_subscriptions_are_told_apart(shop: Shop) -> None:
    other = "from shop.app import events\n\n@events.on('order.sent', name='tell')\ndef tell(event): ...\n"
    shop.write("mail.py", other)
    reloader = shop.load()
    shop.work()
    shop.write("mail.py", other.replace("'tell'", "'write'"))
    shop.write("orders.py", HANDLER.format(said="new").replace("30s", "5s"))
    reload = reloader.look()
    assert reload is not None
    assert reload.replaced == (["write"], ["ship"], [], ["tell"])
    stored = {one.name: one for one in shop.events.bus.subscriptions.all()[1]}
    assert stored["ship"].timeout_ms == 5_000
    assert stored["ship"].revision == 2
    assert "tell" in stored  # a persistent subscription ends by the hand of a person only
    assert shop.names() == {"ship", "write"}


def test_a_deleted_file_leaves_its_deliveries_waiting_for_a_host(shop: Shop) -> None:
    reloader = shop.load()
    shop.work()
    (shop.directory / "shop" / "orders.py").unlink()
    reload = reloader.look()
    assert reload is not None
    assert reload.replaced == ([], [], [], ["ship"])
    event = shop.events.publish("order.paid", {})
    shop.write("orders.py", HANDLER.format(said="back"))
    reload = reloader.look()
    assert reload is not None
    assert reload.replaced == (["ship"], [], [], [])
    assert noted(1) == ["back"]
    assert shop.events.wait(event.id, "10s").status == "delivered"


def test_a_new_file_of_the_package_is_picked_up_and_one_that_is_renamed_keeps_its_handlers(shop: Shop) -> None:
    reloader = shop.load()
    shop.work()
    (shop.directory / "shop" / "orders.py").rename(shop.directory / "shop" / "sales.py")
    shop.write("deep/__init__.py", "")
    shop.write("deep/er.py", HANDLER.format(said="deep").replace("ship", "dig"))
    reload = reloader.look()
    assert reload is not None
    assert reload.replaced == (["dig"], [], ["ship"], [])
    assert "shop.orders" not in sys.modules
    assert {"shop.sales", "shop.deep", "shop.deep.er"} <= sys.modules.keys()


def test_modules_that_import_a_changed_one_are_loaded_again_after_it(shop: Shop) -> None:
    (shop.directory / "lib.py").write_text("WORD = 'old'\n")
    shop.write("words.py", "import lib\n\ndef word():\n    return lib.WORD\n")
    shop.write(
        "orders.py",
        HANDLER.format(said="x")
        .replace('note("x", event)', "note(word())")
        .replace("from shop.app", "from .words import word\nfrom shop.app"),
    )
    reloader = shop.load()
    shop.work()
    (shop.directory / "lib.py").write_text("WORD = 'new'\n")
    reload = reloader.look()
    assert reload is not None
    assert reload.modules == ["lib", "shop.words", "shop.orders"]
    shop.events.publish("order.paid", {})
    assert noted(1) == ["new"]


def test_the_module_that_makes_the_service_asks_for_a_restart(shop: Shop) -> None:
    reloader = shop.load()
    shop.write("app.py", APP + "LIMIT = 3\n")
    reload = reloader.look()
    assert reload is not None
    assert reload.replaced is None
    assert "shop.app makes the service" in reload.problem
    assert "restart" in reload.problem


def test_a_touch_or_the_same_text_saved_again_reloads_nothing(shop: Shop) -> None:
    reloader = shop.load()
    path = shop.write("orders.py", HANDLER.format(said="old"))
    os.utime(path, (1, 1))
    assert reloader.look() is None


def test_an_edit_of_the_same_size_in_the_same_second_is_seen(shop: Shop) -> None:
    """Python's own cache of compiled modules would take the old one for it."""
    second = 1_700_000_000
    path = shop.write("orders.py", HANDLER.format(said="abc"))
    os.utime(path, (second, second))
    reloader = shop.load()
    shop.work()
    shop.write("orders.py", HANDLER.format(said="xyz"))
    os.utime(path, (second, second))
    assert reloader.look() is not None
    shop.events.publish("order.paid", {})
    assert noted(1) == ["xyz"]


def test_plain_actors_and_typed_payloads_are_declared_again(shop: Shop) -> None:
    typed = """
import dramatiq
from pydantic import BaseModel
from eventsys import Event
from shop.app import events
from tests.runtime.test_reload import note

class Order(BaseModel):
    {field}: int

events.type("order.paid", Order)

@events.on("order.paid", name="ship")
def ship(event: Event[Order]) -> None:
    note(repr(event.payload))

@dramatiq.actor(broker=events.broker)
def count(number):
    note("{field}")
"""
    shop.write("orders.py", typed.format(field="amount"))
    reloader = shop.load()
    shop.work()
    shop.write("orders.py", typed.format(field="total"))
    reload = reloader.look()
    assert reload is not None
    assert reload.replaced == ([], [], ["count", "ship"], [])
    shop.events.publish("order.paid", {"total": 3})
    assert noted(1) == ["Order(total=3)"]
    shop.events.broker.get_actor("count").send(1)
    assert noted(2)[1] == "total"


def test_a_name_that_another_module_has_is_refused_as_a_whole(shop: Shop) -> None:
    shop.write(
        "mail.py", "from shop.app import events\n\n@events.on('order.sent', name='tell')\ndef tell(event): ...\n"
    )
    reloader = shop.load()
    shop.work()
    shop.write("orders.py", HANDLER.format(said="new").replace("'ship'", "'tell'").replace('"ship"', '"tell"'))
    reload = reloader.look()
    assert reload is not None
    assert reload.replaced is None
    assert "two handlers are named 'tell': one in shop.mail, one in shop.orders" in reload.problem
    assert shop.names() == {"ship", "tell"}


@pytest.mark.parametrize("polls", [False, True], ids=["told by the kernel", "polling"])
def test_a_save_is_noticed_by_itself_and_one_by_rename_too(shop: Shop, polls: bool) -> None:
    reloader = shop.load(polls=polls)
    shop.work()
    reloader.start()
    shop.write("orders.py", HANDLER.format(said="new"))
    assert shop.next_report().modules == ["shop.orders"]
    beside = shop.directory / "shop" / "orders.py.tmp"
    beside.write_text(HANDLER.format(said="newer"))
    beside.replace(shop.directory / "shop" / "orders.py")
    assert shop.next_report().problem == ""
    shop.events.publish("order.paid", {})
    assert noted(1) == ["newer"]


def test_where_the_kernel_cannot_watch_files_are_looked_at(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from eventsys.runtime.reload import watching

    class NoRoom:
        def schedule(self, *_: Any, **__: Any) -> None:
            raise OSError(28, "inotify watch limit reached")

        def is_alive(self) -> bool:
            return False

    monkeypatch.setattr(watching, "Observer", NoRoom)
    reloader = shop.load()
    shop.work()
    reloader.start()
    shop.write("orders.py", HANDLER.format(said="new"))
    assert shop.next_report().problem == ""


def test_an_observer_that_died_costs_promptness_and_no_change(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    reloader = shop.load()
    shop.work()
    monkeypatch.setattr("eventsys.runtime.reload.reloader.LOOK_S", 0.05)
    monkeypatch.setattr(reloader._watcher, "watch", lambda directories: None)
    reloader.start()
    shop.write("orders.py", HANDLER.format(said="new"))
    assert shop.next_report().problem == ""


def test_ten_thousand_deliveries_in_flight_survive_fifty_reloads(shop: Shop) -> None:
    deliveries = int(os.environ.get("EVENTSYS_RELOAD_DELIVERIES", "2000"))
    counting = """
from shop.app import events
from tests.runtime.test_reload import note

VERSION = {version}

@events.on("order.paid", name="ship", max_retries=0)
def ship(event):
    note(VERSION)

@events.on("order.paid", name="tell", max_retries=0)
async def tell(event):
    note(VERSION)
"""
    shop.write("orders.py", counting.format(version=0))
    reloader: Callable[[], Reload | None] = shop.load().look
    shop.work()
    events = [{"event_type": "order.paid", "payload": {}} for _ in range(deliveries // 2)]
    done = threading.Event()

    def publish() -> None:
        for start in range(0, len(events), 100):
            shop.events.publish_many(events[start : start + 100])
        done.set()

    thread = threading.Thread(target=publish)
    thread.start()
    for version in range(1, 51):
        shop.write("orders.py", counting.format(version=version))
        reload = reloader()
        assert reload is not None
        assert reload.problem == ""
    thread.join()
    assert len(noted(deliveries)) == deliveries
    shop.events.broker.join("tests", timeout=20_000)
    counts = shop.events.get_metrics()
    assert (counts.delivered_events, counts.failed_events) == (deliveries // 2, 0)
