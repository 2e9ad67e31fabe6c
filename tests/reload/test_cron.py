"""A function that runs by a schedule is exchanged when its module is saved, and its schedule with it."""

from __future__ import annotations

from tests.reload.shop import Shop

NIGHTLY = """
from shop.app import events

@events.cron("{schedule}", name="nightly")
def nightly():
    pass
"""


def test_a_saved_schedule_takes_effect(shop: Shop) -> None:
    shop.write("nightly.py", NIGHTLY.format(schedule="0 2 * * *"))
    reloader = shop.load()
    shop.events.cron.prepare()
    assert shop.events.cron.get("nightly").schedule == "0 2 * * *"
    shop.write("nightly.py", NIGHTLY.format(schedule="0 3 * * *"))
    reload = reloader.look()
    assert reload is not None
    assert reload.replaced is not None, reload.problem
    shop.events.cron.prepare()
    assert shop.events.cron.get("nightly").schedule == "0 3 * * *"
    assert shop.events.cron.get("nightly").revision == 2


def test_a_function_that_is_gone_is_declared_no_longer(shop: Shop) -> None:
    path = shop.write("nightly.py", NIGHTLY.format(schedule="0 2 * * *"))
    reloader = shop.load()
    shop.events.cron.prepare()
    path.write_text("")
    assert reloader.look() is not None
    assert shop.events.cron._declarations._declared() == {}
    assert str(shop.events.cron.get("nightly").state) == "active"
