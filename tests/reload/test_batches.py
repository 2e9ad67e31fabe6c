"""Batch handlers that were loaded again."""

from __future__ import annotations

import pytest

from tests.reload.shop import Shop, gate, noted
from tests.support.waiting import eventually

HANDLER = """
from shop.app import events
from tests.reload.shop import gate, note

SAID = "{said}"

@events.on("order.paid", name="ship", batch_size={size}, batch_wait="1m")
def ship(batch):
    note(f"begun {{SAID}} {{len(batch)}}")
    if SAID == "old":
        gate.wait(60)
    events.publish("order.counted", {{"by": SAID, "of": len(batch)}})
    note(f"ended {{SAID}} {{len(batch)}}")
"""


def _publish(shop: Shop, many: int) -> list[str]:
    return [one.id for one in shop.events.publish_many([("order.paid", {})] * many)]


def _assert_each_was_handled_once(shop: Shop, made: list[str]) -> None:
    records = [shop.events.wait(event_id, "60s") for event_id in made]
    assert {(one.status, one.deliveries[0].attempts) for one in records} == {("delivered", 1)}


def test_a_batch_in_hand_ends_on_the_old_code_and_the_next_one_runs_the_new(shop: Shop) -> None:
    gate.clear()
    shop.write("orders.py", HANDLER.format(said="old", size=3))
    reloader = shop.load()
    shop.work()
    made = _publish(shop, 3)
    assert noted(1) == ["begun old 3"]
    shop.write("orders.py", HANDLER.format(said="new", size=3))
    reload = reloader.look()
    assert reload is not None
    assert reload.problem == ""
    made += _publish(shop, 3)
    assert noted(3)[1:] == ["begun new 3", "ended new 3"]
    gate.set()
    assert noted(4)[3] == "ended old 3"
    _assert_each_was_handled_once(shop, made)
    assert shop.events.get_metrics(by="type")["order.counted"].total_events == 2


def test_what_was_gathered_for_the_old_code_runs_the_new(shop: Shop) -> None:
    gate.set()
    shop.write("orders.py", HANDLER.format(said="old", size=3))
    reloader = shop.load()
    worker = shop.work()
    made = _publish(shop, 2)
    eventually(lambda: len(worker._handoff._collecting) == 2)
    shop.write("orders.py", HANDLER.format(said="new", size=3))
    assert reloader.look() is not None
    made += _publish(shop, 1)
    assert noted(2) == ["begun new 3", "ended new 3"]
    _assert_each_was_handled_once(shop, made)


def test_a_size_that_became_smaller_holds_for_what_was_gathered(shop: Shop) -> None:
    gate.set()
    shop.write("orders.py", HANDLER.format(said="old", size=10))
    reloader = shop.load()
    worker = shop.work()
    made = _publish(shop, 4)
    eventually(lambda: len(worker._handoff._collecting) == 4)
    shop.write("orders.py", HANDLER.format(said="new", size=2))
    assert reloader.look() is not None
    made += _publish(shop, 1)
    _assert_each_was_handled_once(shop, made)
    begun = [int(said.rpartition(" ")[2]) for said in noted(2) if said.startswith("begun new")]
    assert sum(begun) == 5
    assert max(begun) == 2


def test_a_handler_that_takes_them_one_by_one_now_gets_what_was_gathered(shop: Shop) -> None:
    gate.set()
    shop.write("orders.py", HANDLER.format(said="old", size=10).replace("1m", "5s"))
    reloader = shop.load()
    worker = shop.work()
    made = _publish(shop, 4)
    eventually(lambda: len(worker._handoff._collecting) == 4)
    one_by_one = """
from shop.app import events
from tests.reload.shop import note

@events.on("order.paid", name="ship")
def ship(event):
    note("one")
"""
    shop.write("orders.py", one_by_one)
    assert reloader.look() is not None
    _assert_each_was_handled_once(shop, made)
    assert noted(4) == ["one"] * 4


@pytest.mark.parametrize(("before", "after"), [("def", "async def"), ("async def", "def")])
def test_what_was_gathered_for_another_kind_of_function_runs_the_new(shop: Shop, before: str, after: str) -> None:
    gate.set()
    handler = HANDLER.replace('batch_wait="1m"', 'batch_wait="5s"')
    shop.write("orders.py", handler.format(said="old", size=3).replace("def ship", f"{before} ship"))
    reloader = shop.load()
    worker = shop.work()
    made = _publish(shop, 2)
    collectings = [worker._handoff._collecting, worker._on_loop._collecting]
    eventually(lambda: sum(map(len, collectings)) == 2)
    shop.write("orders.py", handler.format(said="new", size=3).replace("def ship", f"{after} ship"))
    assert reloader.look() is not None
    made += _publish(shop, 3)
    for event_id in made:
        shop.events.wait(event_id, "90s")
    assert {said.split()[1] for said in noted(2)} == {"new"}
    _assert_each_was_handled_once(shop, made)
