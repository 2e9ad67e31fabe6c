"""What cannot be loaded leaves everything as it was, and says why."""

from __future__ import annotations

import pytest

from tests.reload.shop import APP, HANDLER, Shop, noted


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


def test_the_module_that_makes_the_service_asks_for_a_restart(shop: Shop) -> None:
    reloader = shop.load()
    shop.write("app.py", APP + "LIMIT = 3\n")
    reload = reloader.look()
    assert reload is not None
    assert reload.replaced is None
    assert "shop.app makes the service" in reload.problem
    assert "restart" in reload.problem


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
