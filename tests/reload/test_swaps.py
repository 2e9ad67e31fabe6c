"""Handlers that were loaded again take the place of those that run."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Callable

import pytest

from eventsys.runtime.reload.reloader import Reload
from tests.reload.shop import HANDLER, Shop, gate, noted


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
from tests.reload.shop import gate, note

SAID = "{said}"

@events.on("order.paid", name="ship")
def ship(event):
    note("begun " + SAID)
    if SAID == "old":
        gate.wait(60)
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
    assert shop.events.wait(event.id, "60s").status == "delivered"


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


def test_the_log_tells_what_was_loaded_what_is_gone_and_what_became_of_the_handlers(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.write("mail.py", HANDLER.format(said="mail").replace("ship", "tell"))
    reloader = shop.load()
    name = "eventsys.runtime.reload.reloader"
    caplog.set_level(logging.INFO, name)
    shop.write("orders.py", HANDLER.format(said="new"))
    reloader.look()
    (shop.directory / "shop" / "orders.py").rename(shop.directory / "shop" / "sales.py")
    reloader.look()
    (shop.directory / "shop" / "mail.py").unlink()
    reloader.look()
    shop.write("words.py", "WORD = 'new'\n")
    reloader.look()
    own = [record for record in caplog.records if record.name == name]  # threads of other tests may say something too
    assert [re.sub(r"\d+ ms", "1 ms", record.getMessage()) for record in own] == [
        "loaded shop.orders again in 1 ms: the same handler, on new code",
        "loaded shop.sales again and forgot shop.orders in 1 ms: the same handler, on new code",
        "forgot shop.mail in 1 ms: removed, and unhosted here: tell",
        "loaded shop.words again in 1 ms: no handlers are there",
    ]


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


def test_plain_actors_and_typed_payloads_are_declared_again(shop: Shop) -> None:
    typed = """
import dramatiq
from pydantic import BaseModel
from eventsys import Event
from shop.app import events
from tests.reload.shop import note

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


def test_ten_thousand_deliveries_in_flight_survive_fifty_reloads(shop: Shop) -> None:
    deliveries = int(os.environ.get("EVENTSYS_RELOAD_DELIVERIES", "10000"))
    counting = """
from shop.app import events
from tests.reload.shop import note

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
    shop.events.broker.join("tests", timeout=200_000)
    counts = shop.events.get_metrics()
    assert (counts.delivered_events, counts.failed_events) == (deliveries // 2, 0)
