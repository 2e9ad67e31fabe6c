"""A change is noticed, however it is written; what is none is not."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.reload.shop import HANDLER, Shop, noted


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
