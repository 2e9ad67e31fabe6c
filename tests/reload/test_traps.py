"""What goes wrong when modules are loaded again, and does not here."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

import pytest

from eventsys.broker.prefetch import Prefetch
from eventsys.broker.worker import Worker
from tests.reload.shop import HANDLER, Shop, gate, noted
from tests.support.waiting import eventually

BLOCKING = """
from shop.app import events
from tests.reload.shop import gate, note

@events.on("order.paid", name="ship", max_retries=0)
{kind} ship(event):
    note("{said}")
    {rest}
"""


def blocking(said: str, kind: str = "def") -> str:
    return BLOCKING.format(said=said, kind=kind, rest="gate.wait(60)" if kind == "def" else "pass")


@pytest.fixture
def fetch_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker fetch as much as if its handlers were fast."""
    monkeypatch.setattr(Prefetch, "limit", lambda self, handled: 16)


def work_when_dispatched(shop: Shop, count: int, **options: Any) -> None:
    """Start a worker with one thread for deliveries that wait already, so that it fetches all of them together."""
    dispatching = Worker(shop.events.broker, queues=["eventsys.log"], worker_threads=1, worker_timeout=50)
    dispatching.start()
    queue = shop.events.broker.keys.lane("tests", 5)
    eventually(lambda: shop.events.broker.link.call("XLEN", queue) == count)
    dispatching.stop()
    shop.services.work(shop.events, Worker, threads=1, **options)
    in_flight = shop.events.broker.work.in_flight
    eventually(lambda: sum(one.attempt is None for one in in_flight.besides([])) == count - 1)


def test_an_application_in_one_module_gets_its_very_service_again(shop: Shop) -> None:
    made = f"from eventsys import EventService\nevents = EventService(**{shop.settings()!r})\n"
    shop.write("app.py", made)
    reloader = shop.load(find_service=True)
    shop.work()
    events, actors = shop.events, set(shop.events.broker.actors)
    shop.write("app.py", made + "LIMIT = 3\n")
    reload = reloader.look()
    assert (reload.problem, reload.modules) == ("", ["shop.app", "shop.orders"])
    assert sys.modules["shop.app"].events is events
    assert sys.modules["shop.app"].LIMIT == 3
    assert set(events.broker.actors) == actors  # those of the service itself among them
    events.publish("order.paid", {})
    assert noted(1) == ["old"]


@pytest.mark.usefixtures("fetch_ahead")
def test_what_is_fetched_and_not_begun_runs_the_new_code(shop: Shop) -> None:
    gate.clear()
    shop.write("orders.py", blocking("old"))
    reloader = shop.load()
    shop.events.publish_many([("order.paid", {})] * 3)
    work_when_dispatched(shop, 3)
    assert noted(1) == ["old"]
    shop.write("orders.py", blocking("new"))
    assert reloader.look().problem == ""
    gate.set()
    assert noted(3) == ["old", "new", "new"]


@pytest.mark.usefixtures("fetch_ahead")
def test_a_function_that_becomes_a_coroutine_or_back_takes_effect_for_what_is_fetched(shop: Shop) -> None:
    gate.clear()
    shop.write("orders.py", blocking("old"))
    reloader = shop.load()
    shop.events.publish_many([("order.paid", {})] * 4)
    work_when_dispatched(shop, 4)
    assert noted(1) == ["old"]
    shop.write("orders.py", blocking("new", "async def"))
    assert reloader.look().problem == ""
    gate.set()
    assert noted(4) == ["old", "new", "new", "new"]


@pytest.mark.usefixtures("fetch_ahead")
def test_a_coroutine_that_becomes_a_function_runs_on_a_thread(shop: Shop) -> None:
    waiting = blocking("old", "async def").replace("pass", "import asyncio; await asyncio.to_thread(gate.wait, 60)")
    gate.clear()
    shop.write("orders.py", waiting)
    reloader = shop.load()
    shop.events.publish_many([("order.paid", {})] * 3)
    work_when_dispatched(shop, 3, async_concurrency=1)
    assert noted(1) == ["old"]
    shop.write(
        "orders.py", blocking("new").replace("gate.wait(60)", "import threading; note(threading.current_thread().name)")
    )
    assert reloader.look().problem == ""
    gate.set()
    said = noted(5)
    assert said[0] == "old"
    assert said[1::2] == ["new", "new"]
    assert all(name.startswith("eventsys-worker-") for name in said[2::2])


@pytest.mark.usefixtures("fetch_ahead")
def test_what_is_fetched_for_a_handler_that_is_removed_waits_and_fails_nothing(shop: Shop) -> None:
    gate.clear()
    shop.write("orders.py", blocking("old"))
    reloader = shop.load()
    published = shop.events.publish_many([("order.paid", {})] * 3)
    work_when_dispatched(shop, 3)
    assert noted(1) == ["old"]
    (shop.directory / "shop" / "orders.py").unlink()
    assert reloader.look().replaced.removed == ["ship"]
    gate.set()
    assert shop.events.wait(published[0].id, "60s").status == "delivered"
    shop.write("orders.py", blocking("back"))
    assert reloader.look().replaced.added == ["ship"]
    for event in published:
        record = shop.events.wait(event.id, "60s")
        assert [(one.status, one.attempts) for one in record.deliveries] == [("succeeded", 1)]
    assert noted(3) == ["old", "back", "back"]


def test_a_handler_that_runs_still_publishes_its_own_payload_class(shop: Shop) -> None:
    typed = """
from pydantic import BaseModel
from shop.app import events
from tests.reload.shop import gate, note

class Parcel(BaseModel):
    weight: int

events.type("parcel.sent", Parcel)

@events.on("order.paid", name="ship", max_retries=0)
def ship(event):
    note("{said}")
    gate.wait(60)
    events.publish(Parcel(weight=1))

@events.on("parcel.sent", name="watch")
def watch(event):
    note("weight " + str(event.payload["weight"]))
"""
    gate.clear()
    shop.write("orders.py", typed.format(said="old"))
    reloader = shop.load()
    shop.work()
    shop.events.publish("order.paid", {})
    assert noted(1) == ["old"]
    for said in ("new", "newer"):
        shop.write("orders.py", typed.format(said=said))
        assert reloader.look().problem == ""
    gate.set()
    assert noted(2)[1] == "weight 1"


def test_a_type_that_is_registered_no_longer_is_forgotten(shop: Shop) -> None:
    typed = "from pydantic import BaseModel\n{}\nclass Order(BaseModel): n: int\nevents.type('{}', Order)\n"
    handler = HANDLER.format(said="x")
    shop.write("orders.py", handler + typed.format("", "order.paid"))
    reloader = shop.load()
    shop.write("orders.py", handler + typed.format("", "user.login"))
    shop.work()
    assert reloader.look().problem == ""
    registered = shop.events.catalog.registered()
    assert "order.paid" not in registered
    assert registered["user.login"].__name__ == "Order"
    shop.write("orders.py", handler)
    assert reloader.look().problem == ""
    assert shop.events.catalog.registered()["user.login"].__name__ == "UserSession"  # the built-in one again


def test_who_imports_a_module_while_it_is_loaded_again_waits_and_loads_nothing_himself(shop: Shop) -> None:
    """A handler that runs may import in its function; what it loaded would be declared beside what is staged."""
    shop.write("words.py", "WORD = 'old'\n")
    shop.write("orders.py", "from shop.words import WORD\n" + HANDLER.format(said="x"))
    reloader = shop.load()
    shop.work()
    imported: list[object] = []

    def import_it() -> None:
        begun.set()
        try:
            imported.append(importlib.import_module("shop.orders"))
        except Exception as error:
            imported.append(error)

    begun = threading.Event()
    thread = threading.Thread(target=import_it)

    def begin() -> None:
        thread.start()
        begun.wait(60)
        thread.join(0.2)  # it cannot end yet; this lets it get as far as it can

    shop.watch = begin
    shop.write("words.py", "from tests.reload.shop import look_around\nlook_around()\nWORD = 'new'\n")
    assert reloader.look().problem == ""
    thread.join(60)
    assert imported == [sys.modules["shop.orders"]]
    assert sys.modules["shop.orders"].WORD == "new"


def test_a_package_that_is_loaded_again_keeps_its_modules(shop: Shop) -> None:
    reloader = shop.load()
    shop.work()
    orders = sys.modules["shop.orders"]
    shop.write("__init__.py", "import eventsys\neventsys.discover(__name__)\nNAME = 'shop'\n")
    reload = reloader.look()
    assert (reload.problem, reload.modules) == ("", ["shop"])
    assert sys.modules["shop"].orders is orders
    assert sys.modules["shop"].NAME == "shop"
    assert shop.names() == {"ship"}


def test_modules_that_import_each_other_are_loaded_again_together(shop: Shop) -> None:
    shop.write("words.py", "import shop.orders\n\ndef word():\n    return 'old'\n")
    ask = HANDLER.format(said="x").replace('note("x", event)', "note(shop.words.word())")
    shop.write("orders.py", "import shop.words\n" + ask)
    reloader = shop.load()
    shop.work()
    shop.write("words.py", "import shop.orders\n\ndef word():\n    return 'new'\n")
    reload = reloader.look()
    assert (reload.problem, sorted(reload.modules)) == ("", ["shop.orders", "shop.words"])
    assert sys.modules["shop.words"].shop.orders is sys.modules["shop.orders"]
    shop.events.publish("order.paid", {})
    assert noted(1) == ["new"]


def test_what_is_saved_while_a_change_is_loaded_is_the_next_change(shop: Shop) -> None:
    reloader = shop.load()
    shop.work()
    late = HANDLER.format(said="late")
    shop.watch = lambda: shop.write("orders.py", late)
    shop.write("orders.py", HANDLER.format(said="new") + "from tests.reload.shop import look_around\nlook_around()\n")
    assert reloader.look().problem == ""
    assert reloader.look().problem == ""
    shop.events.publish("order.paid", {})
    assert noted(1) == ["late"]
    assert reloader.look() is None


@pytest.mark.parametrize("before", ["", None], ids=["emptied first", "removed first"])
def test_an_editor_that_empties_or_removes_a_file_before_it_writes_causes_one_reload(
    shop: Shop, before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever a busy machine makes of the moment between the two halves.
    monkeypatch.setattr("eventsys.runtime.reload.reloader.HALF_WRITTEN_S", 30.0)
    reloader = shop.load()
    shop.work()
    reloader.start()
    path = shop.directory / "shop" / "orders.py"
    if before is None:
        path.unlink()
    else:
        path.write_text(before)
    assert not reloader._stopping.wait(0.15)  # longer than it is waited for quiet, shorter than for the second half
    shop.write("orders.py", HANDLER.format(said="new"))
    reload = shop.next_report()
    assert reload.replaced == ([], [], ["ship"], [])
    shop.events.publish("order.paid", {})
    assert noted(1) == ["new"]
    assert shop.reports == []
