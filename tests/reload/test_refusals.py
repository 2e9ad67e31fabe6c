"""What cannot be loaded leaves everything as it was, and says why."""

from __future__ import annotations

import dramatiq
import pytest

from tests.reload.shop import HANDLER, Shop, noted


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


def test_the_last_reload_of_a_process_is_on_record(shop: Shop) -> None:
    reloader = shop.load()
    shop.work()
    shop.events.broker.presence.appear()  # its threads may not have come so far yet
    [process] = shop.events.machinery.processes()
    assert (process.reloaded_at, process.reload_problem) == (None, "")
    shop.write("orders.py", "import no_such_module\n")
    reloader.look()
    [process] = shop.events.machinery.processes()
    assert process.reloaded_at is not None
    assert "no_such_module" in process.reload_problem
    shop.write("orders.py", HANDLER.format(said="mended"))
    reloader.look()
    [mended] = shop.events.machinery.processes()
    assert mended.reloaded_at is not None
    assert mended.reloaded_at >= process.reloaded_at
    assert mended.reload_problem == ""
    assert mended.beat_ago is not None
    assert 0 <= mended.beat_ago.total_seconds() < 60


def test_a_refused_change_that_is_undone_is_told_and_no_longer_on_record(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    reloader = shop.load()
    shop.work()
    shop.events.broker.presence.appear()  # its threads may not have come so far yet
    shop.write("orders.py", "import no_such_module\n")
    reloader.look()
    shop.write("orders.py", HANDLER.format(said="old"))
    with caplog.at_level("INFO", logger="eventsys.runtime.reload.reloader"):
        assert reloader.look() is None  # what runs is what is saved
        assert reloader.look() is None
    said = [one.message for one in caplog.records if one.levelname == "INFO"]
    assert said == ["undone: the code that runs is what is saved again"]
    [process] = shop.events.machinery.processes()
    assert process.reload_problem == ""


def test_a_broken_new_file_that_is_deleted_again_is_no_longer_on_record(shop: Shop) -> None:
    reloader = shop.load()
    shop.work()
    shop.events.broker.presence.appear()
    shop.write("more.py", "import no_such_module\n")
    assert reloader.look().replaced is None
    shop.write("more.py", "").unlink()
    assert reloader.look() is None
    [process] = shop.events.machinery.processes()
    assert process.reload_problem == ""


def test_other_settings_of_the_service_ask_for_a_restart(shop: Shop) -> None:
    made = f"from eventsys import EventService\nevents = EventService(**{shop.settings()!r})\n"
    shop.write("app.py", made)
    reloader = shop.load(find_service=True)
    shop.write("app.py", made.replace("'app': 'tests'", "'app': 'others'"))
    reload = reloader.look()
    assert reload is not None
    assert reload.replaced is None
    assert "other settings now (app): restart" in reload.problem


def test_a_second_service_is_refused_and_the_first_stays_dramatiqs_broker(shop: Shop) -> None:
    reloader = shop.load()
    shop.write("more.py", "from eventsys import EventService\nevents = EventService(app='more')\n")
    reload = reloader.look()
    assert reload is not None
    assert "2 EventService objects" in reload.problem
    assert dramatiq.get_broker() is shop.events.broker


def test_a_module_that_exits_when_it_is_loaded_ends_nothing(shop: Shop) -> None:
    reloader = shop.load()
    shop.write("orders.py", "raise SystemExit(1)\n")
    reload = reloader.look()
    assert reload is not None
    assert "SystemExit" in reload.problem
    assert shop.names() == {"ship"}


def test_what_failed_because_redis_was_away_is_tried_again_without_another_save(shop: Shop) -> None:
    reloader = shop.load()
    shop.write("orders.py", HANDLER.format(said="new").replace("order.paid", "order.sent"))
    link = shop.events.broker.link
    there = link.lead_to("redis://127.0.0.1:1/0")
    assert "RedisUnavailableError" in reloader.look().problem
    link.lead_to(there)
    assert reloader.look().replaced is not None
    assert reloader.look() is None


def test_nothing_that_a_module_declared_before_it_failed_counts(shop: Shop) -> None:
    """Actors, subscriptions and payload models: while it loads, and afterwards."""
    seen: list[object] = []
    before = shop.events.catalog.registered()
    shop.watch = lambda: seen.append((shop.names(), shop.events.catalog.registered() == before))
    reloader = shop.load()
    shop.write(
        "orders.py",
        "from pydantic import BaseModel\nimport dramatiq\n"
        + HANDLER.format(said="half").replace("ship", "half")
        + "class Order(BaseModel): ...\nevents.type('order.paid', Order)\n"
        + "@dramatiq.actor(broker=events.broker)\ndef count(): ...\n"
        + "from tests.reload.shop import look_around\nlook_around()\n1 / 0\n",
    )
    assert "ZeroDivisionError" in reloader.look().problem
    assert seen == [({"ship"}, True)]
    assert (shop.names(), shop.events.catalog.registered()) == ({"ship"}, before)


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
